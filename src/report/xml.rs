//! XML as a row of openings, texts and closings, for reports of any XML format. It must not know what
//! they mean.
//!
//! Nothing is expanded but the five entities that XML itself has and references to characters: a
//! document that declares entities, or names others, is refused. One piece of markup may be large,
//! but not without bound; of a text only the start is kept.

use std::io::{BufRead, Read};

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Error, Reader, XmlVersion};

use super::source::Source;
use super::{Flaw, text};

/// The most bytes of one tag or one text.
const PIECE: usize = 64 << 20;
/// The most elements within each other.
const DEPTH: usize = 100;
/// The most attributes of an element.
const ATTRIBUTES: usize = 200;
/// What is kept of one text, and of one attribute.
pub(super) const TEXT: usize = 64 << 10;

/// A piece of a document.
#[derive(Debug)]
pub(super) enum Piece {
    /// An element begins.
    Open(Element),
    /// The last element that began ends.
    Close,
    /// Text, or a part of one.
    Text(String),
    /// The document ends, and all elements have ended.
    End,
}

/// The beginning of an element.
#[derive(Debug)]
pub(super) struct Element {
    /// Its name, without its prefix.
    pub(super) name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// The value of an attribute.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// An attribute that counts something; `None` if it is not there or empty.
    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, String> {
        let Some(value) = self.get(name).map(str::trim).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let shown = text::one_line(value, 40);
        value.parse().map(Some).map_err(|_| format!("`{name}=\"{shown}\"` of `{}` is no count", self.name))
    }
}

/// Bytes of which each piece may take only so many, with the number of the line that was reached.
struct Allowance<R> {
    bytes: R,
    left: usize,
    spent: bool,
    line: usize,
}

impl<R: BufRead> Read for Allowance<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let part = self.fill_buf()?;
        let count = part.len().min(buffer.len());
        buffer[..count].copy_from_slice(&part[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Allowance<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        let part = self.bytes.fill_buf()?;
        if self.left == 0 && !part.is_empty() {
            self.spent = true;
            return Err(std::io::Error::other("a piece of it is too large"));
        }
        Ok(&part[..part.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        if count > 0 {
            // What is consumed was filled, so this reads nothing.
            if let Ok(part) = self.bytes.fill_buf() {
                let lines = part[..count].split(|byte| *byte == b'\n').count() - 1;
                self.line += lines;
            }
            self.left -= count;
            self.bytes.consume(count);
        }
    }
}

/// A document that is read piece by piece.
pub(super) struct Document<'a> {
    reader: Reader<Allowance<super::source::Body<'a>>>,
    buffer: Vec<u8>,
    format: &'static str,
    open: Vec<String>,
    rooted: bool,
}

impl<'a> Document<'a> {
    /// A document at its start.
    pub(super) fn new(source: Source<'a>, format: &'static str) -> Self {
        let line = source.lines + 1;
        let bytes = Allowance { bytes: source.body, left: PIECE, spent: false, line };
        let mut reader = Reader::from_reader(bytes);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), format, open: Vec::new(), rooted: false }
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Piece, Flaw> {
        loop {
            self.buffer.clear();
            // A large text should not hold its memory until the end.
            self.buffer.shrink_to(TEXT);
            self.reader.get_mut().left = PIECE;
            let mut buffer = std::mem::take(&mut self.buffer);
            let piece = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => self.piece(event),
                Err(error) => Err(self.flaw(&error)),
            };
            self.buffer = buffer;
            if let Some(piece) = piece? {
                return Ok(piece);
            }
        }
    }

    /// A flaw at the line that was reached.
    pub(super) fn malformed(&self, what: &str) -> Flaw {
        Flaw::malformed(self.format, format!("{what} (line {})", self.reader.get_ref().line))
    }

    /// The name of the element around the one that began last.
    pub(super) fn within(&self) -> &str {
        self.open.iter().rev().nth(1).map_or("", String::as_str)
    }

    fn piece(&mut self, event: Event<'_>) -> Result<Option<Piece>, Flaw> {
        match event {
            Event::Start(start) => self.start(&start).map(Some),
            Event::End(_) => {
                self.open.pop();
                Ok(Some(Piece::Close))
            }
            Event::Text(part) => {
                let text = part.decode().map_err(|_| self.malformed("it has bytes that are not UTF-8"))?;
                self.text(&text)
            }
            Event::CData(part) => {
                let text = part.decode().map_err(|_| self.malformed("it has bytes that are not UTF-8"))?;
                self.text(&text)
            }
            Event::GeneralRef(reference) => {
                let text = self.reference(&reference)?;
                self.text(&text)
            }
            Event::Decl(declaration) => match declaration.encoding() {
                Some(Ok(name))
                    if !name.eq_ignore_ascii_case(b"utf-8") && !name.eq_ignore_ascii_case(b"us-ascii") =>
                {
                    let name = text::one_line(&String::from_utf8_lossy(&name), 40);
                    Err(self.malformed(&format!("it is written in {name}; have it written in UTF-8")))
                }
                _ => Ok(None),
            },
            Event::DocType(doctype) if doctype.contains(&b'[') || self.rooted => {
                Err(self.malformed("it declares entities, which are not expanded"))
            }
            Event::DocType(_) | Event::Comment(_) | Event::PI(_) => Ok(None),
            Event::Eof => self.end().map(Some),
            // Empty elements are expanded.
            Event::Empty(_) => Ok(None),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<Piece, Flaw> {
        if self.open.is_empty() && self.rooted {
            return Err(self.malformed("there is something after its end"));
        }
        if self.open.len() == DEPTH {
            return Err(Flaw::TooLarge { what: format!("elements are nested more than {DEPTH} times") });
        }
        self.rooted = true;
        let element = self.element(start)?;
        self.open.push(element.name.clone());
        Ok(Piece::Open(element))
    }

    fn element(&self, start: &BytesStart<'_>) -> Result<Element, Flaw> {
        let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
        let shown = text::one_line(&name, 40);
        let mut attributes: Vec<(String, String)> = Vec::new();
        // The parser's own look for an attribute that is there twice takes time by the square.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| {
                self.malformed(&format!("the attributes of `{shown}` are not XML: {error}"))
            })?;
            let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| self.malformed(&format!("an attribute of `{shown}` is not XML: {error}")))?;
            if attributes.len() == ATTRIBUTES || attributes.iter().any(|(known, _)| *known == key) {
                return Err(self.malformed(&format!("`{shown}` has an attribute twice, or too many")));
            }
            attributes.push((key, text::start(&value, TEXT).to_owned()));
        }
        Ok(Element { name, attributes })
    }

    fn text(&self, whole: &str) -> Result<Option<Piece>, Flaw> {
        if !self.open.is_empty() {
            return Ok(Some(Piece::Text(text::start(whole, TEXT).to_owned())));
        }
        if whole.chars().all(char::is_whitespace) {
            return Ok(None);
        }
        Err(self.malformed("there is text outside of its elements"))
    }

    fn reference(&self, reference: &BytesRef<'_>) -> Result<String, Flaw> {
        match reference.resolve_char_ref() {
            Ok(Some(character)) => return Ok(character.to_string()),
            Ok(None) => {}
            Err(_) => return Err(self.malformed("it refers to a character that does not exist")),
        }
        let name = reference.decode().map_err(|_| self.malformed("it has bytes that are not UTF-8"))?;
        match quick_xml::escape::resolve_predefined_entity(&name) {
            Some(text) => Ok(text.to_owned()),
            None => {
                let name = text::one_line(&name, 40);
                Err(self.malformed(&format!("the entity `{name}` is not one of XML's own; none is expanded")))
            }
        }
    }

    fn end(&self) -> Result<Piece, Flaw> {
        match self.open.last() {
            None if self.rooted => Ok(Piece::End),
            None => Err(Flaw::Truncated { what: "it has no element".to_owned() }),
            Some(name) => {
                Err(Flaw::Truncated { what: format!("`{}` does not end", text::one_line(name, 40)) })
            }
        }
    }

    fn flaw(&mut self, error: &Error) -> Flaw {
        if self.reader.get_ref().spent {
            return Flaw::TooLarge { what: format!("one piece of it has more than {} MiB", PIECE >> 20) };
        }
        if let Error::Io(error) = error {
            return Flaw::unreadable(error);
        }
        match self.reader.get_mut().fill_buf() {
            Ok([]) => Flaw::Truncated { what: text::one_line(&error.to_string(), 200) },
            _ => self.malformed(&text::one_line(&error.to_string(), 200)),
        }
    }
}
