//! Writes the headings of Buildkite. It must not know which lines are shown.
//!
//! A heading contains all lines up to the next heading, so lines that are not logs need a heading too.

use crate::reporter::ci::escape_commands::{Marker, MarkerPosition};
use crate::reporter::ci::{Dialect, Group};

const MARKERS: &[Marker] = &[
    Marker { text: "---", position: MarkerPosition::Word },
    Marker { text: "+++", position: MarkerPosition::Word },
    Marker { text: "~~~", position: MarkerPosition::Word },
    Marker { text: "^^^", position: MarkerPosition::Word },
];

/// Writes headings for Buildkite.
pub struct Buildkite;

impl Dialect for Buildkite {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn begin(&self) -> Option<String> {
        Some("--- tasks".to_owned())
    }

    fn group(&self, group: &Group<'_>) -> Option<(String, String)> {
        Some(if group.is_folded {
            (format!("~~~ {}", group.heading), "--- tasks".to_owned())
        } else {
            (format!("+++ {}", group.heading), String::new())
        })
    }

    fn conclude(&self) -> Option<String> {
        Some("+++ result".to_owned())
    }
}
