//! What `ci init` takes from workflows that people wrote, and says of them. It must not write files.

use std::path::Path;

use serde_json::Value;

use crate::base::yaml;
use crate::cli::ci::text_file::read_text;
use crate::cli::failure::Failure;
use crate::workflow::ci_facts::CiFacts;
use crate::workflow::existing::{self, Job};
use crate::workflow::setup::need::Files;
use crate::workflow::setup::{self, Setup, take_over};
use crate::workflow::{self, Draft, gitlab, location};

/// How many jobs are named whose steps tasks run too.
const MOST_JOBS: usize = 6;

/// The jobs and the pipeline that people wrote.
pub(super) struct Existing {
    jobs: Vec<Job>,
    pipeline: Option<Value>,
}

impl Existing {
    /// Reads them. What can't be read is left out.
    pub(super) fn read(root: &Path, paths: &[String]) -> Result<Self, Failure> {
        let mut jobs = Vec::new();
        for path in location::github_workflows(paths) {
            let text = read_text(&root.join(path))?.filter(|text| !workflow::is_generated(text));
            jobs.extend(text.into_iter().flat_map(|text| existing::github_jobs(path, &text)));
        }
        let pipeline = read_text(&root.join(gitlab::PATH))?.filter(|text| !workflow::is_generated(text));
        Ok(Self { jobs, pipeline: pipeline.and_then(|text| yaml::parse(&text).ok()) })
    }

    /// Fills the section `setup` of a workflow that is written for the first time. Returns what the user
    /// should know of it.
    pub(super) fn fill(
        &self,
        draft: &mut Draft,
        facts: &CiFacts,
        root: &Path,
        paths: &[String],
    ) -> Vec<String> {
        let read = |path: &str| read_text(&root.join(path)).ok().flatten();
        let files = Files::new(paths, &read);
        let Setup { lines, reasons, omitted } = if draft.path.starts_with(workflow::github::FOLDER) {
            setup::github(facts, &files, &self.jobs)
        } else {
            setup::gitlab(facts, &files, self.pipeline.as_ref())
        };
        draft.first.insert("setup", lines);
        let mut notes = Vec::new();
        if !reasons.is_empty() {
            notes.push(format!("  its setup, which is yours from now on: {}", reasons.join("; ")));
        }
        notes.extend(omitted.iter().map(|line| format!("  not taken over: {line}")));
        notes
    }

    /// Returns what people's jobs do that the tasks do too.
    pub(super) fn replaced(&self, facts: &CiFacts, ours: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for job in &self.jobs {
            let scripts = job.steps.iter().filter_map(|step| step.script());
            let mut commands: Vec<String> =
                scripts.flat_map(|script| take_over::replaced(script, &facts.commands)).collect();
            commands.dedup();
            if !commands.is_empty() {
                let services = if job.has_services && !facts.has_services {
                    "; its services are not taken over: declare them in [services]"
                } else {
                    ""
                };
                lines.push(format!("  {}: {}{services}", job.label(), commands.join(", ")));
            }
        }
        if lines.is_empty() {
            return lines;
        }
        let more = lines.len().saturating_sub(MOST_JOBS);
        lines.truncate(MOST_JOBS);
        if more > 0 {
            lines.push(format!("  and {more} more jobs"));
        }
        lines.insert(0, format!("note: these steps of yours run what {ours} runs, so you may remove them:"));
        lines
    }
}
