//! Reads XML as a stream of elements and texts.
//!
//! Only the five entities of XML itself and character references are expanded. A document that declares
//! or uses other entities is rejected. The size of one tag or text is limited, and only the start of a
//! text is kept.
//!
//! Text may contain characters that XML forbids: tests print colours and bytes, and many tools copy them.
//! A reference to a character that does not exist becomes `U+FFFD`.

use std::borrow::Cow;
use std::io::{BufRead, Read};

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Error, Reader, XmlVersion};

use super::source::Source;
use super::{ParseError, text};

/// The maximum number of bytes of one tag or one text.
const PIECE: usize = 64 << 20;
/// The maximum depth of nesting.
const DEPTH: usize = 100;
/// The maximum number of attributes of an element.
const ATTRIBUTES: usize = 200;
/// The number of bytes that are kept of one text or one attribute.
pub(crate) const TEXT: usize = 64 << 10;

/// A part of a document.
#[derive(Debug)]
pub(crate) enum Piece {
    /// An element begins.
    Open(Element),
    /// The last element that was opened ends.
    Close,
    /// A text or a part of it.
    Text(String),
    /// The document ends, and all elements have ended.
    End,
}

/// The beginning of an element.
#[derive(Debug)]
pub(crate) struct Element {
    /// Its name, without its prefix.
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// Returns the value of an attribute.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Returns the value of a numeric attribute. Localized numbers such as `1,234` and `2.0` are valid, and
    /// a negative number is 0. `None` if the attribute is missing or empty.
    ///
    /// # Errors
    /// The value is not a number.
    pub(crate) fn count(&self, name: &str) -> Result<Option<u64>, String> {
        let Some(value) = self.get(name).map(str::trim).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        number(value).map(Some).ok_or_else(|| {
            let shown = text::one_line(value, 40);
            format!("`{name}=\"{shown}\"` of `{}` is not a count", self.name)
        })
    }
}

/// Parses a number. A comma or a point before three digits separates thousands.
fn number(written: &str) -> Option<u64> {
    let (is_negative, digits) = match written.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, written),
    };
    let whole = match digits.split_once(['.', ',']) {
        Some((whole, fraction)) if fraction.chars().all(|c| c == '0') && fraction.len() != 3 => {
            whole.to_owned()
        }
        _ => {
            let mut groups = digits.split([',', '.', '\'', '\u{a0}', '\u{202f}']);
            let first = groups.next()?;
            let mut all = first.to_owned();
            for group in groups {
                if group.len() != 3 || first.len() > 3 {
                    return None;
                }
                all.push_str(group);
            }
            all
        }
    };
    let count = whole.parse().ok()?;
    Some(if is_negative { 0 } else { count })
}

/// Limits the number of bytes of each piece, and counts lines.
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
            return Err(std::io::Error::other("a part of too large"));
        }
        Ok(&part[..part.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        if count > 0 {
            // The consumed bytes are already in the buffer, so this does not read.
            if let Ok(part) = self.bytes.fill_buf() {
                let lines = part[..count].split(|byte| *byte == b'\n').count() - 1;
                self.line += lines;
            }
            self.left -= count;
            self.bytes.consume(count);
        }
    }
}

/// An XML document that is read as a stream.
pub(crate) struct Document<'a> {
    reader: Reader<Allowance<super::source::Body<'a>>>,
    buffer: Vec<u8>,
    format: &'static str,
    open: Vec<String>,
    rooted: bool,
}

impl<'a> Document<'a> {
    /// Starts to read a document.
    ///
    /// # Errors
    /// Its encoding is unknown.
    pub(crate) fn new(mut source: Source<'a>, format: &'static str) -> Result<Self, ParseError> {
        source.body.decode_xml()?;
        let line = source.lines + 1;
        let bytes = Allowance { bytes: source.body, left: PIECE, spent: false, line };
        let mut reader = Reader::from_reader(bytes);
        reader.config_mut().expand_empty_elements = true;
        Ok(Self { reader, buffer: Vec::new(), format, open: Vec::new(), rooted: false })
    }

    /// Returns the next piece.
    pub(crate) fn next(&mut self) -> Result<Piece, ParseError> {
        loop {
            self.buffer.clear();
            // A large text should not keep its memory until the end of the document.
            self.buffer.shrink_to(TEXT);
            self.reader.get_mut().left = PIECE;
            let mut buffer = std::mem::take(&mut self.buffer);
            let piece = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => self.piece(event),
                Err(error) => Err(self.parse_error(&error)),
            };
            self.buffer = buffer;
            if let Some(piece) = piece? {
                return Ok(piece);
            }
        }
    }

    /// Returns an error with the current line.
    pub(crate) fn malformed(&self, what: &str) -> ParseError {
        ParseError::malformed(self.format, format!("{what} (line {})", self.reader.get_ref().line))
    }

    fn piece(&mut self, event: Event<'_>) -> Result<Option<Piece>, ParseError> {
        match event {
            Event::Start(start) => self.start(&start).map(Some),
            Event::End(_) => {
                self.open.pop();
                Ok(Some(Piece::Close))
            }
            // The source has already converted the bytes to UTF-8.
            Event::Text(part) => self.text(&String::from_utf8_lossy(&part)),
            Event::CData(part) => self.text(&String::from_utf8_lossy(&part)),
            Event::GeneralRef(reference) => {
                let text = self.reference(&reference)?;
                self.text(&text)
            }
            Event::DocType(doctype)
                if self.rooted || String::from_utf8_lossy(&doctype).contains("<!ENTITY") =>
            {
                Err(self.malformed("it declares entities, which are not expanded"))
            }
            Event::Decl(_) | Event::DocType(_) | Event::Comment(_) | Event::PI(_) => Ok(None),
            Event::Eof => self.end().map(Some),
            // Empty elements are expanded.
            Event::Empty(_) => Ok(None),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<Piece, ParseError> {
        if self.open.is_empty() && self.rooted {
            return Err(self.malformed("there is something after its end"));
        }
        if self.open.len() == DEPTH {
            return Err(ParseError::TooLarge {
                what: format!("elements are nested more than {DEPTH} times"),
            });
        }
        self.rooted = true;
        let element = self.element(start)?;
        self.open.push(element.name.clone());
        Ok(Piece::Open(element))
    }

    fn element(&self, start: &BytesStart<'_>) -> Result<Element, ParseError> {
        let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
        self.check_name(&name)?;
        let shown = text::one_line(&name, 40);
        let mut attributes: Vec<(String, String)> = Vec::new();
        // The parser's own check for duplicate attributes takes quadratic time.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| {
                self.malformed(&format!("the attributes of `{shown}` are not XML: {error}"))
            })?;
            let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            self.check_name(&key)?;
            let raw = String::from_utf8_lossy(&attribute.value);
            let value =
                Attribute { key: attribute.key, value: possible(&raw).into_owned().into_bytes().into() }
                    .normalized_value(XmlVersion::Explicit1_0)
                    .map(Cow::into_owned)
                    .map_err(|error| {
                        self.malformed(&format!("an attribute of `{shown}` is not XML: {error}"))
                    })?;
            if attributes.len() == ATTRIBUTES || attributes.iter().any(|(known, _)| *known == key) {
                return Err(self.malformed(&format!("`{shown}` has an attribute twice, or too many")));
            }
            attributes.push((key, text::start(&value, TEXT).to_owned()));
        }
        Ok(Element { name, attributes })
    }

    /// Rejects a name with invalid characters: a damaged name could hide a failure. Damaged text
    /// can't.
    fn check_name(&self, name: &str) -> Result<(), ParseError> {
        let is_damage = |c: char| c == char::REPLACEMENT_CHARACTER || c.is_control();
        if name.contains(is_damage) {
            let shown = text::one_line(name, 40);
            return Err(self.malformed(&format!("the name `{shown}` has invalid characters")));
        }
        Ok(())
    }

    fn text(&self, whole: &str) -> Result<Option<Piece>, ParseError> {
        if !self.open.is_empty() {
            return Ok(Some(Piece::Text(text::start(whole, TEXT).to_owned())));
        }
        if whole.chars().all(char::is_whitespace) {
            return Ok(None);
        }
        Err(self.malformed("there is text outside of its elements"))
    }

    fn reference(&self, reference: &BytesRef<'_>) -> Result<String, ParseError> {
        match reference.resolve_char_ref() {
            Ok(Some(character)) => return Ok(character.to_string()),
            Ok(None) => {}
            Err(_) => return Ok(char::REPLACEMENT_CHARACTER.to_string()),
        }
        let name = String::from_utf8_lossy(reference);
        match resolve_predefined_entity(&name) {
            Some(text) => Ok(text.to_owned()),
            None => {
                let name = text::one_line(&name, 40);
                Err(self.malformed(&format!(
                    "the entity `{name}` is not predefined, and others are not expanded"
                )))
            }
        }
    }

    fn end(&self) -> Result<Piece, ParseError> {
        match self.open.last() {
            None if self.rooted => Ok(Piece::End),
            None => Err(ParseError::Truncated { what: "it has no element".to_owned() }),
            Some(name) => {
                Err(ParseError::Truncated { what: format!("`{}` does not end", text::one_line(name, 40)) })
            }
        }
    }

    fn parse_error(&mut self, error: &Error) -> ParseError {
        if self.reader.get_ref().spent {
            return ParseError::TooLarge { what: format!("a part of it has more than {} MiB", PIECE >> 20) };
        }
        if let Error::Io(error) = error {
            return ParseError::unreadable(error);
        }
        match self.reader.get_mut().fill_buf() {
            Ok([]) => ParseError::Truncated { what: text::one_line(&error.to_string(), 200) },
            _ => self.malformed(&text::one_line(&error.to_string(), 200)),
        }
    }
}

/// Replaces references to characters that do not exist.
fn possible(raw: &str) -> Cow<'_, str> {
    if !raw.contains("&#") {
        return Cow::Borrowed(raw);
    }
    let mut parts = raw.split("&#");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(';') {
            Some((number, rest)) if BytesRef::new(format!("#{number}")).resolve_char_ref().is_err() => {
                whole.push(char::REPLACEMENT_CHARACTER);
                whole.push_str(rest);
            }
            _ => {
                whole.push_str("&#");
                whole.push_str(part);
            }
        }
    }
    Cow::Owned(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_in_any_number_format() {
        let cases = [
            ("0", Some(0)),
            ("12", Some(12)),
            ("-1", Some(0)),
            ("2.0", Some(2)),
            ("1,234", Some(1234)),
            ("1.234.567", Some(1_234_567)),
            ("1'234", Some(1234)),
            ("1\u{a0}234", Some(1234)),
            ("1,23", None),
            ("1234,567", None),
            ("2.5", None),
            ("+", None),
            ("unknown", None),
            ("NaN", None),
        ];
        for (written, count) in cases {
            assert_eq!(number(written), count, "{written}");
        }
    }

    #[test]
    fn invalid_character_references_are_replaced() {
        let cases = [
            ("a&#0;b", "a\u{fffd}b"),
            ("&#xD800;", "\u{fffd}"),
            ("&#x1b;&#65;&amp;", "&#x1b;&#65;&amp;"),
            ("&#65", "&#65"),
            ("plain", "plain"),
        ];
        for (raw, whole) in cases {
            assert_eq!(possible(raw), whole);
        }
    }
}
