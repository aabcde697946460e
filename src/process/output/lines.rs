//! Cuts a stream of bytes into lines of text. It must not know who reads them.

/// A line that grows longer than this is emitted in pieces.
const MAX_LINE: usize = 64 * 1024;

/// How much of an unfinished line is shown.
const MAX_SHOWN: usize = 4 * 1024;

/// Holds the beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Adds bytes and emits all lines that they complete, in one text.
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
        while self.partial.len() - start > MAX_LINE {
            let end = start + char_boundary(&self.partial[start..], MAX_LINE);
            emit(&String::from_utf8_lossy(&self.partial[start..end]));
            start = end;
        }
        self.partial.drain(..start);
    }

    /// Returns the line that has no end yet.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.partial
    }

    /// Returns the end of the line that has no end yet, as much as is worth showing.
    pub(super) fn unfinished_end(&self) -> &[u8] {
        let bytes = &self.partial;
        &bytes[char_boundary(bytes, bytes.len().saturating_sub(MAX_SHOWN))..]
    }

    /// Emits the line that has no end.
    pub(super) fn finish(&mut self, emit: &mut dyn FnMut(&str)) {
        if !self.partial.is_empty() {
            emit(&String::from_utf8_lossy(&self.partial));
            self.partial.clear();
        }
    }
}

/// Returns the last place up to `at` that cuts no character of UTF-8, or `at` itself if the text is not
/// UTF-8.
pub(super) fn char_boundary(bytes: &[u8], at: usize) -> usize {
    let inside = |index: &usize| bytes.get(*index).is_some_and(|byte| byte & 0xc0 == 0x80);
    (at.saturating_sub(3)..=at).rev().find(|index| !inside(index)).unwrap_or(at)
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
    fn lines_are_emitted_whole_and_the_rest_at_the_end() {
        assert_eq!(pieces(&[b"a", b"b\nc\nd", b"e", b"\n", b"", b"f"]), ["ab\nc\n", "de\n", "f"]);
        assert_eq!(pieces(&[b"\n", b"x\n"]), ["\n", "x\n"]);
        assert_eq!(pieces(&["é\n".as_bytes(), b"\xff\n"]), ["é\n", "\u{fffd}\n"]);
        assert_eq!(pieces(&[b"\xc3", b"\xa9\n"]), ["é\n"]);
    }

    #[test]
    fn unfinished_line_is_shown_up_to_a_limit() {
        let mut lines = Lines::default();
        for (bytes, seen) in [("a", "a"), ("b\rc", "ab\rc"), ("\nd", "d"), ("\n", ""), ("", "")] {
            lines.add(bytes.as_bytes(), &mut |_| ());
            assert_eq!(lines.unfinished_end(), seen.as_bytes());
        }
        lines.add("é".repeat(MAX_SHOWN).as_bytes(), &mut |_| ());
        assert_eq!(lines.unfinished_end(), "é".repeat(MAX_SHOWN / 2).as_bytes());
    }

    #[test]
    fn endless_line_is_emitted_in_pieces_that_cut_no_character() {
        let text = format!("x{}", "é".repeat(MAX_LINE));
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(1000).collect();
        let pieces = pieces(&chunks);
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() <= MAX_LINE));
        assert_eq!(pieces.concat(), text);
    }
}
