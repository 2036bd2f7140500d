//! Walking a JSON tree into types, noting every fault with its place.
//!
//! A field is read by asking for it; the names asked for are the names that
//! the object may have, so the types in `pack` are the schema. A fault leaves
//! a default behind and the walk goes on: one reading finds every fault, and
//! the half-read pack is never handed out.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::SpecVersion;
use crate::finding::Code;
use crate::findings::{Findings, Reported};
use crate::grammar::{self, Form};
pub(crate) use crate::json::Node;
use crate::json::{Entry, to_map};
use crate::pointer::Pointer;
use crate::read::{Mode, ReadOptions};

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Key(&'a str),
    Index(usize),
}

fn pointer(places: &[Place<'_>]) -> String {
    let mut pointer = Pointer::default();
    for place in places {
        match place {
            Place::Key(key) => pointer.push(key),
            Place::Index(index) => pointer.push(&index.to_string()),
        }
    }
    pointer.into_string()
}

/// What one reading of a tree carries along.
pub(crate) struct Decoder<'a> {
    places: Vec<Place<'a>>,
    findings: Findings,
    mode: Mode,
    max_version: SpecVersion,
    needs: SpecVersion,
    needs_pointer: Option<String>,
    unknown: IndexMap<String, Value>,
    complete: bool,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(options: &ReadOptions) -> Self {
        Self {
            places: Vec::new(),
            findings: Findings::new(options.mode, options.references_are_errors),
            mode: options.mode,
            max_version: options.max_version.unwrap_or(SpecVersion::NEWEST),
            needs: SpecVersion::V1_0,
            needs_pointer: None,
            unknown: IndexMap::new(),
            complete: true,
        }
    }

    /// The findings, the version needed and the pointer of what needs it.
    pub(crate) fn finish(self) -> (Findings, SpecVersion, Option<String>) {
        (self.findings, self.needs, self.needs_pointer)
    }

    /// Whether every array has all its items: their places can be told from
    /// the types.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn take_unknown(&mut self) -> IndexMap<String, Value> {
        std::mem::take(&mut self.unknown)
    }

    /// Notes a fault at the present place.
    pub(crate) fn report(&mut self, code: Code, message: impl Into<String>) -> Reported<'_> {
        self.findings.report(code, || pointer(&self.places), message)
    }

    pub(crate) fn wrong_type(&mut self, node: &Node<'_>, expected: &str) {
        self.report(Code::WrongType, format!("this is {}", node.kind())).expected(expected);
    }

    pub(crate) fn missing(&mut self, name: &str) {
        self.report(Code::MissingField, "a required field is missing")
            .expected(format!("`{name}`"));
    }

    /// Notes that the present place needs `version`.
    pub(crate) fn uses(&mut self, version: SpecVersion) {
        if version > self.needs {
            self.needs = version;
            self.needs_pointer = Some(pointer(&self.places));
        }
        if version > self.max_version {
            let most = self.max_version;
            self.report(
                Code::VersionTooNew,
                format!("this needs version {version} of the specification"),
            )
            .expected(format!("nothing newer than {most}"));
        }
    }

    /// Runs `walk` one key further down.
    pub(crate) fn within<T>(&mut self, key: &'a str, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.places.push(Place::Key(key));
        let result = walk(self);
        self.places.pop();
        result
    }

    /// The fields of an object.
    pub(crate) fn fields(&mut self, node: &'a Node<'a>) -> Option<Fields<'a>> {
        self.fields_or(node, "an object")
    }

    /// The fields of an object where other kinds of value would do too.
    pub(crate) fn fields_or(&mut self, node: &'a Node<'a>, expected: &str) -> Option<Fields<'a>> {
        match node {
            Node::Object(entries) => {
                Some(Fields { entries, asked: Vec::with_capacity(8), found: 0 })
            }
            _ => {
                self.wrong_type(node, expected);
                None
            }
        }
    }

    pub(crate) fn value(&mut self, node: &'a Node<'a>) -> Option<Value> {
        Some(node.to_value())
    }

    pub(crate) fn open_object(&mut self, node: &'a Node<'a>) -> Option<Map<String, Value>> {
        self.fields(node).map(|fields| to_map(fields.entries))
    }

    /// The `extensions` that version 1.8 allows in most places.
    pub(crate) fn extensions(&mut self, node: &'a Node<'a>) -> Option<Map<String, Value>> {
        self.uses(SpecVersion::V1_8);
        self.open_object(node)
    }

    pub(crate) fn str(&mut self, node: &'a Node<'a>) -> Option<&'a str> {
        match node {
            Node::String(text) => Some(text),
            _ => {
                self.wrong_type(node, "a text");
                None
            }
        }
    }

    pub(crate) fn string(&mut self, node: &'a Node<'a>) -> Option<String> {
        self.str(node).map(str::to_owned)
    }

    pub(crate) fn nonempty(&mut self, node: &'a Node<'a>) -> Option<String> {
        let text = self.str(node)?;
        if text.is_empty() {
            self.report(Code::Empty, "the text is empty").expected("at least one character");
        }
        Some(text.to_owned())
    }

    /// A text of a certain form.
    pub(crate) fn form(&mut self, node: &'a Node<'a>, form: &Form) -> Option<String> {
        let text = self.str(node)?;
        if !form.matches(text) {
            self.report(Code::BadForm, format!("`{}` does not have the right form", excerpt(text)))
                .expected(form.expected);
        }
        Some(text.to_owned())
    }

    /// An absolute address.
    pub(crate) fn address(&mut self, node: &'a Node<'a>) -> Option<String> {
        let text = self.string(node)?;
        if !grammar::is_address(&text) {
            self.report(
                Code::BadFormat,
                format!("`{}` is not an absolute address", excerpt(&text)),
            )
            .expected("an address such as `https://example.org/`");
        }
        Some(text)
    }

    /// One of the given texts.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        node: &'a Node<'a>,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.str(node)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.report(Code::NotAllowed, format!("`{}` is not allowed here", excerpt(text)))
                .expected(names.join(", "))
                .suggest(text, names);
        }
        found
    }

    pub(crate) fn boolean(&mut self, node: &'a Node<'a>) -> Option<bool> {
        match node {
            Node::Bool(value) => Some(*value),
            _ => {
                self.wrong_type(node, "true or false");
                None
            }
        }
    }

    pub(crate) fn number(&mut self, node: &'a Node<'a>) -> Option<f64> {
        match node {
            Node::Number(number) => number.as_f64(),
            _ => {
                self.wrong_type(node, "a number");
                None
            }
        }
    }

    pub(crate) fn number_in(&mut self, node: &'a Node<'a>, low: f64, high: f64) -> Option<f64> {
        let number = self.number(node)?;
        if !(low..=high).contains(&number) {
            self.report(Code::OutOfRange, format!("{number} is out of range"))
                .expected(format!("{low} to {high}"));
        }
        Some(number)
    }

    /// A number that is not negative.
    pub(crate) fn amount(&mut self, node: &'a Node<'a>) -> Option<f64> {
        let number = self.number(node)?;
        if number < 0.0 {
            self.report(Code::OutOfRange, format!("{number} is out of range"))
                .expected("at least 0");
        }
        Some(number)
    }

    /// A whole number of at least `least`; `5.0` is whole, as in JSON Schema.
    pub(crate) fn integer(&mut self, node: &'a Node<'a>, least: u64) -> Option<u64> {
        let Node::Number(number) = node else {
            self.wrong_type(node, "a whole number");
            return None;
        };
        let whole = number.as_u64().or_else(|| {
            number.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64)
        });
        match whole {
            Some(whole) if whole >= least => Some(whole),
            _ if number.as_f64().is_some_and(|n| n.fract() != 0.0) => {
                self.report(Code::WrongType, format!("{number} is not a whole number"))
                    .expected("a whole number");
                None
            }
            _ => {
                self.report(Code::OutOfRange, format!("{number} is out of range"))
                    .expected(format!("at least {least}"));
                None
            }
        }
    }

    /// A whole number of at least 1. What does not fit 32 bits is as good as
    /// no limit and becomes the largest such number.
    pub(crate) fn count(&mut self, node: &'a Node<'a>) -> Option<u32> {
        self.integer(node, 1).map(|whole| u32::try_from(whole).unwrap_or(u32::MAX))
    }

    pub(crate) fn strings(&mut self, node: &'a Node<'a>) -> Option<Vec<String>> {
        self.list(node, Self::string)
    }

    /// An array; items with faults are left out.
    pub(crate) fn list<T>(
        &mut self,
        node: &'a Node<'a>,
        item: impl Fn(&mut Self, &'a Node<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Node::Array(nodes) = node else {
            self.wrong_type(node, "an array");
            return None;
        };
        let mut items = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            self.places.push(Place::Index(index));
            let read = item(self, node);
            self.complete &= read.is_some();
            items.extend(read);
            self.places.pop();
        }
        Some(items)
    }

    /// Walks every value of an object with free keys.
    pub(crate) fn each(
        &mut self,
        node: &'a Node<'a>,
        item: impl Fn(&mut Self, &'a Node<'a>) -> Option<()>,
    ) -> Option<()> {
        let fields = self.fields(node)?;
        for (key, node) in fields.entries {
            self.within(key, |decoder| item(decoder, node));
        }
        Some(())
    }

    /// An object with free keys; entries with faults are left out.
    pub(crate) fn map<T>(
        &mut self,
        node: &'a Node<'a>,
        item: impl Fn(&mut Self, &'a Node<'a>) -> Option<T>,
    ) -> Option<IndexMap<String, T>> {
        let fields = self.fields(node)?;
        let mut items = IndexMap::with_capacity(fields.entries.len());
        for (key, node) in fields.entries {
            if let Some(value) = self.within(key, |decoder| item(decoder, node)) {
                items.insert(key.to_string(), value);
            }
        }
        Some(items)
    }

    pub(crate) fn at_most(&mut self, text: &str, most: usize) {
        // A text has at most as many characters as bytes, so most are not counted.
        if text.len() > most {
            let length = text.chars().count();
            if length > most {
                self.report(Code::TooLong, format!("the text is {length} characters long"))
                    .expected(format!("at most {most} characters"));
            }
        }
    }

    /// Arrays and objects of at least `least` entries, `what` in words.
    pub(crate) fn at_least(&mut self, node: &Node<'_>, least: usize, what: &str) {
        let length = match node {
            Node::Array(items) => items.len(),
            Node::Object(entries) => entries.len(),
            _ => return,
        };
        if length < least {
            self.report(Code::Empty, format!("the number of entries is {length}"))
                .expected(format!("at least {what}"));
        }
    }
}

/// The beginning of a text, for messages.
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The fields of one object, each read by asking for it.
pub(crate) struct Fields<'a> {
    entries: &'a [Entry<'a>],
    asked: Vec<&'static str>,
    found: usize,
}

impl<'a> Fields<'a> {
    fn ask(&mut self, name: &'static str) -> Option<&'a Node<'a>> {
        self.asked.push(name);
        let found = self.entries.iter().find(|(key, _)| key == name).map(|(_, node)| node);
        self.found += usize::from(found.is_some());
        found
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| key == name)
    }

    pub(crate) fn optional<T>(
        &mut self,
        decoder: &mut Decoder<'a>,
        name: &'static str,
        read: impl FnOnce(&mut Decoder<'a>, &'a Node<'a>) -> Option<T>,
    ) -> Option<T> {
        let node = self.ask(name)?;
        decoder.within(name, |decoder| read(decoder, node))
    }

    pub(crate) fn or_default<T: Default>(
        &mut self,
        decoder: &mut Decoder<'a>,
        name: &'static str,
        read: impl FnOnce(&mut Decoder<'a>, &'a Node<'a>) -> Option<T>,
    ) -> T {
        self.optional(decoder, name, read).unwrap_or_default()
    }

    /// A field that must be there. The default stands in after a fault.
    pub(crate) fn required<T: Default>(
        &mut self,
        decoder: &mut Decoder<'a>,
        name: &'static str,
        read: impl FnOnce(&mut Decoder<'a>, &'a Node<'a>) -> Option<T>,
    ) -> T {
        match self.ask(name) {
            Some(node) => decoder.within(name, |decoder| read(decoder, node)).unwrap_or_default(),
            None => {
                decoder.missing(name);
                T::default()
            }
        }
    }

    /// The fields that were not asked for.
    pub(crate) fn remaining(&self) -> impl Iterator<Item = (&'a str, &'a Node<'a>)> + use<'a, '_> {
        let all_known = self.found == self.entries.len();
        let entries = if all_known { &[] } else { self.entries };
        entries
            .iter()
            .filter(|(key, _)| !self.asked.contains(&key.as_ref()))
            .map(|(key, node)| (key.as_ref(), node))
    }

    /// The fields that were not asked for, kept as they are.
    pub(crate) fn rest(&self) -> Map<String, Value> {
        self.remaining().map(|(key, node)| (key.to_owned(), node.to_value())).collect()
    }

    /// Nothing but the fields asked for may be in this object.
    pub(crate) fn closed(self, decoder: &mut Decoder<'a>) {
        for (key, node) in self.remaining() {
            decoder.within(key, |decoder| {
                decoder
                    .report(
                        Code::UnknownKey,
                        format!("the key `{}` is not defined here", excerpt(key)),
                    )
                    .expected(self.asked.join(", "))
                    .suggest(key, self.asked.iter().copied());
                if decoder.mode == Mode::Lenient && !decoder.findings.is_full() {
                    decoder.unknown.insert(pointer(&decoder.places), node.to_value());
                }
            });
        }
    }

    /// Other fields may be in this object, but nothing reads them.
    pub(crate) fn note_ignored(self, decoder: &mut Decoder<'a>, what: &str) {
        for (key, _) in self.remaining() {
            decoder.within(key, |decoder| {
                decoder
                    .report(
                        Code::IgnoredKey,
                        format!("{what} has no field `{}`; it has no effect", excerpt(key)),
                    )
                    .suggest(key, self.asked.iter().copied());
            });
        }
    }
}
