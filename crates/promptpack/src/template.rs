//! Templates: text with placeholders.
//!
//! ```text
//! {{name}}  {{ name }}            a variable; a fragment when no variable has the name
//! {{name.field}}  {{name[0].x}}   inside an object or an array
//! {{fragment:name}}               a fragment
//! {{fragments.name}}              a fragment
//! {{artifacts.name}}              what a workflow state has left behind
//! \{{                             two braces that open nothing
//! ```
//!
//! Braces around anything else (`{{#if x}}`, `{{7*7}}`, `{{a-b}}`) are text.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use crate::grammar::{identifier_rest, identifier_start};

/// Bounds on what a template may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateLimits {
    /// How many fragments may lie inside each other.
    pub max_depth: usize,
    /// Longest text, in bytes: of a template with its fragments, and of the
    /// rendered prompt.
    pub max_bytes: usize,
}

impl Default for TemplateLimits {
    /// 16 fragments deep, 4 MiB long.
    fn default() -> Self {
        Self { max_depth: 16, max_bytes: 4 << 20 }
    }
}

/// A place in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Bytes from the start.
    pub offset: usize,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl Position {
    const START: Self = Self { offset: 0, line: 1, column: 1 };

    fn after(self, text: &str) -> Self {
        let offset = self.offset + text.len();
        match text.rsplit_once('\n') {
            Some((before, last)) => Self {
                offset,
                line: self.line + 1 + before.bytes().filter(|byte| *byte == b'\n').count(),
                column: 1 + last.chars().count(),
            },
            None => Self { offset, line: self.line, column: self.column + text.chars().count() },
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

/// Which text of a pack a position lies in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateSource {
    /// The prompt's `system_template`.
    System,
    /// The model override's `system_template`.
    Override,
    /// The model override's `system_template_prefix`.
    Prefix,
    /// The model override's `system_template_suffix`.
    Suffix,
    /// A fragment.
    Fragment(String),
}

impl fmt::Display for TemplateSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => formatter.write_str("the system template"),
            Self::Override => formatter.write_str("the model override's template"),
            Self::Prefix => formatter.write_str("the model override's prefix"),
            Self::Suffix => formatter.write_str("the model override's suffix"),
            Self::Fragment(name) => write!(formatter, "the fragment `{name}`"),
        }
    }
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The text is longer than a template may be.
    #[error("the template is {length} bytes long; at most {max} are allowed")]
    TooLong {
        /// Its length, in bytes.
        length: usize,
        /// The most allowed, in bytes.
        max: usize,
    },
    /// A fragment does not exist.
    #[error("{source_text} names the fragment `{name}` at {position}, which does not exist")]
    UnknownFragment {
        /// The name that is not there.
        name: String,
        /// The text that names it.
        source_text: TemplateSource,
        /// Where.
        position: Position,
    },
    /// Fragments include each other in a circle.
    #[error("fragments include each other in a circle: {}", chain.join(" → "))]
    FragmentCycle {
        /// The fragments from the template on; the last one is in it twice.
        chain: Vec<String>,
    },
    /// Fragments lie too deep inside each other.
    #[error("fragments lie more than {max} deep inside each other: {}", chain.join(" → "))]
    FragmentDepth {
        /// The fragments from the template on.
        chain: Vec<String>,
        /// The most allowed.
        max: usize,
    },
    /// The template with its fragments is too long.
    #[error(
        "the template with its fragments is longer than {max} bytes; reached in {}",
        chain_or_template(chain)
    )]
    TooLarge {
        /// The fragments from the template on.
        chain: Vec<String>,
        /// The most allowed, in bytes.
        max: usize,
    },
}

fn chain_or_template(chain: &[String]) -> String {
    if chain.is_empty() { "the template itself".to_owned() } else { chain.join(" → ") }
}

/// How a placeholder names a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FragmentStyle {
    /// `{{fragment:name}}`, as promptpack-python reads it.
    Colon,
    /// `{{fragments.name}}`, as the documentation writes it.
    Dotted,
    /// `{{name}}`, as promptpack-langchainjs reads it.
    Bare,
}

impl FragmentStyle {
    /// What the style looks like.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Colon => "{{fragment:name}}",
            Self::Dotted => "{{fragments.name}}",
            Self::Bare => "{{name}}",
        }
    }
}

/// One step into an object or an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// `.name`.
    Field(String),
    /// `[n]`, from 0.
    Index(usize),
}

/// What stands between double braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placeholder {
    /// A fragment, named as one.
    Fragment {
        /// Its name.
        name: String,
        /// How it is named; never [`FragmentStyle::Bare`].
        style: FragmentStyle,
    },
    /// A variable, or a fragment when there are no steps and no variable has the name.
    Name {
        /// The variable.
        root: String,
        /// The way into its value.
        steps: Vec<PathStep>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(Range<usize>),
    Placeholder { placeholder: Placeholder, span: Range<usize>, position: Position },
}

/// A text taken apart once into literal text and placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    pub(crate) parts: Vec<Part>,
    oddities: Vec<(Position, String)>,
}

impl Template {
    /// Longest text of one template, in bytes.
    pub const MAX_BYTES: usize = 8 << 20;

    /// Takes `text` apart. Whatever is no placeholder is literal text.
    ///
    /// # Errors
    ///
    /// [`TemplateError::TooLong`] when the text is longer than [`Self::MAX_BYTES`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > Self::MAX_BYTES {
            return Err(TemplateError::TooLong { length: text.len(), max: Self::MAX_BYTES });
        }
        Ok(Self::take_apart(text))
    }

    /// [`Self::parse`] for a text whose length is bounded already.
    pub(crate) fn take_apart(text: &str) -> Self {
        let mut parser = Parser {
            text,
            literal: 0,
            at: Position::START,
            parts: Vec::new(),
            oddities: Vec::new(),
        };
        parser.run();
        let Parser { parts, oddities, .. } = parser;
        Self { text: text.to_owned(), parts, oddities }
    }

    /// The placeholders, in order, with their places.
    pub fn placeholders(&self) -> impl Iterator<Item = (&Placeholder, Position)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder { placeholder, position, .. } => Some((placeholder, *position)),
            Part::Text(_) => None,
        })
    }

    /// Text in double braces that is no placeholder and stays as it is.
    pub fn oddities(&self) -> impl Iterator<Item = (Position, &str)> {
        self.oddities.iter().map(|(position, text)| (*position, text.as_str()))
    }

    /// The text that was taken apart.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn slice(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }
}

/// Oddities beyond this are not listed.
const MAX_ODDITIES: usize = 20;

struct Parser<'t> {
    text: &'t str,
    /// Where the literal text begins that has not become a part yet.
    literal: usize,
    /// A place at or before `literal` whose line is known.
    at: Position,
    parts: Vec<Part>,
    oddities: Vec<(Position, String)>,
}

impl<'t> Parser<'t> {
    fn run(&mut self) {
        let mut search = 0;
        while let Some(found) = self.rest(search).find("{{") {
            let open = search + found;
            let literal_from = self.literal.max(search);
            let backslashes = self
                .text
                .as_bytes()
                .get(literal_from..open)
                .unwrap_or_default()
                .iter()
                .rev()
                .take_while(|b| **b == b'\\')
                .count();
            // Each pair of backslashes stands for one; an odd one makes the braces text.
            let kept = open - backslashes + backslashes / 2;
            if backslashes % 2 == 1 {
                self.flush(kept);
                self.literal = open;
                search = open + 2;
                continue;
            }
            match parse_placeholder(self.rest(open + 2)) {
                Some((placeholder, length)) => {
                    self.flush(kept);
                    let end = open + 2 + length;
                    let position = self.position(open);
                    self.parts.push(Part::Placeholder { placeholder, span: open..end, position });
                    self.literal = end;
                    search = end;
                }
                None => {
                    self.note_oddity(open);
                    // The second brace may open a placeholder of its own: `{{{name}}}`.
                    search = open + 1;
                }
            }
        }
        self.flush(self.text.len());
    }

    fn rest(&self, from: usize) -> &'t str {
        self.text.get(from..).unwrap_or_default()
    }

    /// Makes the pending literal text up to `end` a part.
    fn flush(&mut self, end: usize) {
        if end > self.literal {
            self.parts.push(Part::Text(self.literal..end));
        }
    }

    fn position(&mut self, offset: usize) -> Position {
        self.at = self.at.after(self.text.get(self.at.offset..offset).unwrap_or_default());
        self.at
    }

    fn note_oddity(&mut self, open: usize) {
        if self.oddities.len() < MAX_ODDITIES {
            let rest = self.rest(open);
            let end = rest.find("}}").map_or(rest.len(), |close| close + 2);
            let shown: String = rest.get(..end).unwrap_or(rest).chars().take(40).collect();
            let position = self.position(open);
            self.oddities.push((position, shown));
        }
    }
}

/// Reads what follows `{{`; gives the placeholder and the length up to and
/// with `}}`.
fn parse_placeholder(text: &str) -> Option<(Placeholder, usize)> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_blanks();
    let root = cursor.identifier()?;
    let placeholder = if root == "fragment" && cursor.eat(":") {
        Placeholder::Fragment { name: cursor.fragment_name()?, style: FragmentStyle::Colon }
    } else if root == "fragments" && cursor.eat(".") {
        Placeholder::Fragment { name: cursor.fragment_name()?, style: FragmentStyle::Dotted }
    } else {
        let mut steps = Vec::new();
        loop {
            if cursor.eat(".") {
                steps.push(PathStep::Field(cursor.field()?.to_owned()));
            } else if cursor.eat("[") {
                steps
                    .push(PathStep::Index(cursor.take_while(|c| c.is_ascii_digit()).parse().ok()?));
                cursor.eat("]").then_some(())?;
            } else {
                break;
            }
        }
        Placeholder::Name { root: root.to_owned(), steps }
    };
    cursor.skip_blanks();
    cursor.eat("}}").then_some((placeholder, cursor.at))
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| accept(*byte)).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        self.take_while(|byte| byte == b' ' || byte == b'\t');
    }

    fn identifier(&mut self) -> Option<&'t str> {
        self.rest().bytes().next().filter(|byte| identifier_start(*byte))?;
        Some(self.take_while(identifier_rest))
    }

    fn field(&mut self) -> Option<&'t str> {
        Some(self.take_while(|byte| identifier_rest(byte) || byte == b'-'))
            .filter(|field| !field.is_empty())
    }

    /// The specification leaves the names of fragments open, so everything but
    /// braces and blanks will do.
    fn fragment_name(&mut self) -> Option<String> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| c == '{' || c == '}' || c.is_whitespace() || c.is_control())
            .unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).filter(|name| !name.is_empty()).map(str::to_owned)
    }
}
