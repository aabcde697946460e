//! The code quality reporter: findings and broken rules that have a place, in the JSON that GitLab shows
//! beside a merge request's changes. It must not report tests: those are in `JUnit` files.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::base::digest::Fields;
use crate::base::file::{self, Durability};
use crate::event::{Event, What};
use crate::reporter::Reporter;
use crate::reporter::remarks::{About, Remarks};
use crate::reporter::story::Story;
use ci_reports::facts::Severity;

/// Collects a run and writes the file at its end.
pub struct CodeQuality {
    path: PathBuf,
    root: String,
    story: Story,
}

impl CodeQuality {
    /// Will write to `path`, whose folder exists, about the repository at `root`.
    pub fn new(path: PathBuf, root: String) -> Self {
        Self { path, root, story: Story::default() }
    }
}

impl Reporter for CodeQuality {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.story.take(event);
        if !matches!(event.what, What::RunFinished(_)) {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&entries(&Remarks::of(&self.story, &self.root)))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
        file::write(&self.path, &text, folder, Durability::Relaxed).map_err(io::Error::other)
    }
}

/// An entry for each remark that has a place in the repository.
pub(super) fn entries(remarks: &Remarks) -> Value {
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut entries = Vec::new();
    for remark in &remarks.known {
        let about_code = matches!(remark.about, About::Finding | About::Rule);
        let Some(place) = remark.place.as_ref().filter(|place| about_code && !place.path.starts_with('/'))
        else {
            continue;
        };
        // The line is left out, so that a finding that only moved is the same; of several that are alike
        // each has its number.
        let mut fields = Fields::new("code quality");
        for field in [&remark.check, &place.path, &remark.text] {
            fields.add(field.as_bytes());
        }
        let count = seen.entry(fields.digest().hex()).or_default();
        *count += 1;
        entries.push(json!({
            "description": format!("{}: {}", remark.title, remark.text),
            "check_name": remark.check,
            "fingerprint": fields.number(*count).digest().hex(),
            "severity": severity(remark.severity),
            "location": { "path": place.path, "lines": { "begin": place.line.unwrap_or(1) } },
        }));
    }
    Value::Array(entries)
}

/// GitLab's word.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "info",
        Severity::Low => "minor",
        Severity::Medium => "major",
        Severity::High => "critical",
        Severity::Critical => "blocker",
    }
}
