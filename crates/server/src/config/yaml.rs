//! YAML with the place of every value, so that a problem found later can point to it.

use std::fmt;
use std::path::Path;

use decide::policy::{Data, DataFile, DataValue};
use decide::problem::Problem;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use super::overrides::Overrides;
use super::reads::Reader;
use super::references::{self, Environment, References};
use super::report::{Invalid, Syntax};

/// A YAML document: its text, its value, and where each part of it stands.
#[derive(Clone)]
pub(super) struct Document {
    name: String,
    text: String,
    value: Value,
    root: Option<Place>,
    references: References,
    /// The variables of the environment that say settings, as a text.
    environment: String,
}

/// The value can have secrets in it.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Where a value stands (byte offset and length), and where its members do.
#[derive(Clone, Debug)]
struct Place {
    value: Span,
    /// The name of a member of a map.
    key: Option<Span>,
    members: Vec<(String, Place)>,
}

/// Byte offset and length.
type Span = (usize, usize);

/// What to do about `[${NAME}]`: YAML takes the bracket for one of its own.
const UNQUOTED: &str = "between `[` and `]` or `{` and `}`, a reference needs quotes: \"${NAME}\"";

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// The syntax error, at its place.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Invalid> {
        match read(text) {
            Ok((value, root)) => Ok(Self {
                value,
                root: Some(root),
                ..Self::unread(name, text)
            }),
            Err(problem) => Err(Invalid::syntax(Self::unread(name, text), problem)),
        }
    }

    /// Replaces the references in the value; paths begin at `folder`. Says which of them have no value.
    pub(super) fn resolve(
        &mut self,
        folder: &Path,
        environment: Environment<'_>,
        reader: &Reader,
    ) -> Vec<Problem> {
        let resolved = references::resolve(std::mem::take(&mut self.value), folder, environment, reader);
        self.value = resolved.value;
        self.references = resolved.references;
        resolved.problems
    }

    /// A document that could not be read.
    pub(super) fn unread(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            value: Value::Null,
            root: None,
            references: References::default(),
            environment: String::new(),
        }
    }

    /// Puts in what flags and the environment say.
    pub(super) fn override_by(&mut self, overrides: &Overrides) {
        overrides.put(&mut self.value);
        self.environment = overrides.text();
    }

    /// The variables of the environment that say settings, as a text.
    pub(super) fn environment(&self) -> &str {
        &self.environment
    }

    /// The file's name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The value, as JSON has it. It has secrets in it once references are replaced.
    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    /// The references that were replaced.
    pub(super) fn references(&self) -> &References {
        &self.references
    }

    /// Byte offset and length of the value that a JSON pointer names, or of the nearest part around it that exists;
    /// only its first line if it has several.
    pub(super) fn locate(&self, pointer: &str) -> Span {
        let (start, length) = self.find(pointer).map_or((0, 0), |place| place.value);
        self.first_line(start, start + length)
    }

    /// The same for the name of the value instead of the value.
    pub(super) fn locate_key(&self, pointer: &str) -> Span {
        match self.find(pointer).and_then(|place| place.key) {
            Some((start, length)) => self.first_line(start, start + length),
            None => self.locate(pointer),
        }
    }

    /// The line (from 1) of the value that a JSON pointer names.
    pub(super) fn line(&self, pointer: &str) -> usize {
        let (start, _) = self.locate(pointer);
        let before = self.text.get(..start).unwrap_or_default();
        before.matches('\n').count() + 1
    }

    fn find(&self, pointer: &str) -> Option<&Place> {
        let mut place = self.root.as_ref()?;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            match place.members.iter().find(|(name, _)| *name == step) {
                Some((_, member)) => place = member,
                None => break,
            }
        }
        Some(place)
    }

    fn first_line(&self, start: usize, end: usize) -> Span {
        let text = self.text.get(start..end).unwrap_or_default();
        (start, text.lines().next().unwrap_or_default().trim_end().len())
    }
}

/// The value of another file.
///
/// # Errors
/// Line and column (from 1) of what is not YAML.
pub(super) fn value(text: &str) -> Result<Value, (usize, usize)> {
    match read(text) {
        Ok((value, _)) => Ok(value),
        Err(Syntax { offset, .. }) => {
            let before = text.get(..offset).unwrap_or(text);
            let line = before.rsplit('\n').next().unwrap_or_default();
            Err((before.matches('\n').count() + 1, line.chars().count() + 1))
        }
    }
}

/// A data file: its values with their places.
///
/// # Errors
/// The syntax error, at its place.
pub(super) fn data(name: String, text: String) -> Result<DataFile, Invalid> {
    // There may be any number of entries.
    let options = serde_saphyr::options! { strict_booleans: true, budget: None };
    match nodes(&text, options) {
        Ok(node) => Ok(DataFile {
            data: node.data(&text),
            name,
            text,
        }),
        Err(problem) => Err(Invalid::syntax(Document::unread(&name, &text), problem)),
    }
}

fn read(text: &str) -> Result<(Value, Place), Syntax> {
    // Only `true` and `false` are booleans: `decision_log: off` is a word, as in every YAML since 2009.
    let options = serde_saphyr::options! { strict_booleans: true };
    Ok(nodes(text, options)?.split(text))
}

fn nodes(text: &str, options: serde_saphyr::Options) -> Result<Node, Syntax> {
    match serde_saphyr::from_str_with_options::<Node>(text, options) {
        Ok(node) => Ok(node),
        Err(error) => {
            let at = error
                .location()
                .map(|location| match location.span().byte_offset() {
                    Some(_) => span_of(&location).0,
                    None => offset_of(text, &location),
                });
            let offset = at.unwrap_or_default();
            let (message, help) = syntax_message(&error.to_string());
            let before = text.get(..offset).unwrap_or_default();
            let is_reference = before.ends_with('$') || before.ends_with("${");
            Err(Syntax {
                offset,
                message,
                help: if is_reference { UNQUOTED } else { help },
            })
        }
    }
}

fn span_of(location: &Location) -> Span {
    let bytes = |count: Option<u64>| usize::try_from(count.unwrap_or_default()).unwrap_or_default();
    let span = location.span();
    (bytes(span.byte_offset()), bytes(span.byte_len()))
}

/// Line and column (both from 1, in characters) -> byte offset.
fn offset_of(text: &str, location: &Location) -> usize {
    let from_zero = |number: u64| usize::try_from(number).unwrap_or(1).saturating_sub(1);
    let lines = text.split_inclusive('\n').take(from_zero(location.line()));
    let start: usize = lines.map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let column = rest.chars().take(from_zero(location.column()));
    start + column.map(char::len_utf8).sum::<usize>()
}

/// The parser's message without the place, which is shown anyway, and without advice to programmers; and what to do.
fn syntax_message(whole: &str) -> (String, &'static str) {
    let line = whole.lines().next().unwrap_or_default();
    let line = line.trim_start_matches("error: ");
    let message = match line.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((_place, message)) => message,
        None => line,
    };
    let twice = message
        .strip_prefix("duplicate mapping key: ")
        .and_then(|rest| rest.split(',').next());
    match twice {
        Some(key) => (format!("`{key}` is there twice"), "keep one of the two"),
        None => (
            format!("this is not YAML: {message}"),
            "the cause may stand before this place: an indentation, or a bracket or quote that is not closed",
        ),
    }
}

/// A value with its place, as the parser hands them over together.
#[derive(Debug)]
struct Node(Spanned<Content>);

#[derive(Debug)]
enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
}

impl Node {
    fn split(self, text: &str) -> (Value, Place) {
        let (start, length) = span_of(&self.0.referenced);
        let (value, members) = match self.0.value {
            Content::Scalar(value) => (value, Vec::new()),
            Content::List(nodes) => {
                let (mut values, mut members) = (Vec::new(), Vec::new());
                for (index, node) in nodes.into_iter().enumerate() {
                    let (value, place) = node.split(text);
                    values.push(value);
                    members.push((index.to_string(), place));
                }
                (Value::Array(values), members)
            }
            Content::Map(nodes) => {
                let (mut object, mut members) = (Map::new(), Vec::new());
                for (key, node) in nodes {
                    let (value, mut place) = node.split(text);
                    place.key = Some(span_of(&key.referenced));
                    object.insert(key.value.clone(), value);
                    members.push((key.value, place));
                }
                (Value::Object(object), members)
            }
        };
        // The parser gives the length of scalars; a collection ends with its last member or its closing bracket.
        let last = members
            .last()
            .map_or(start + length, |(_, last)| last.value.0 + last.value.1);
        let closing = match text.get(start..).and_then(|rest| rest.chars().next()) {
            Some('[') if !value.is_string() => text.get(last..).and_then(|rest| rest.find(']')),
            Some('{') if !value.is_string() => text.get(last..).and_then(|rest| rest.find('}')),
            _ => None,
        };
        let end = closing.map_or(last, |more| last + more + 1);
        let place = Place {
            value: (start, end.saturating_sub(start)),
            key: None,
            members,
        };
        (value, place)
    }
}

impl Node {
    /// With the first line of each value for its place.
    fn data(self, text: &str) -> Data {
        let (start, length) = span_of(&self.0.referenced);
        let value = match self.0.value {
            Content::Scalar(value) => DataValue::Scalar(value),
            Content::List(nodes) => DataValue::List(nodes.into_iter().map(|node| node.data(text)).collect()),
            Content::Map(nodes) => DataValue::Map(
                nodes
                    .into_iter()
                    .map(|(key, node)| (key.value, span_of(&key.referenced), node.data(text)))
                    .collect(),
            ),
        };
        let end = match &value {
            DataValue::Scalar(_) => start + length,
            DataValue::List(entries) => entries.last().map_or(start + 1, |last| last.span.0 + last.span.1),
            DataValue::Map(members) => members
                .last()
                .map_or(start + 1, |(.., last)| last.span.0 + last.span.1),
        };
        let first_line = text.get(start..end).unwrap_or_default().lines().next();
        let span = (start, first_line.unwrap_or_default().trim_end().len());
        Data { span, value }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;

        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any YAML value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
                Ok(Content::Scalar(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
                Ok(Content::Scalar(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
                Ok(Content::Scalar(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
                Ok(Content::Scalar(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Content, E> {
                Ok(Content::Scalar(value.into()))
            }

            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content::Scalar(Value::Null))
            }

            fn visit_none<E>(self) -> Result<Content, E> {
                Ok(Content::Scalar(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
                Content::deserialize(deserializer)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = items.next_element()? {
                    nodes.push(node);
                }
                Ok(Content::List(nodes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
                let mut nodes = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    nodes.push(entry);
                }
                Ok(Content::Map(nodes))
            }
        }

        deserializer.deserialize_any(ContentVisitor)
    }
}
