//! A stream of bytes cut into whole lines of text. It must not know who reads them.

/// A line that grows beyond this is delivered in pieces.
const LONGEST: usize = 64 * 1024;

/// Bytes of the beginning of a line that are shown before its end has come.
const SHOWN: usize = 4 * 1024;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and emits all lines that they complete, in one text.
    pub(super) fn add(&mut self, bytes: &[u8], emit: &mut dyn FnMut(&str)) {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let (whole, rest) = bytes.split_at(whole);
        if !whole.is_empty() {
            if self.partial.is_empty() {
                emit(&String::from_utf8_lossy(whole));
            } else {
                self.partial.extend_from_slice(whole);
                self.finish(emit);
            }
        }
        self.partial.extend_from_slice(rest);
        let mut start = 0;
        while self.partial.len() - start > LONGEST {
            let end = start + char_border(&self.partial[start..], LONGEST);
            emit(&String::from_utf8_lossy(&self.partial[start..end]));
            start = end;
        }
        self.partial.drain(..start);
    }

    /// The beginning of a line whose end has not come yet.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.partial
    }

    /// What has no line end yet, as far as it is worth showing; of much its end.
    pub(super) fn unfinished_end(&self) -> &[u8] {
        let bytes = &self.partial;
        &bytes[char_border(bytes, bytes.len().saturating_sub(SHOWN))..]
    }

    /// Emits what has no line end.
    pub(super) fn finish(&mut self, emit: &mut dyn FnMut(&str)) {
        if !self.partial.is_empty() {
            emit(&String::from_utf8_lossy(&self.partial));
            self.partial.clear();
        }
    }
}

/// The last place up to `at` where no character of UTF-8 is cut; `at` itself if it is not UTF-8.
pub(super) fn char_border(bytes: &[u8], at: usize) -> usize {
    let inside = |place: &usize| bytes.get(*place).is_some_and(|byte| byte & 0xc0 == 0x80);
    (at.saturating_sub(3)..=at).rev().find(|place| !inside(place)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut pieces = Vec::new();
        for chunk in chunks {
            lines.add(chunk, &mut |text| pieces.push(text.to_owned()));
        }
        lines.finish(&mut |text| pieces.push(text.to_owned()));
        pieces
    }

    #[test]
    fn lines_come_whole_and_the_rest_at_the_end() {
        assert_eq!(pieces(&[b"a", b"b\nc\nd", b"e", b"\n", b"", b"f"]), ["ab\nc\n", "de\n", "f"]);
        assert_eq!(pieces(&[b"\n", b"x\n"]), ["\n", "x\n"]);
        assert_eq!(pieces(&["é\n".as_bytes(), b"\xff\n"]), ["é\n", "\u{fffd}\n"]);
        assert_eq!(pieces(&[b"\xc3", b"\xa9\n"]), ["é\n"]);
    }

    #[test]
    fn the_beginning_of_a_line_can_be_seen() {
        let mut lines = Lines::default();
        for (bytes, seen) in [("a", "a"), ("b\rc", "ab\rc"), ("\nd", "d"), ("\n", ""), ("", "")] {
            lines.add(bytes.as_bytes(), &mut |_| ());
            assert_eq!(lines.unfinished_end(), seen.as_bytes());
        }
        lines.add("é".repeat(SHOWN).as_bytes(), &mut |_| ());
        assert_eq!(lines.unfinished_end(), "é".repeat(SHOWN / 2).as_bytes());
    }

    #[test]
    fn an_endless_line_comes_in_pieces_that_cut_no_character() {
        let text = format!("x{}", "é".repeat(LONGEST));
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(1000).collect();
        let pieces = pieces(&chunks);
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() <= LONGEST));
        assert_eq!(pieces.concat(), text);
    }
}
