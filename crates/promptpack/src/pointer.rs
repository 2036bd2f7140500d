//! JSON pointers (RFC 6901).

use std::fmt;

/// A JSON pointer that grows and shrinks as a document is walked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pointer(String);

impl Pointer {
    pub(crate) fn push(&mut self, step: &str) {
        self.0.push('/');
        for character in step.chars() {
            match character {
                '~' => self.0.push_str("~0"),
                '/' => self.0.push_str("~1"),
                other => self.0.push(other),
            }
        }
    }

    /// Runs `walk` one step further down.
    pub(crate) fn within<T>(&mut self, step: &str, walk: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.0.len();
        self.push(step);
        let result = walk(self);
        self.0.truncate(length);
        result
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_escaped() {
        let mut pointer = Pointer::default();
        pointer.push("a/b");
        pointer.push("~");
        assert_eq!(pointer.within("3", |inner| inner.to_string()), "/a~1b/~0/3");
        assert_eq!(pointer.into_string(), "/a~1b/~0");
    }
}
