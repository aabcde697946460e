//! Errors of a config that only show when it is compared with a tree. They look like errors of the parser.

use std::ops::Range;

use crate::config::diagnostic::{Diagnostic, DiagnosticSink, Diagnostics, FileDiagnostics};
use crate::config::model::Config;

/// An error of a valid config on a certain tree.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The number of the file.
    pub file: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// The bytes of the file that are wrong.
    pub span: Range<usize>,
    /// The text below them.
    pub label: String,
    /// Other places that are part of the error, each with a short text.
    pub others: Vec<(Range<usize>, String)>,
    /// What to do.
    pub hint: String,
}

/// Returns the diagnostics of these errors.
pub fn refuse(config: &Config, refusals: Vec<Refusal>) -> Diagnostics {
    let mut sink: Vec<DiagnosticSink> = config.files.iter().map(|_| DiagnosticSink::default()).collect();
    for refusal in refusals {
        let diagnostic =
            Diagnostic::new(refusal.span, refusal.message).label(refusal.label).hint(refusal.hint);
        let others = refusal.others.into_iter();
        sink[refusal.file]
            .add(others.fold(diagnostic, |diagnostic, (span, label)| diagnostic.other(span, label)));
    }
    let files = config.files.iter().zip(sink).filter(|(_, sink)| !sink.0.is_empty());
    Diagnostics::new(files.map(|(file, sink)| FileDiagnostics::new(&file.name, &file.text, sink)).collect())
}
