//! The dialect of GitHub Actions. It must not know which lines are shown.
//!
//! A group there is always folded, so what failed stands outside of groups. While commands are stopped
//! the runner reads none but the one with the token, which nobody knows before it is used.

use crate::base::digest::Fields;
use crate::reporter::ci::{Dialect, Group};
use crate::reporter::harmless::{At, Marker, harmless};
use crate::reporter::remarks::{Grade, Remark};
use crate::reporter::text::{Keep, safe};
use ci_reports::facts::Location;

/// Commands stand at the start of a line. The old form is read anywhere in one, and drawn by the page
/// that shows the log even where the runner does not obey it.
const MARKERS: &[Marker] =
    &[Marker { text: "::", at: At::Start }, Marker { text: "##[", at: At::Anywhere(2) }];

/// Annotations of a kind that a step has.
const LIMIT: usize = 10;

/// Speaks to GitHub Actions.
pub struct Github {
    seed: [u8; 32],
    fences: u64,
}

impl Github {
    /// The tokens of its fences follow from `seed`, which nobody else may know.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, fences: 0 }
    }
}

impl Dialect for Github {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn markers_in_logs(&self) -> &'static [Marker] {
        &MARKERS[1..]
    }

    fn group(&self, group: &Group<'_>) -> Option<(String, String)> {
        let command = || (format!("::group::{}", data(group.heading)), "::endgroup::".to_owned());
        group.is_folded.then(command)
    }

    fn fence(&mut self) -> Option<(String, String)> {
        self.fences += 1;
        let token = Fields::new("fence").add(&self.seed).number(self.fences).digest().hex();
        let token = &token[..32];
        Some((format!("::stop-commands::{token}"), format!("::{token}::")))
    }

    fn limit(&self) -> Option<(usize, &'static str)> {
        Some((LIMIT, "GitHub shows 10 of a kind for each step"))
    }

    fn remark(&self, remark: &Remark) -> Option<String> {
        let command = match remark.grade {
            Grade::Error => "error",
            Grade::Warning => "warning",
            Grade::Notice => "notice",
        };
        let mut properties = remark.place.as_ref().map(place).unwrap_or_default();
        properties.push(format!("title={}", property(&remark.title)));
        Some(format!("::{command} {}::{}", properties.join(","), data(&remark.text)))
    }
}

fn place(place: &Location) -> Vec<String> {
    let file = format!("file={}", property(&place.path));
    let line = place.line.map(|line| format!("line={line}"));
    let end = place.line.and(place.end_line).map(|line| format!("endLine={line}"));
    std::iter::once(file).chain(line).chain(end).collect()
}

/// Text behind a command. The log shows it, so it may hold no command of the old form.
fn data(text: &str) -> String {
    let text = safe(text, Keep::Nothing);
    let text = harmless(&text, &MARKERS[1..]);
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
