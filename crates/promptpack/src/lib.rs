//! The PromptPack format: parse, check, render.
//!
//! A PromptPack is an agent described as data: prompts with variables, tools,
//! limits and guardrails in one JSON file. This crate reads every version of
//! the format to 1.9, says what is wrong with a pack and where, and renders
//! its prompts.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bytes = br#"{
//!   "id": "hello", "name": "Hello", "version": "1.0.0",
//!   "template_engine": {"version": "v1", "syntax": "{{variable}}"},
//!   "prompts": {"greet": {
//!     "id": "greet", "name": "Greet", "version": "1.0.0",
//!     "system_template": "Greet {{who}}.",
//!     "variables": [{"name": "who", "type": "string", "required": true}]
//!   }}
//! }"#;
//! let report = promptpack::read(bytes, &promptpack::ReadOptions::default());
//! let pack = report.pack.ok_or("the pack has faults")?;
//! let prompt = pack.compile("greet", None)?;
//! let values = serde_json::json!({"who": "{{everyone}}"});
//! let values = values.as_object().ok_or("an object")?;
//! assert_eq!(prompt.render(values)?, "Greet {{everyone}}.");
//! # Ok(())
//! # }
//! ```
//!
//! # What it never does
//!
//! It reads nothing but the bytes it is given and runs nothing: no files, no
//! network, no clock, no threads, no logging. A value is inserted once and
//! never looked at again, so no value can become a placeholder. Work and
//! memory are bounded by the size of the input, and that by
//! [`ReadOptions`]. No error message holds a value that was to be rendered.
//! Nothing that a pack says is dropped in silence: [`support`] tells what is
//! acted on and what is only parsed and checked.
//!
//! # Layout
//!
//! - [`read()`] — bytes to a [`Report`]; `json` is the tree with its bounds,
//!   `decode` walks it, `grammar` knows the small forms of names and versions
//! - [`Pack`] and the types under it — `pack/`, one file per part of the format
//! - [`Finding`], [`Code`], [`Severity`] — what a check says; `findings` collects them
//! - `check/` — whether the parts of a pack fit each other
//! - [`Template`] — text with placeholders
//! - [`CompiledPrompt`] — one prompt ready to render: `compile`, `render`
//! - [`support`] — what this release acts on

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests"))]

mod check;
mod compile;
mod decode;
mod finding;
mod findings;
mod grammar;
mod json;
mod pack;
mod pattern;
mod pointer;
mod read;
mod render;
mod spec_version;
mod support;
mod template;

pub use compile::{CompileError, CompiledPrompt};
pub use finding::{Code, Finding, Severity};
pub use pack::*;
pub use pattern::{Pattern, PatternError};
pub use read::{Mode, ReadOptions, Report, read};
pub use render::{FaultKind, RenderError, ValueFault};
pub use spec_version::{SpecVersion, UnknownSpecVersion};
pub use support::{FeatureSupport, SupportLevel, support};
pub use template::{
    FragmentStyle, PathStep, Placeholder, Position, Template, TemplateError, TemplateLimits,
    TemplateSource,
};

/// Most values (numbers, texts, arrays, objects, …) in one input; more are refused.
pub const MAX_VALUES: usize = 1_000_000;
