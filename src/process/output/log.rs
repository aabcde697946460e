//! The log of a command: the beginning and the end of what it printed, in bounded memory. It must not
//! know where the bytes come from.

use std::collections::VecDeque;

use crate::base::units;
use crate::process::output::lines::char_boundary;

/// The output of a command: stdout and stderr in their order, with secrets masked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The text. Bytes that are not UTF-8 are replaced, and a line says where bytes were left out.
    pub text: String,
    /// The number of bytes left out.
    pub left_out: u64,
}

/// How much of a log is kept, in bytes. The middle is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLimits {
    /// How much of its beginning.
    pub head: usize,
    /// How much of its end.
    pub tail: usize,
}

impl Default for LogLimits {
    /// Keeps 4 MiB of each.
    fn default() -> Self {
        Self { head: 4 << 20, tail: 4 << 20 }
    }
}

/// Collects a log.
#[derive(Debug)]
pub(super) struct LogBuffer {
    limits: LogLimits,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: usize,
}

impl LogBuffer {
    pub(super) fn new(limits: LogLimits) -> Self {
        Self { limits, head: Vec::new(), tail: VecDeque::new(), left_out: 0 }
    }

    /// Adds bytes at the end.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let room = self.limits.head - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let kept = &rest[rest.len().saturating_sub(self.limits.tail)..];
        let overflow = (self.tail.len() + kept.len()).saturating_sub(self.limits.tail);
        self.tail.drain(..overflow);
        self.tail.extend(kept);
        self.left_out += overflow + rest.len() - kept.len();
    }

    /// Returns the finished log.
    pub(super) fn finish(mut self) -> Log {
        let tail = self.tail.make_contiguous();
        if self.left_out == 0 {
            self.head.extend_from_slice(tail);
            return Log { text: text(self.head), left_out: 0 };
        }
        let end = char_boundary_at_end(&self.head);
        let start = tail.iter().take(3).take_while(|byte| *byte & 0xc0 == 0x80).count();
        let left_out = (self.left_out + self.head.len() - end + start) as u64;
        self.head.truncate(end);
        let mut text = text(self.head);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str("[… ");
        text.push_str(&units::size(left_out));
        text.push_str(" left out …]\n");
        text.push_str(&String::from_utf8_lossy(&tail[start..]));
        Log { text, left_out }
    }
}

/// Returns where to cut a log's beginning so that it does not end in a part of a character.
fn char_boundary_at_end(bytes: &[u8]) -> usize {
    let Some(last) = bytes.len().checked_sub(1) else { return 0 };
    let start = char_boundary(bytes, last);
    match std::str::from_utf8(&bytes[start..]) {
        Err(error) if error.error_len().is_none() => start,
        _ => bytes.len(),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(limits: (usize, usize), chunks: &[&[u8]]) -> Log {
        let mut buffer = LogBuffer::new(LogLimits { head: limits.0, tail: limits.1 });
        for chunk in chunks {
            buffer.add(chunk);
        }
        buffer.finish()
    }

    #[test]
    fn middle_is_left_out_and_counted() {
        let cases: [(&[&[u8]], &str, u64); 6] = [
            (&[b"abcdef"], "abcdef", 0),
            (&[b"ab", b"cd", b"ef"], "abcdef", 0),
            (&[b"abcdefg"], "abc\n[… 1 B left out …]\nefg", 1),
            (&[b"a", b"b", b"c", b"d", b"e", b"f", b"g"], "abc\n[… 1 B left out …]\nefg", 1),
            (&[b"ab\ncdefghi"], "ab\n[… 4 B left out …]\nghi", 4),
            (&[b"abcdef", &[b'x'; 2048], b"uvw"], "abc\n[… 2.0 KiB left out …]\nuvw", 2051),
        ];
        for (chunks, text, left_out) in cases {
            assert_eq!(log((3, 3), chunks), Log { text: text.to_owned(), left_out }, "{chunks:?}");
        }
        assert_eq!(log((0, 0), &[b"abc"]).text, "[… 3 B left out …]\n");
    }

    #[test]
    fn characters_are_not_cut_at_the_gap() {
        assert_eq!(log((3, 3), &["aaéé".as_bytes()]).text, "aaéé");
        let log = log((3, 3), &["aaéxxéa€€".as_bytes()]);
        assert_eq!((log.text.as_str(), log.left_out), ("aa\n[… 10 B left out …]\n€", 10));
        let cut = self::log((3, 2), &["ééé".as_bytes()]);
        assert_eq!((cut.text.as_str(), cut.left_out), ("é\n[… 2 B left out …]\né", 2));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        assert_eq!(log((2, 2), &[b"a\xff\xfeb"]).text, "a\u{fffd}\u{fffd}b");
        assert_eq!(log((2, 2), &[b"a\xffxxx\xfeb"]).text, "a\u{fffd}\n[… 3 B left out …]\n\u{fffd}b");
    }
}
