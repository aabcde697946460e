//! Errors that are found when a config is compared with a tree, drawn like those of the parser.

use std::ops::Range;

use crate::config::diagnostic::{Diagnostic, Diagnostics, Findings, Flawed};
use crate::config::model::Config;

/// Something that is wrong with a config for a tree, although it can be read.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The number of the file.
    pub file: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// The bytes of the file that are, and what is written under them.
    pub span: Range<usize>,
    /// A few words about them.
    pub label: String,
    /// Other places that have part in it, with a few words each.
    pub others: Vec<(Range<usize>, String)>,
    /// What to do.
    pub hint: String,
}

/// Makes diagnostics of what is wrong with a config for a tree.
pub fn refuse(config: &Config, refusals: Vec<Refusal>) -> Diagnostics {
    let mut findings: Vec<Findings> = config.files.iter().map(|_| Findings::default()).collect();
    for refusal in refusals {
        let diagnostic =
            Diagnostic::new(refusal.span, refusal.message).label(refusal.label).hint(refusal.hint);
        let others = refusal.others.into_iter();
        findings[refusal.file]
            .add(others.fold(diagnostic, |diagnostic, (span, label)| diagnostic.other(span, label)));
    }
    let files = config.files.iter().zip(findings).filter(|(_, findings)| !findings.0.is_empty());
    Diagnostics::new(files.map(|(file, findings)| Flawed::new(&file.name, &file.text, findings)).collect())
}
