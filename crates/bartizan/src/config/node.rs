//! A value with the lines that its parts stand on.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

/// A YAML or JSON value that knows the line of every part.
#[derive(Clone, Debug)]
pub struct Node {
    /// 1 for the first line; 0 where there are no lines.
    pub line: u64,
    /// The value.
    pub shape: Shape,
}

/// What a value can be.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Text, a number, a truth value or nothing.
    Scalar(Value),
    /// Several.
    List(Vec<Node>),
    /// Several by name, in the order of the file.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Reads YAML, of which JSON is a part.
    ///
    /// # Errors
    /// Where the text is not YAML or has a key twice.
    pub fn read(text: &str) -> Result<Self, serde_saphyr::Error> {
        // A file without a document (empty, or comments only) says nothing.
        let nothing = text.lines().all(|line| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#') || line == "---"
        });
        if nothing {
            return Ok(Self { line: 1, shape: Shape::Map(Vec::new()) });
        }
        serde_saphyr::from_str::<Spanned<Shape>>(text).map(Self::from)
    }
}

impl From<Spanned<Shape>> for Node {
    fn from(spanned: Spanned<Shape>) -> Self {
        Self { line: spanned.referenced.line(), shape: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Shape, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Shape::Scalar(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Shape>>()? {
            list.push(item.into());
        }
        Ok(Shape::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut map = Vec::new();
        while let Some(name) = entries.next_key::<Spanned<String>>()? {
            let mut node = Node::from(entries.next_value::<Spanned<Shape>>()?);
            // The line of the name: a block's own line is the one after it.
            node.line = name.referenced.line();
            map.push((name.value, node));
        }
        Ok(Shape::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value without its lines.
    fn plain(node: Node) -> Value {
        match node.shape {
            Shape::Scalar(value) => value,
            Shape::List(items) => items.into_iter().map(plain).collect(),
            Shape::Map(entries) => {
                Value::Object(entries.into_iter().map(|(name, node)| (name, plain(node))).collect())
            }
        }
    }

    #[test]
    fn lines_are_those_of_the_names() {
        let text = "a: 1\nb:\n  c: [x, 2, null]\n\n  d:\n    - e: true\n";
        let node = Node::read(text).unwrap();
        let Shape::Map(entries) = &node.shape else { panic!("{node:?}") };
        assert_eq!(entries.iter().map(|(_, node)| node.line).collect::<Vec<_>>(), [1, 2]);
        let Shape::Map(inner) = &entries[1].1.shape else { panic!("{node:?}") };
        assert_eq!(inner.iter().map(|(_, node)| node.line).collect::<Vec<_>>(), [3, 5]);
        let Shape::List(items) = &inner[1].1.shape else { panic!("{node:?}") };
        assert_eq!(items[0].line, 6);
        let expected = serde_json::json!({"a": 1, "b": {"c": ["x", 2, null], "d": [{"e": true}]}});
        assert_eq!(plain(node), expected);
    }

    #[test]
    fn a_file_that_says_nothing_is_an_empty_map() {
        for text in ["", "\n", "# only a remark\n", "---\n# x\n"] {
            assert_eq!(plain(Node::read(text).unwrap()), serde_json::json!({}), "{text:?}");
        }
    }

    #[test]
    fn a_name_given_twice_is_an_error() {
        Node::read("a: 1\na: 2\n").unwrap_err();
    }
}
