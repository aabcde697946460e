//! Shortens the texts of reports for display.
//!
//! Colours and other control characters are removed. A report may repeat text that somebody else
//! sent to the tested program, and its texts are printed to terminals and CI logs.

/// The maximum number of lines of a message.
const LINES: usize = 8;
/// The maximum number of characters of a message.
const CHARACTERS: usize = 2_000;

/// Returns the first characters of a text in one line. White space becomes a single space.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    let mut blank = false;
    for character in console::strip_ansi_codes(start(text, most.saturating_mul(4))).chars() {
        if character.is_whitespace() || character.is_control() {
            blank = !line.is_empty();
            continue;
        }
        if blank {
            line.push(' ');
            count += 1;
        }
        blank = false;
        if count >= most {
            line.push('…');
            break;
        }
        line.push(character);
        count += 1;
    }
    line
}

/// The maximum number of bytes of a text that rules judge.
pub(crate) const MAX_JUDGED: usize = 64 << 10;

/// Returns a complete text in one line, for texts that rules judge and that must not be cut.
/// Returns `None` if it is too long.
pub(crate) fn whole_line(text: &str) -> Option<String> {
    (text.len() <= MAX_JUDGED).then(|| one_line(text, usize::MAX))
}

/// Returns whether this is the name of a project instead of a path. Scanners of folders use the
/// path as the name.
pub(crate) fn names_project(name: &str) -> bool {
    let is_drive = name.as_bytes().get(1) == Some(&b':');
    let name = name.replace('\\', "/");
    let is_path = matches!(&*name, "" | "." | "..") || name.starts_with(['/', '~']);
    !is_path && !is_drive && !name.starts_with("./") && !name.starts_with("../")
}

/// Returns the first lines of a text, without blank lines.
pub(crate) fn few_lines(text: &str) -> String {
    let mut lines = Vec::new();
    let plain = console::strip_ansi_codes(start(text, 16 * CHARACTERS));
    for line in plain.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if lines.len() == LINES {
            lines.push("…".to_owned());
            break;
        }
        lines.push(line.chars().filter(|c| *c == '\t' || !c.is_control()).collect());
    }
    let whole = lines.join("\n");
    let mut cut: String = whole.chars().take(CHARACTERS).collect();
    if cut.len() < whole.len() {
        cut.push('…');
    }
    cut
}

/// Returns the first `most` bytes of a text, or fewer if a character would be cut.
pub(crate) fn start(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_one_line() {
        let cases = [
            ("", 10, ""),
            ("  a \n\t b  ", 10, "a b"),
            ("\u{1b}[31mred\u{1b}[0m\r\n::error::x", 20, "red ::error::x"),
            ("0123456789ab", 10, "0123456789…"),
            ("ééééééééééé", 10, "éééééééééé…"),
        ];
        for (text, most, line) in cases {
            assert_eq!(one_line(text, most), line);
        }
    }

    #[test]
    fn checked_text_is_whole_or_missing() {
        let long = "é".repeat(MAX_JUDGED / 2);
        assert_eq!(whole_line(&format!("{} \n b", "a".repeat(2_000))).unwrap().len(), 2_002);
        assert_eq!(whole_line(&long).as_deref(), Some(&*long));
        assert_eq!(whole_line(&format!("{long}x")), None);
    }

    #[test]
    fn message_of_a_test_is_a_few_lines() {
        let many = (0..20).map(|number| format!("line {number}\n\n")).collect::<Vec<_>>().concat();
        assert_eq!(few_lines(&many).lines().count(), LINES + 1);
        assert!(few_lines(&many).ends_with("line 7\n…"));
        assert_eq!(few_lines(&"é".repeat(9_000)).chars().count(), CHARACTERS + 1);
        assert_eq!(few_lines("a\u{7}\u{1b}[1mb\r\n"), "ab");
    }
}
