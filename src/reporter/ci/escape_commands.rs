//! Escapes text that a CI service would read as a command, by adding a blank inside or before its marker. It
//! must not know which service has which markers.
//!
//! The blank is a normal space. Invisible characters would look better, but services may ignore them when
//! they compare text.

use std::borrow::Cow;

use crate::reporter::text::{Keep, safe};

/// A text that starts a command.
#[derive(Clone, Copy, Debug)]
pub struct Marker {
    /// The text.
    pub text: &'static str,
    /// Where it starts a command.
    pub position: MarkerPosition,
}

/// Where a marker starts a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkerPosition {
    /// Anywhere in a line. The blank is added after this many bytes of the marker.
    Anywhere(usize),
    /// At the start of a line, also after blanks. The blank is added after the first byte of the marker.
    Start,
    /// At the very start of a line, as a whole word. The blank is added before it.
    Word,
}

/// Returns `text` without markers. Each line only gets additional blanks, but a line that contained a marker
/// loses its colours.
pub fn escape_commands<'t>(text: &'t str, markers: &[Marker]) -> Cow<'t, str> {
    let is_odd = |line: &str| {
        let plain = safe(line, Keep::Nothing);
        markers.iter().any(|marker| marker.is_in(&plain))
    };
    if !text.split('\n').any(is_odd) {
        return Cow::Borrowed(text);
    }
    let lines =
        text.split('\n').map(|line| if is_odd(line) { escape_line(line, markers) } else { line.to_owned() });
    Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
}

fn escape_line(line: &str, markers: &[Marker]) -> String {
    let mut line = safe(line, Keep::Nothing).into_owned();
    for marker in markers.iter().filter(|marker| marker.is_in(&line)).collect::<Vec<_>>() {
        line = match marker.position {
            MarkerPosition::Anywhere(split) => {
                let (head, tail) = marker.text.split_at(split);
                line.replace(marker.text, &format!("{head} {tail}"))
            }
            MarkerPosition::Start => {
                let (head, tail) = marker.text.split_at(1);
                line.replacen(marker.text, &format!("{head} {tail}"), 1)
            }
            MarkerPosition::Word => format!(" {line}"),
        };
    }
    line
}

impl Marker {
    fn is_in(&self, line: &str) -> bool {
        match self.position {
            MarkerPosition::Anywhere(_) => line.contains(self.text),
            MarkerPosition::Start => line.trim_start().starts_with(self.text),
            MarkerPosition::Word => line
                .strip_prefix(self.text)
                .is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARKERS: &[Marker] = &[
        Marker { text: "::", position: MarkerPosition::Start },
        Marker { text: "##[", position: MarkerPosition::Anywhere(2) },
        Marker { text: "##vso[", position: MarkerPosition::Anywhere(2) },
        Marker { text: "---", position: MarkerPosition::Word },
    ];

    #[test]
    fn workflow_commands_are_escaped_and_other_text_is_kept() {
        let cases = [
            ("fine", "fine"),
            ("a::b", "a::b"),
            ("::error::x", ": :error::x"),
            (" \t::error::x", " \t: :error::x"),
            ("one\n::two::\n\nfour", "one\n: :two::\n\nfour"),
            ("a ##[group]b ##[group]", "a ## [group]b ## [group]"),
            ("####[[", "#### [["),
            ("x ##vso[task.complete]", "x ## vso[task.complete]"),
            ("--- a/file", " --- a/file"),
            ("---", " ---"),
            ("---x", "---x"),
            ("\u{1b}[31m--- red\u{1b}[0m", " --- red"),
            ("#\u{1b}[0m#[group]", "## [group]"),
            ("\u{1b}[31mred\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape_commands(text, MARKERS), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_workflow_command_remains(text in r"[:#\[vso \-\n\x1bm]{0,30}") {
            let out = escape_commands(&text, MARKERS);
            for line in out.split('\n') {
                prop_assert!(!MARKERS.iter().any(|marker| marker.is_in(&safe(line, Keep::Nothing))), "{:?}", out);
            }
            prop_assert_eq!(out.split('\n').count(), text.split('\n').count());
        }
    }
}
