//! Writes the logging commands of Azure Pipelines. It must not know which lines are shown, and it does not
//! write the summary, it only requests its upload.
//!
//! Groups are folded, so the logs of failures are not put in groups. Azure has no command that stops the
//! reading of commands, so there are no fences.

use crate::reporter::ci::annotations::{Annotation, Grade};
use crate::reporter::ci::escape_commands::{Marker, MarkerPosition, escape_commands};
use crate::reporter::ci::{Dialect, Group};
use crate::reporter::run_state::RunState;
use crate::reporter::text::{Keep, safe};

/// Azure reads commands anywhere in a line.
const MARKERS: &[Marker] = &[
    Marker { text: "##[", position: MarkerPosition::Anywhere(2) },
    Marker { text: "##vso[", position: MarkerPosition::Anywhere(2) },
];

/// The maximum number of issues of a kind in a step.
const LIMIT: usize = 10;

/// Writes commands of Azure Pipelines.
pub struct Azure {
    summary: String,
}

impl Azure {
    /// Creates a dialect that requests the upload of the Markdown at this absolute path.
    pub fn new(summary: String) -> Self {
        Self { summary }
    }
}

impl Dialect for Azure {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn group(&self, group: &Group<'_>) -> Option<(String, String)> {
        let command = || (format!("##[group]{}", group.heading), "##[endgroup]".to_owned());
        group.is_folded.then(command)
    }

    fn limit(&self) -> Option<(usize, &'static str)> {
        Some((LIMIT, "Azure shows 10 errors and 10 warnings for each step"))
    }

    fn annotation(&self, annotation: &Annotation) -> Option<String> {
        let kind = match annotation.grade {
            Grade::Error => "error",
            Grade::Warning => "warning",
            // Azure only knows errors and warnings.
            Grade::Notice => return None,
        };
        let mut properties = format!("type={kind};");
        if let Some(place) = &annotation.location {
            properties.push_str(&format!("sourcepath={};", escape(&place.path)));
            if let Some(line) = place.line {
                properties.push_str(&format!("linenumber={line};"));
            }
        }
        let text = escape(&format!("{}: {}", annotation.title, annotation.text));
        Some(format!("##vso[task.logissue {properties}]{text}"))
    }

    fn end(&self, _story: &RunState) -> Vec<String> {
        vec![format!("##vso[task.uploadsummary]{}", escape(&self.summary))]
    }
}

/// Escapes the text of a command. The log shows this text too. Properties and messages are escaped alike.
fn escape(text: &str) -> String {
    let text = safe(text, Keep::Nothing);
    let text = escape_commands(&text, MARKERS);
    let text = text.replace('%', "%AZP25").replace('\r', "%0D").replace('\n', "%0A");
    text.replace(';', "%3B").replace(']', "%5D")
}
