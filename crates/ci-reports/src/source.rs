//! Reads the start of a report in any format: checks that it is not empty, and detects its
//! encoding.
//!
//! Readers get UTF-8. UTF-16 is detected by its byte order mark or its first character, for all formats.
//! The encoding in an XML declaration is used if the reader asks for it ([`Body::decode_xml`]). Invalid
//! bytes become `U+FFFD`: tests print arbitrary bytes, and tools copy them.

use std::io::{self, BufRead, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::{ParseError, text};

/// A report that is not empty.
pub(crate) struct Source<'a> {
    /// The bytes of the report, without those that were skipped.
    pub(crate) body: Body<'a>,
    /// The number of lines that were skipped.
    pub(crate) lines: usize,
    /// The number of characters of the first line that were skipped.
    pub(crate) columns: usize,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<'a> Source<'a> {
    /// Skips a byte order mark and white space. A report that contains nothing else is empty.
    pub(crate) fn open(bytes: &'a mut dyn BufRead) -> Result<Self, ParseError> {
        let mut body = Body { head: Vec::new(), at: 0, rest: bytes, decoding: None };
        body.look(BYTE_ORDER_MARK.len()).map_err(ParseError::unreadable)?;
        match &*body.head {
            BYTE_ORDER_MARK => body.at = BYTE_ORDER_MARK.len(),
            [0xff, 0xfe, ..] => body.decode(UTF_16LE, 2),
            [0xfe, 0xff, ..] => body.decode(UTF_16BE, 2),
            [b'<' | b'{', 0, ..] => body.decode(UTF_16LE, 0),
            [0, b'<' | b'{', ..] => body.decode(UTF_16BE, 0),
            _ => {}
        }
        let mut source = Self { body, lines: 0, columns: 0 };
        source.skip_blanks()?;
        Ok(source)
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            let part = self.body.fill_buf().map_err(ParseError::unreadable)?;
            if part.is_empty() {
                return Err(ParseError::Empty);
            }
            let blanks = part.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            for byte in &part[..blanks] {
                self.columns += 1;
                if *byte == b'\n' {
                    self.lines += 1;
                    self.columns = 0;
                }
            }
            let found = blanks < part.len();
            self.body.consume(blanks);
            if found {
                return Ok(());
            }
        }
    }
}

/// The bytes of a report, as UTF-8 if the encoding is known.
pub(crate) struct Body<'a> {
    /// Bytes that were read ahead. Those before `at` are consumed.
    head: Vec<u8>,
    at: usize,
    rest: &'a mut dyn BufRead,
    decoding: Option<Decoding>,
}

/// A decoder and its output.
struct Decoding {
    decoder: Decoder,
    text: Box<[u8]>,
    /// The part of the text that is not consumed yet.
    at: usize,
    end: usize,
    /// Whether all bytes are decoded.
    over: bool,
}

/// The maximum length of an XML declaration.
const DECLARATION: usize = 1024;

impl Body<'_> {
    /// Decodes a document with the encoding of its XML declaration. The default is UTF-8.
    ///
    /// # Errors
    /// The encoding is unknown.
    pub(crate) fn decode_xml(&mut self) -> Result<(), ParseError> {
        if self.decoding.is_some() {
            return Ok(());
        }
        let mut length = 0;
        while length < DECLARATION && !self.head[self.at..].contains(&b'>') {
            length += 64;
            if !self.look(length).map_err(ParseError::unreadable)? {
                break;
            }
        }
        let encoding = match declared_encoding(&self.head[self.at..]) {
            None => UTF_8,
            Some(name) => Encoding::for_label(name.as_bytes()).ok_or_else(|| {
                let name = text::one_line(&name, 40);
                ParseError::Unreadable {
                    what: format!("its encoding `{name}` is unknown; write it in UTF-8"),
                }
            })?,
        };
        // The declaration was read byte by byte, so the text can't be UTF-16. .NET declares UTF-16
        // in any text that was created as a string.
        let is_wide = encoding == UTF_16LE || encoding == UTF_16BE;
        self.decode(if is_wide { UTF_8 } else { encoding }, 0);
        Ok(())
    }

    /// Returns whether the report starts with these bytes.
    pub(crate) fn starts_with(&mut self, start: &[u8]) -> bool {
        self.decoding.is_none() && self.look(start.len()).is_ok() && self.head[self.at..].starts_with(start)
    }

    /// Reads ahead until `length` bytes are available. Returns `false` if there are fewer.
    fn look(&mut self, length: usize) -> io::Result<bool> {
        let there = self.head.len() - self.at;
        let missing = length.saturating_sub(there);
        let read = (&mut *self.rest).take(missing as u64).read_to_end(&mut self.head)?;
        Ok(read == missing)
    }

    fn decode(&mut self, encoding: &'static Encoding, skip: usize) {
        let decoder = encoding.new_decoder_without_bom_handling();
        self.at += skip;
        let text = vec![0; 64 << 10].into_boxed_slice();
        self.decoding = Some(Decoding { decoder, text, at: 0, end: 0, over: false });
    }
}

/// Returns the encoding of an XML declaration.
fn declared_encoding(head: &[u8]) -> Option<String> {
    let end = head.iter().position(|byte| *byte == b'>')?;
    let declaration = std::str::from_utf8(&head[..end]).ok()?.strip_prefix("<?xml")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split_once(quote).map(|(name, _)| name.trim().to_owned())
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = self.fill_buf()?;
        let count = part.len().min(buffer.len());
        buffer[..count].copy_from_slice(&part[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let Some(decoding) = &mut self.decoding else {
            return if self.at < self.head.len() { Ok(&self.head[self.at..]) } else { self.rest.fill_buf() };
        };
        while decoding.at == decoding.end && !decoding.over {
            let from_head = self.at < self.head.len();
            let part = if from_head { &self.head[self.at..] } else { self.rest.fill_buf()? };
            let last = part.is_empty();
            let (result, read, written, _) = decoding.decoder.decode_to_utf8(part, &mut decoding.text, last);
            (decoding.at, decoding.end) = (0, written);
            decoding.over = last && result == CoderResult::InputEmpty;
            if from_head {
                self.at += read;
            } else {
                self.rest.consume(read);
            }
        }
        Ok(&decoding.text[decoding.at..decoding.end])
    }

    fn consume(&mut self, count: usize) {
        match &mut self.decoding {
            Some(decoding) => decoding.at += count,
            None if self.at < self.head.len() => self.at += count,
            None => self.rest.consume(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn open(bytes: &[u8], buffer: usize) -> Result<(Vec<u8>, usize, usize), ParseError> {
        let mut reader = BufReader::with_capacity(buffer, bytes);
        let mut source = Source::open(&mut reader)?;
        let mut rest = Vec::new();
        source.body.read_to_end(&mut rest).unwrap();
        Ok((rest, source.lines, source.columns))
    }

    fn decoded(bytes: &[u8], buffer: usize) -> Result<String, ParseError> {
        let mut reader = BufReader::with_capacity(buffer, bytes);
        let mut source = Source::open(&mut reader)?;
        source.body.decode_xml()?;
        let mut rest = String::new();
        source.body.read_to_string(&mut rest).unwrap();
        Ok(rest)
    }

    #[test]
    fn byte_order_marks_and_blanks_are_skipped_with_any_buffer_size() {
        for buffer in [1, 2, 3, 4, 100] {
            assert_eq!(open(b"\xef\xbb\xbf\n\r\n  x y ", buffer), Ok((b"x y ".to_vec(), 2, 2)), "{buffer}");
            assert_eq!(open(b"x", buffer), Ok((b"x".to_vec(), 0, 0)));
            for empty in [&b""[..], b" ", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n\t ", b"\xff\xfe", b"\xff\xfe \0"]
            {
                assert_eq!(open(empty, buffer), Err(ParseError::Empty), "{empty:?}");
            }
        }
    }

    #[test]
    fn utf_16_is_read_with_or_without_byte_order_mark() {
        let units: Vec<u16> = "{\"é\": 1}".encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for buffer in [1, 3, 100] {
            for bytes in
                [[b"\xff\xfe", &*little].concat(), [b"\xfe\xff", &*big].concat(), little.clone(), big.clone()]
            {
                assert_eq!(open(&bytes, buffer), Ok(("{\"é\": 1}".as_bytes().to_vec(), 0, 0)), "{bytes:?}");
            }
        }
    }

    #[test]
    fn xml_is_decoded_as_declared() {
        let long = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>{}\u{e9}", "x".repeat(200_000));
        let latin: Vec<u8> = long.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        for buffer in [1, 2, 5, 100, 100_000] {
            assert_eq!(decoded(&latin, buffer).unwrap(), long, "{buffer}");
            for (bytes, text) in [
                (&b"<?xml version='1.0' encoding = 'windows-1252' ?>\x80"[..], "€"),
                (b"<?xml version='1.0' encoding='Shift_JIS'?>\x83e", "テ"),
                // .NET's string writers do this.
                (b"<?xml version=\"1.0\" encoding=\"utf-16\"?>\xc3\xa9", "é"),
                (b"<?xml version=\"1.0\"?>\xc3\xa9", "é"),
                (b"\xef\xbb\xbf<a>\xc3\xa9", "é"),
                (b"<a encoding='Shift_JIS'>\xc3\xa9", "é"),
                (b"<a>\xe9", "\u{fffd}"),
            ] {
                let all = decoded(bytes, buffer).unwrap();
                assert!(all.ends_with(&format!(">{text}")), "{all} {buffer}");
            }
        }
        let error = decoded(b"<?xml version='1.0' encoding='klingon'?><a/>", 9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it can't be read: its encoding `klingon` is unknown; write it in UTF-8"
        );
    }
}
