//! Makes the output of tasks safe to show: it can't move the cursor, clear the screen or imitate lines of
//! taskgate. It must not know where the text is shown.

use std::borrow::Cow;

/// Which control sequences of a task are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Colours.
    Colors,
    /// Nothing: line ends and tabs are the only control characters left.
    Nothing,
}

/// Returns `text` without the control characters that `keep` excludes.
pub fn safe(text: &str, keep: Keep) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\n' && c != '\t') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(len) = sequence(rest) {
            if keep == Keep::Colors && rest[..len].starts_with("\u{1b}[") && rest[..len].ends_with('m') {
                out.push_str(&rest[..len]);
            }
            rest = &rest[len..];
        } else {
            let mut chars = rest.chars();
            if chars.next() == Some('\r') && chars.next() != Some('\n') {
                out.push('\n');
            }
            rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Returns the length of the escape sequence at the start of `text`, in bytes.
fn sequence(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&0x1b) {
        return None;
    }
    match bytes.get(1) {
        Some(b'[') => {
            let end = bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte));
            Some(end.map_or(bytes.len(), |end| end + 3))
        }
        Some(b']' | b'P' | b'^' | b'_' | b'X') => {
            let bell = text[2..].find('\u{7}').map(|end| end + 3);
            // The end marker U+009C has two bytes.
            let st = text[2..].find('\u{9c}').map(|end| end + 4);
            let end = bell.into_iter().chain(st).min();
            let st = text[2..].find("\u{1b}\\").map(|end| end + 4);
            let end = end.into_iter().chain(st).min().unwrap_or(text.len());
            Some(end.min(text.len()))
        }
        Some(byte) if byte.is_ascii() => Some(2),
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_colours_and_line_ends_are_kept() {
        let cases = [
            ("plain\ttext\n", "plain\ttext\n", "plain\ttext\n"),
            ("\u{1b}[31mred\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[2Jcleared\u{1b}[1A", "cleared", "cleared"),
            ("\u{1b}]0;title\u{7}x", "x", "x"),
            ("10%\r20%\r\n", "10%\n20%\n", "10%\n20%\n"),
            ("bell\u{7}\u{8}", "bell", "bell"),
            ("\u{1b}", "", ""),
            // An end marker of two bytes.
            ("\u{1b}]0;title\u{9c}éx", "éx", "éx"),
        ];
        for (text, colored, plain) in cases {
            assert_eq!(safe(text, Keep::Colors), colored, "{text:?}");
            assert_eq!(safe(text, Keep::Nothing), plain, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_other_control_character_remains(text in r"[\x00-\x7f\u{80}-\u{9f}éx]{0,40}") {
            let out = safe(&text, Keep::Nothing);
            prop_assert!(!out.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{:?}", out);
        }
    }
}
