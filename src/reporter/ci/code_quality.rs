//! The code quality reporter: writes findings and broken rules that have a place as JSON, which GitLab shows
//! beside the changes of a merge request. It must not report tests: those are in `JUnit` files.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::base::digest::FieldHasher;
use crate::base::file::{self, Durability};
use crate::event::{Event, What};
use crate::reporter::Reporter;
use crate::reporter::ci::annotations::{Annotations, Subject};
use crate::reporter::run_state::RunState;
use ci_reports::facts::Severity;

/// Collects the events of a run and writes the file at its end.
pub struct CodeQuality {
    path: PathBuf,
    root: String,
    state: RunState,
}

impl CodeQuality {
    /// Creates a reporter that writes to `path`, whose folder exists. The repository is at `root`.
    pub fn new(path: PathBuf, root: String) -> Self {
        Self { path, root, state: RunState::default() }
    }
}

impl Reporter for CodeQuality {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.state.apply(event);
        if !matches!(event.what, What::RunFinished(_)) {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&entries(&Annotations::from_run(&self.state, &self.root)))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
        file::write(&self.path, &text, folder, Durability::Relaxed).map_err(io::Error::other)
    }
}

/// Returns an entry for each annotation with a place in the repository.
pub(in crate::reporter) fn entries(annotations: &Annotations) -> Value {
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut entries = Vec::new();
    for annotation in &annotations.known {
        let about_code = matches!(annotation.about, Subject::Finding | Subject::Rule);
        let Some(place) =
            annotation.location.as_ref().filter(|place| about_code && !place.path.starts_with('/'))
        else {
            continue;
        };
        // The line is not part of the fingerprint, so a finding that only moved stays the same. Findings that
        // are equal otherwise are numbered.
        let mut fields = FieldHasher::new("code quality");
        for field in [&annotation.check, &place.path, &annotation.text] {
            fields.add(field.as_bytes());
        }
        let count = seen.entry(fields.digest().hex()).or_default();
        *count += 1;
        entries.push(json!({
            "description": format!("{}: {}", annotation.title, annotation.text),
            "check_name": annotation.check,
            "fingerprint": fields.number(*count).digest().hex(),
            "severity": severity(annotation.severity),
            "location": { "path": place.path, "lines": { "begin": place.line.unwrap_or(1) } },
        }));
    }
    Value::Array(entries)
}

/// Returns GitLab's word for a severity.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "info",
        Severity::Low => "minor",
        Severity::Medium => "major",
        Severity::High => "critical",
        Severity::Critical => "blocker",
    }
}
