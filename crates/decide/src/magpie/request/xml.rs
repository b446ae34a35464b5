//! XML documents, piece by piece: namespaces are resolved, everything that two readers could take differently is refused.
//!
//! No document types and no entities, so nothing is ever resolved or expanded; depth, size of tags and number of
//! namespaces are bounded.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::Unclear;
use super::parameters::malformed;

/// The largest document, in bytes.
const MOST_BYTES: usize = 1024 * 1024;
/// The largest tag, in bytes. Looking for attributes that are there twice costs their number squared.
const MOST_TAG_BYTES: usize = 8 * 1024;
/// The deepest element; the outermost has depth 1.
const MOST_DEPTH: usize = 64;
/// The most namespaces in force at one place.
const MOST_BINDINGS: usize = 128;

/// A document, read from its beginning.
pub(super) struct Document<'b> {
    reader: Reader<&'b [u8]>,
    /// The namespaces in force, each with the depth of the element that says so; inner ones are later.
    bindings: Vec<(usize, String, String)>,
    depth: usize,
    begun: bool,
}

/// The next thing in a document.
#[derive(Debug)]
pub(super) enum Piece {
    /// An element begins.
    Start(Element),
    /// The innermost element ends.
    End,
    /// Text, as it is.
    Text(String),
    /// A reference such as `&amp;` between texts.
    Reference,
    /// A comment.
    Comment,
}

/// The beginning of an element.
#[derive(Debug)]
pub(super) struct Element {
    /// How deep it is; the outermost has 1.
    pub(super) depth: usize,
    /// The namespace, empty if it is in none.
    pub(super) namespace: String,
    /// The name without its prefix.
    pub(super) local: String,
    /// Attributes by their names as written, without those that declare namespaces.
    attributes: Vec<(String, String)>,
}

impl<'b> Document<'b> {
    /// Begins to read.
    pub(super) fn new(body: &'b [u8]) -> Result<Self, Unclear> {
        if body.len() > MOST_BYTES {
            return malformed("a document of more than 1 MiB");
        }
        let Ok(text) = std::str::from_utf8(body) else {
            return malformed("the document is not UTF-8");
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let forbidden = |c: char| {
            (c.is_control() && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
        };
        if text.contains(forbidden) {
            return malformed("the document has control characters");
        }
        let mut reader = Reader::from_str(text);
        reader.config_mut().enable_all_checks(true);
        reader.config_mut().expand_empty_elements = true;
        Ok(Self {
            reader,
            bindings: Vec::new(),
            depth: 0,
            begun: false,
        })
    }

    /// The outermost element.
    pub(super) fn root(&mut self) -> Result<Element, Unclear> {
        loop {
            match self.next()? {
                Some(Piece::Start(root)) => return Ok(root),
                Some(_) => {}
                None => return malformed("the document has no element"),
            }
        }
    }

    /// The next piece; `None` at the end of a complete document.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Unclear> {
        loop {
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => return malformed(&format!("the document is no XML: {error}")),
            };
            let inside = self.depth > 0;
            match event {
                Event::Start(tag) => return self.start(&tag).map(|element| Some(Piece::Start(element))),
                // Elements without content come as two events.
                Event::Empty(_) => return malformed("an element that does not end"),
                Event::End(_) => {
                    let depth = self.depth;
                    self.bindings.retain(|(there, ..)| *there < depth);
                    self.depth = depth.saturating_sub(1);
                    return Ok(Some(Piece::End));
                }
                Event::Text(text) if inside => return Ok(Some(Piece::Text(text.into_inner().into_owned()))),
                Event::CData(text) if inside => {
                    return Ok(Some(Piece::Text(text.into_inner().into_owned())));
                }
                Event::GeneralRef(_) if inside => return Ok(Some(Piece::Reference)),
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    return malformed("text outside the document's element");
                }
                Event::Comment(_) if inside => return Ok(Some(Piece::Comment)),
                Event::Comment(_) => {}
                Event::Decl(declaration) => {
                    let version = declaration.version().map(|version| version == "1.0");
                    let utf8 = declaration.encoding().is_none_or(|encoding| {
                        encoding.is_ok_and(|name| {
                            name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii")
                        })
                    });
                    if self.begun || !matches!(version, Ok(true)) || !utf8 {
                        return malformed("the document does not declare itself as XML 1.0 in UTF-8");
                    }
                }
                Event::DocType(_) => return malformed("the document has a document type"),
                Event::PI(_) => return malformed("the document has a processing instruction"),
                Event::Eof if self.begun && self.depth == 0 => return Ok(None),
                Event::Eof => return malformed("the document is not complete"),
            }
        }
    }

    /// The text of the element that just began: one piece, nothing else in it, blanks around it left out. What a reader
    /// of the first piece and one of all pieces would take for different names is none.
    pub(super) fn only_text(&mut self) -> Result<String, Unclear> {
        let Some(Piece::Text(text)) = self.next()? else {
            return malformed("a name that is no plain text");
        };
        let Some(Piece::End) = self.next()? else {
            return malformed("a name that is not one plain text");
        };
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        Ok(text.trim_matches(blank).to_owned())
    }

    /// The namespace that `prefix` stands for here; the empty prefix is that of names without one.
    pub(super) fn namespace(&self, prefix: &str) -> Option<&str> {
        let mut inner_first = self.bindings.iter().rev();
        let (_, _, uri) = inner_first.find(|(_, bound, _)| bound == prefix)?;
        (!uri.is_empty()).then_some(uri)
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<Element, Unclear> {
        if self.begun && self.depth == 0 {
            return malformed("the document has two outermost elements");
        }
        if tag.len() > MOST_TAG_BYTES {
            return malformed("an element has very many attributes");
        }
        self.begun = true;
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return malformed("the document is very deep");
        }
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let readable = attribute.ok().and_then(|attribute| {
                let value = attribute.normalized_value(XmlVersion::Explicit1_0).ok()?;
                Some((attribute.key.into_inner().to_owned(), value.into_owned()))
            });
            let Some((name, value)) = readable else {
                return malformed("the document has attributes that are no XML");
            };
            let declared = name.strip_prefix("xmlns:");
            match declared.or_else(|| (name == "xmlns").then_some("")) {
                None => attributes.push((name, value)),
                Some("xml" | "xmlns") => return malformed("the document declares a reserved prefix"),
                Some(prefix) if value.is_empty() && !prefix.is_empty() => {
                    return malformed("the document declares a prefix for no namespace");
                }
                Some(prefix) => self.bindings.push((self.depth, prefix.to_owned(), value)),
            }
        }
        if self.bindings.len() > MOST_BINDINGS {
            return malformed("the document declares very many namespaces");
        }
        let name = tag.name().into_inner();
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let namespace = match self.namespace(prefix) {
            Some(namespace) => namespace.to_owned(),
            None if prefix.is_empty() => String::new(),
            None => return malformed("the document has a prefix that it does not declare"),
        };
        Ok(Element {
            depth: self.depth,
            namespace,
            local: local.to_owned(),
            attributes,
        })
    }
}

impl Element {
    /// The value of an attribute, by its name as written.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(there, _)| there == name)
            .map(|(_, value)| value.as_str())
    }

    /// All attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
