//! How much one request may ask for: the only place where the HTTP doors say so.
//!
//! What turns may use (rounds, tokens, time) is the engine's affair
//! ([`bartizan_engine::limits::Limits`]).

use std::{collections::BTreeMap, time::Duration};

use crate::errors::ApiError;

/// Limits on what arrives, checked before anything is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The longest that a body may take to arrive.
    pub body_time: Duration,
    /// The longest that a request's head may take to arrive, and that an idle connection is kept.
    pub head_time: Duration,
    /// The most header fields of a request.
    pub headers: usize,
    /// The largest head of a request, in bytes.
    pub head_bytes: usize,
    /// The deepest nesting of a JSON body.
    pub json_depth: usize,
    /// The most messages of a conversation.
    pub messages: usize,
    /// The most parts of one message.
    pub parts: usize,
    /// The most tools that a caller may bring.
    pub tools: usize,
    /// The most sessions in one page of a list.
    pub page: usize,
    /// The most connections at a time; more wait to be accepted.
    pub connections: usize,
    /// The most concurrent requests on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body_bytes: 16 * 1024 * 1024,
            body_time: Duration::from_secs(30),
            head_time: Duration::from_secs(10),
            headers: 100,
            head_bytes: 64 * 1024,
            json_depth: 64,
            messages: 2048,
            parts: 256,
            tools: 128,
            page: 100,
            connections: 10_000,
            streams: 256,
        }
    }
}

impl HttpLimits {
    /// Refuses a list of `count` things that is longer than `most`.
    pub(crate) fn check_count(param: &str, count: usize, most: usize) -> Result<(), ApiError> {
        if count <= most {
            return Ok(());
        }
        Err(ApiError::too_large(format!("{param} holds {count} items; at most {most} are taken"))
            .param(param))
    }
}

/// The most entries of metadata.
const MOST_METADATA: usize = 64;
/// The longest name of an entry of metadata, in bytes.
const LONGEST_METADATA_NAME: usize = 256;
/// The longest value of one, in bytes.
const LONGEST_METADATA_VALUE: usize = 8 * 1024;

/// Refuses metadata that is more than a few words: sessions keep it, and a page of sessions shows
/// all of it.
pub(crate) fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), ApiError> {
    HttpLimits::check_count("metadata", metadata.len(), MOST_METADATA)?;
    for (name, value) in metadata {
        let refused = |what: &str, most: usize| {
            let param = format!("metadata.{name}");
            let message = format!("{param}: a {what} is at most {most} bytes long");
            Err(ApiError::too_large(message).param(param))
        };
        if name.len() > LONGEST_METADATA_NAME {
            return refused("name", LONGEST_METADATA_NAME);
        }
        if value.len() > LONGEST_METADATA_VALUE {
            return refused("value", LONGEST_METADATA_VALUE);
        }
    }
    Ok(())
}

/// What names a tool for every provider: 1 to 64 letters, digits, `_` and `-`.
pub(crate) fn is_tool_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(is_plain)
}

/// Refuses a JSON text that is nested deeper than `most`, without parsing it.
///
/// Counts brackets outside strings. A text that is not JSON may pass here and fails in the
/// parser, which is no deeper for it.
pub(crate) fn check_depth(text: &str, most: usize) -> Result<(), ApiError> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return Err(ApiError::invalid(format!(
                        "the body is nested deeper than {most} levels"
                    )));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings() {
        assert!(check_depth(r#"{"a": [["[[[[", "\"[["]]}"#, 3).is_ok());
        assert!(check_depth(r#"{"a": [[1]]}"#, 2).is_err());
        assert!(check_depth(&"[".repeat(1_000_000), 64).is_err());
    }

    #[test]
    fn siblings_do_not_add_up() {
        assert!(check_depth(&"[],".repeat(100), 1).is_ok());
    }
}
