//! Bytes to a tree of JSON values that still knows about duplicate keys.
//!
//! `serde_json` does the parsing; its own `Value` keeps the last of two equal
//! keys and forgets the first, so the tree is ours. Depth and the number of
//! values are bounded while reading, before memory is spent.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::MAX_VALUES;
use crate::finding::Code;
use crate::findings::Findings;
use crate::pointer::Pointer;

/// Nesting beyond this is refused by `serde_json` itself.
pub(crate) const DEEPEST: usize = 127;

/// Objects up to this many keys are searched for duplicates pair by pair.
const FEW_KEYS: usize = 16;

/// A JSON value that borrows from the input where it can.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<Entry<'a>>),
}

/// A key and its value.
pub(crate) type Entry<'a> = (Cow<'a, str>, Node<'a>);

impl Node<'_> {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The kind of value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(value) => Value::Number(value.clone()),
            Self::String(value) => Value::String(value.to_string()),
            Self::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Object(entries) => Value::Object(to_map(entries)),
        }
    }
}

pub(crate) fn to_map(entries: &[Entry<'_>]) -> Map<String, Value> {
    entries.iter().map(|(key, value)| (key.to_string(), value.to_value())).collect()
}

/// Why there is no tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ParseError {
    pub(crate) code: Code,
    pub(crate) pointer: String,
    pub(crate) message: String,
    pub(crate) expected: Option<String>,
}

/// A tree, and whether any object in it has a key twice.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    pub(crate) root: Node<'a>,
    pub(crate) has_duplicates: bool,
}

/// Reads `bytes`; arrays and objects may nest `max_depth` deep.
pub(crate) fn parse(
    bytes: &[u8],
    max_bytes: usize,
    max_depth: usize,
) -> Result<Tree<'_>, ParseError> {
    let fail = |code, message: String, expected: Option<String>| {
        Err(ParseError { code, pointer: String::new(), message, expected })
    };
    if bytes.len() > max_bytes {
        return fail(
            Code::InputTooLarge,
            // Who reads a file need not have read all of it to know this.
            "the input is too large".into(),
            Some(format!("at most {max_bytes} bytes")),
        );
    }
    let mark = match bytes {
        [0xEF, 0xBB, 0xBF, ..] => Some("UTF-8"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        _ => None,
    };
    if let Some(encoding) = mark {
        return fail(
            Code::ByteOrderMark,
            format!("the input begins with a byte-order mark ({encoding})"),
            Some("UTF-8 without a byte-order mark".to_owned()),
        );
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            return fail(
                Code::InvalidUtf8,
                format!("the input is not UTF-8 at byte {}", error.valid_up_to()),
                Some("UTF-8".to_owned()),
            );
        }
    };
    let state = State {
        max_depth: max_depth.min(DEEPEST),
        depth: Cell::new(0),
        values: Cell::new(0),
        has_duplicates: Cell::new(false),
        limit: Cell::new(None),
        path: RefCell::default(),
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let root = Seed(&state)
        .deserialize(&mut deserializer)
        .and_then(|root| deserializer.end().map(|()| root));
    match root {
        Ok(root) => Ok(Tree { root, has_duplicates: state.has_duplicates.get() }),
        Err(error) => {
            let (code, expected) = match state.limit.get() {
                Some(Code::TooDeep) => (
                    Code::TooDeep,
                    Some(format!("at most {} levels of arrays and objects", state.max_depth)),
                ),
                Some(code) => (code, Some(format!("at most {MAX_VALUES} values"))),
                None => (Code::InvalidJson, None),
            };
            let mut pointer = Pointer::default();
            for step in state.path.borrow().iter().rev() {
                pointer.push(step);
            }
            Err(ParseError {
                code,
                pointer: pointer.into_string(),
                message: error.to_string(),
                expected,
            })
        }
    }
}

/// What the visitors of one parse share.
struct State {
    max_depth: usize,
    depth: Cell<usize>,
    values: Cell<usize>,
    has_duplicates: Cell<bool>,
    /// The bound that stopped the parse, if one did.
    limit: Cell<Option<Code>>,
    /// The place of an error, innermost step first: written only on the way out.
    path: RefCell<Vec<String>>,
}

impl State {
    fn stop<E: Error>(&self, code: Code, message: &str) -> E {
        self.limit.set(Some(code));
        E::custom(message)
    }

    fn deeper<T, E: Error>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if self.depth.get() >= self.max_depth {
            return Err(self.stop(Code::TooDeep, "nested too deep"));
        }
        self.depth.set(self.depth.get() + 1);
        let result = read();
        self.depth.set(self.depth.get() - 1);
        result
    }

    fn at<T, E>(&self, step: impl FnOnce() -> String, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.path.borrow_mut().push(step());
        }
        result
    }
}

struct Seed<'s>(&'s State);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let seen = self.0.values.get() + 1;
        if seen > MAX_VALUES {
            return Err(self.0.stop(Code::TooManyValues, "too many values"));
        }
        self.0.values.set(seen);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Number::from_f64(value).map(Node::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Node::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Node::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let state = self.0;
        state.deeper(|| {
            let mut items = Vec::new();
            while let Some(item) =
                state.at(|| items.len().to_string(), access.next_element_seed(Seed(state)))?
            {
                items.push(item);
            }
            Ok(Node::Array(items))
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let state = self.0;
        state.deeper(|| {
            let mut entries: Vec<Entry<'de>> = Vec::new();
            while let Some(Key(key)) = access.next_key()? {
                match access.next_value_seed(Seed(state)) {
                    Ok(value) => entries.push((key, value)),
                    Err(error) => return state.at(|| key.into_owned(), Err(error)),
                }
            }
            if has_duplicates(&entries) {
                state.has_duplicates.set(true);
            }
            Ok(Node::Object(entries))
        })
    }
}

/// A key that borrows from the input where it can; serde's own `Cow` always copies.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

fn has_duplicates(entries: &[Entry<'_>]) -> bool {
    if entries.len() > FEW_KEYS {
        let mut seen = HashSet::with_capacity(entries.len());
        return !entries.iter().all(|(key, _)| seen.insert(key.as_ref()));
    }
    entries
        .iter()
        .enumerate()
        .any(|(index, (key, _))| entries.iter().take(index).any(|(earlier, _)| earlier == key))
}

/// Reports every key that an earlier key of the same object repeats.
pub(crate) fn report_duplicates(root: &Node<'_>, findings: &mut Findings) {
    fn walk<'a>(node: &'a Node<'_>, pointer: &mut Pointer, findings: &mut Findings) {
        match node {
            Node::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointer.within(&index.to_string(), |pointer| walk(item, pointer, findings));
                }
            }
            Node::Object(entries) => {
                let mut seen: HashSet<&'a str> = HashSet::new();
                for (key, value) in entries {
                    pointer.within(key, |pointer| {
                        if !seen.insert(key.as_ref()) {
                            findings
                                .report(
                                    Code::DuplicateKey,
                                    || pointer.to_string(),
                                    "this key is in the object twice",
                                )
                                .expected("each key once");
                        }
                        walk(value, pointer, findings);
                    });
                }
            }
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::String(_) => {}
        }
    }
    walk(root, &mut Pointer::default(), findings);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duplicate_keys(tree: &Tree<'_>) -> Vec<String> {
        let mut findings = Findings::new(crate::Mode::Strict, false);
        report_duplicates(&tree.root, &mut findings);
        findings.into_vec().into_iter().map(|finding| finding.pointer).collect()
    }

    fn refused(bytes: &[u8]) -> ParseError {
        parse(bytes, 1 << 21, 64).expect_err("refused")
    }

    #[test]
    fn a_tree_keeps_what_was_written() {
        let text = r#"{"b":[1,-2,2.5,true,null,"x\n"],"a":{}}"#;
        let tree = parse(text.as_bytes(), 1000, 64).unwrap();
        assert_eq!(serde_json::to_string(&tree.root.to_value()).unwrap(), text);
        assert!(!tree.has_duplicates);
    }

    #[test]
    fn duplicates_are_found_wherever_they_are() {
        let text = r#"{"a":[{"x":1,"y":2,"x":3}],"a":0}"#;
        let tree = parse(text.as_bytes(), 1000, 64).unwrap();
        assert!(tree.has_duplicates);
        assert_eq!(duplicate_keys(&tree), ["/a/0/x", "/a"]);
        let many: Vec<String> = (0..40).chain([7]).map(|n| format!("\"k{n}\":0")).collect();
        let text = format!("{{{}}}", many.join(","));
        assert_eq!(duplicate_keys(&parse(text.as_bytes(), 1000, 64).unwrap()), ["/k7"]);
    }

    #[test]
    fn bad_bytes_are_refused_with_their_place() {
        assert_eq!(refused(b"\xEF\xBB\xBF{}").code, Code::ByteOrderMark);
        assert_eq!(refused(b"\xFF\xFE{\0").code, Code::ByteOrderMark);
        let error = refused(b"{\"a\":\"\xC3\x28\"}");
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::InvalidUtf8, "the input is not UTF-8 at byte 6")
        );
        let error = refused(br#"{"a":[0,{"b":nope}]}"#);
        assert_eq!((error.code, error.pointer.as_str()), (Code::InvalidJson, "/a/1/b"));
        assert!(error.message.contains("line 1"), "{}", error.message);
        for bad in ["", "{} {}", "[1,]", "NaN", "[Infinity]", "1e999", "\"\\ud800\"", "{'a':1}"] {
            assert_eq!(refused(bad.as_bytes()).code, Code::InvalidJson, "{bad}");
        }
    }

    #[test]
    fn size_depth_and_count_are_bounded() {
        assert_eq!(refused(&vec![b' '; 1 << 22]).code, Code::InputTooLarge);
        for open in ["[", "{\"a\":"] {
            let error = refused(open.repeat(200_000).as_bytes());
            assert_eq!(error.code, Code::TooDeep, "{open}");
        }
        let fits = format!("{}{}", "[".repeat(64), "]".repeat(64));
        assert!(parse(fits.as_bytes(), 1000, 64).is_ok());
        assert!(parse(fits.as_bytes(), 1000, 63).is_err());
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert_eq!(parse(many.as_bytes(), usize::MAX, 64).unwrap_err().code, Code::TooManyValues);
    }
}
