//! `.env`: variables for a developer's machine.
//!
//! It never overrides the real environment, and nothing in it reaches other processes. It is for
//! development: inside an Omnia pod it is not read.

use std::{collections::BTreeMap, fs, io, path::Path};

use crate::refusal::Refusal;

/// A value and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value, without its quotes.
    pub value: String,
    /// 1 for the first line.
    pub line: usize,
}

/// Reads the file; nothing where there is none.
///
/// # Errors
/// Where the file is there and makes no sense.
pub fn read(path: &Path) -> Result<BTreeMap<String, Entry>, Refusal> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text).map_err(|(line, reason)| {
            Refusal::configuration(format!("{}:{line}: {reason}", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(Refusal::input(format!("{}: cannot read it: {error}", path.display()))),
    }
}

/// Lines of `NAME=value`, `export NAME=value`, `NAME="value"`, `NAME='value'`; `#` begins a
/// remark at the start of a line or after a space. The last line of a name wins. Values are taken
/// as they stand: no variable is expanded, no command run.
fn parse(text: &str) -> Result<BTreeMap<String, Entry>, (usize, &'static str)> {
    let mut entries = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err((number, "this is not NAME=value"));
        };
        let name = name.trim();
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !plain {
            return Err((number, "a name is letters, digits and _"));
        }
        let value = unquoted(value.trim()).ok_or((number, "the closing quote is missing"))?;
        entries.insert(name.to_owned(), Entry { value, line: number });
    }
    Ok(entries)
}

fn unquoted(value: &str) -> Option<String> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let (inner, _) = rest.split_once(quote)?;
            let newlines = if quote == '"' { inner.replace("\\n", "\n") } else { inner.to_owned() };
            return Some(newlines);
        }
    }
    let remark = value.find(" #").unwrap_or(value.len());
    Some(value.get(..remark).unwrap_or(value).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_entries() {
        let text = "# remark\nA=1\nexport B = two words # remark\n\nC=\"x # y\\nz\" # r\nD='a\\n'\nE=\nA=2\n";
        let entries = parse(text).unwrap();
        let found: Vec<(&str, &str, usize)> = entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry.value.as_str(), entry.line))
            .collect();
        let expected = [
            ("A", "2", 8),
            ("B", "two words", 3),
            ("C", "x # y\nz", 5),
            ("D", "a\\n", 6),
            ("E", "", 7),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn faults_have_lines() {
        assert_eq!(parse("A=1\nnonsense").unwrap_err().0, 2);
        assert_eq!(parse("A B=1").unwrap_err().0, 1);
        assert_eq!(parse("A=\"1").unwrap_err().0, 1);
    }
}
