//! The start of a report's bytes, whatever its format: is there anything, and is it text? It must not
//! know what follows.

use std::io::{BufRead, Chain, Cursor, Read};

use super::Flaw;

/// The bytes of a report from the first that says something.
pub(super) type Body<'a> = Chain<Cursor<Vec<u8>>, &'a mut dyn BufRead>;

/// A report that says something.
pub(super) struct Source<'a> {
    /// Its bytes, without what was left out.
    pub(super) body: Body<'a>,
    /// Lines that were left out.
    pub(super) lines: usize,
    /// Characters of the first line that were left out.
    pub(super) columns: usize,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<'a> Source<'a> {
    /// Leaves out a byte order mark and white space. What has no more than these is empty.
    pub(super) fn open(bytes: &'a mut dyn BufRead, format: &'static str) -> Result<Self, Flaw> {
        let mut head = Vec::new();
        (&mut *bytes).take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut head).map_err(Flaw::unreadable)?;
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Err(Flaw::malformed(format, "it is written in UTF-16; have it written in UTF-8"));
        }
        if head == BYTE_ORDER_MARK {
            head.clear();
        }
        let mut source = Self { body: Cursor::new(head).chain(bytes), lines: 0, columns: 0 };
        source.skip_blanks()?;
        Ok(source)
    }

    fn skip_blanks(&mut self) -> Result<(), Flaw> {
        loop {
            let part = self.body.fill_buf().map_err(Flaw::unreadable)?;
            if part.is_empty() {
                return Err(Flaw::Empty);
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

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn open(bytes: &[u8], buffer: usize) -> Result<(Vec<u8>, usize, usize), Flaw> {
        let mut reader = BufReader::with_capacity(buffer, bytes);
        let mut source = Source::open(&mut reader, "a report")?;
        let mut rest = Vec::new();
        source.body.read_to_end(&mut rest).unwrap();
        Ok((rest, source.lines, source.columns))
    }

    #[test]
    fn marks_and_blanks_are_left_out_at_any_size_of_buffer() {
        for buffer in [1, 2, 3, 4, 100] {
            assert_eq!(open(b"\xef\xbb\xbf\n\r\n  x y ", buffer), Ok((b"x y ".to_vec(), 2, 2)), "{buffer}");
            assert_eq!(open(b"x", buffer), Ok((b"x".to_vec(), 0, 0)));
            for empty in [&b""[..], b" ", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n\t "] {
                assert_eq!(open(empty, buffer), Err(Flaw::Empty), "{empty:?}");
            }
            assert!(matches!(open(b"\xff\xfe<\0", buffer), Err(Flaw::Malformed { .. })));
        }
    }
}
