//! Writes the sections of GitLab CI. It must not know which lines are shown, nor the files that GitLab
//! collects.

use crate::reporter::ci::escape_commands::{Marker, MarkerPosition};
use crate::reporter::ci::{Dialect, Group};
use crate::reporter::run_state::RunState;

/// The start of the line with the coverage. The generated `.gitlab-ci.yml` looks for
/// `^coverage: (\d+(?:\.\d+)?)%`.
pub const COVERAGE: &str = "coverage:";

/// GitLab reads sections anywhere in a line, and it uses the last coverage in the log.
const MARKERS: &[Marker] = &[
    Marker { text: "section_start:", position: MarkerPosition::Anywhere(13) },
    Marker { text: "section_end:", position: MarkerPosition::Anywhere(11) },
    Marker { text: COVERAGE, position: MarkerPosition::Word },
];

/// How many characters of the heading are in a section's name.
const NAME: usize = 60;

/// Writes sections for GitLab CI.
pub struct Gitlab;

impl Dialect for Gitlab {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn group(&self, group: &Group<'_>) -> Option<(String, String)> {
        let task = group.heading.split(": ").next().unwrap_or_default();
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let task: String = task.chars().take(NAME).map(|c| if known(c) { c } else { '_' }).collect();
        let name = format!("taskgate_{}_{task}", group.number);
        let folded = if group.is_folded { "[collapsed=true]" } else { "" };
        let (from, to) = group.span;
        let open = format!("\u{1b}[0Ksection_start:{from}:{name}{folded}\r\u{1b}[0K{}", group.heading);
        Some((open, format!("\u{1b}[0Ksection_end:{to}:{name}\r\u{1b}[0K")))
    }

    fn end(&self, state: &RunState) -> Vec<String> {
        let ratio = state.coverage().filter(|ratio| ratio.whole > 0);
        ratio.map(|ratio| format!("{COVERAGE} {}%", percent(ratio.part, ratio.whole))).into_iter().collect()
    }
}

/// Formats a percentage such as `76.20`. It is rounded down, so that only full coverage is 100.00.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    #[test]
    fn coverage_is_never_rounded_up() {
        let cases = [
            (381, 500, "76.20"),
            (0, 7, "0.00"),
            (2, 3, "66.66"),
            (99_999, 100_000, "99.99"),
            (5, 5, "100.00"),
        ];
        for (part, whole, expected) in cases {
            assert_eq!(super::percent(part, whole), expected);
        }
    }
}
