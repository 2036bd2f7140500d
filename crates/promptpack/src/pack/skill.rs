//! Skills: instructions that an agent loads when it needs them.

use serde::Serialize;

use crate::decode::{Decoder, Node};

/// Where instructions come from (spec: `SkillSource`, 1.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "source")]
pub enum SkillSource {
    /// A path or a package name such as `@org/name`.
    Path {
        /// The path, as written.
        path: String,
        /// Whether it is loaded at once.
        preload: bool,
    },
    /// Written in the pack.
    Inline {
        /// The skill's name.
        name: String,
        /// When to use it.
        description: String,
        /// What it says.
        instructions: String,
    },
}

impl SkillSource {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        if let Node::String(path) = node {
            return Some(Self::Path { path: path.to_string(), preload: false });
        }
        let mut fields = decoder.fields_or(node, "a path, or an object with `path`, or one with `name`, `description` and `instructions`")?;
        let source = if fields.has("name") || fields.has("instructions") {
            Self::Inline {
                name: fields.required(decoder, "name", Decoder::nonempty),
                description: fields.required(decoder, "description", Decoder::nonempty),
                instructions: fields.required(decoder, "instructions", Decoder::nonempty),
            }
        } else {
            Self::Path {
                path: fields.required(decoder, "path", Decoder::string),
                preload: fields.or_default(decoder, "preload", Decoder::boolean),
            }
        };
        fields.closed(decoder);
        Some(source)
    }
}
