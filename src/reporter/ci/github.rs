//! Writes the workflow commands of GitHub Actions. It must not know which lines are shown.
//!
//! Groups are always folded, so the logs of failures are not put in groups. While commands are stopped, the
//! runner only accepts the command with the token, which a task can't guess.

use crate::base::digest::FieldHasher;
use crate::reporter::ci::annotations::{Annotation, Grade};
use crate::reporter::ci::escape_commands::{Marker, MarkerPosition, escape_commands};
use crate::reporter::ci::{Dialect, Group};
use crate::reporter::text::{Keep, safe};
use ci_reports::facts::Location;

/// Commands are read at the start of a line. The old form is read anywhere in a line, and the web page of the
/// log formats it even where the runner ignores it.
const MARKERS: &[Marker] = &[
    Marker { text: "::", position: MarkerPosition::Start },
    Marker { text: "##[", position: MarkerPosition::Anywhere(2) },
];

/// The maximum number of annotations of a kind in a step.
const LIMIT: usize = 10;

/// Writes commands of GitHub Actions.
pub struct Github {
    seed: [u8; 32],
    fences: u64,
}

impl Github {
    /// Creates a dialect whose tokens are derived from `seed`, which must be secret.
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
        let command = || (format!("::group::{}", escape_data(group.heading)), "::endgroup::".to_owned());
        group.is_folded.then(command)
    }

    fn fence(&mut self) -> Option<(String, String)> {
        self.fences += 1;
        let token = FieldHasher::new("fence").add(&self.seed).number(self.fences).digest().hex();
        let token = &token[..32];
        Some((format!("::stop-commands::{token}"), format!("::{token}::")))
    }

    fn limit(&self) -> Option<(usize, &'static str)> {
        Some((LIMIT, "GitHub shows 10 of a kind for each step"))
    }

    fn annotation(&self, annotation: &Annotation) -> Option<String> {
        let command = match annotation.grade {
            Grade::Error => "error",
            Grade::Warning => "warning",
            Grade::Notice => "notice",
        };
        let mut properties = annotation.location.as_ref().map(location_properties).unwrap_or_default();
        properties.push(format!("title={}", escape_property(&annotation.title)));
        Some(format!("::{command} {}::{}", properties.join(","), escape_data(&annotation.text)))
    }
}

fn location_properties(place: &Location) -> Vec<String> {
    let file = format!("file={}", escape_property(&place.path));
    let line = place.line.map(|line| format!("line={line}"));
    let end = place.line.and(place.end_line).map(|line| format!("endLine={line}"));
    std::iter::once(file).chain(line).chain(end).collect()
}

/// Escapes the message of a command. The log shows it too, so it must not contain commands of the old form.
fn escape_data(text: &str) -> String {
    let text = safe(text, Keep::Nothing);
    let text = escape_commands(&text, &MARKERS[1..]);
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a command's property.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}
