//! Reads the standard reports that CI tools write, and returns them as [`Facts`].
//!
//! Read [`facts`] first: it is what all readers return. Each format has its own file; `source`, `xml`
//! and `json` read bytes for all of them.
//!
//! A report is evidence only if it is complete. Some reports could be read as "nothing was found"
//! although nothing was examined: a report without tests, lines or packages, or of a scan that
//! reports that it failed. Such a report is a [`ParseError`].
//!
//! Valid reports of common tools are always accepted. XML and JSON become malformed when they are
//! cut off, so declared totals are only needed to explain what a report lists. A report is rejected
//! because of its totals only where they could hide a failure.
//!
//! Readers stream their input and keep only what becomes a fact, so a report may be larger than the
//! available memory. They never follow references such as entities, includes or URLs.
#![cfg_attr(doctest, doc = include_str!("../README.md"))]

mod budget;
mod cobertura;
mod cyclonedx;
mod error;
pub mod facts;
mod json;
mod junit;
mod k6;
mod kind;
mod lcov;
mod map_texts;
mod plain;
mod ranges;
mod sarif;
mod sonar;
mod source;
mod spdx;
mod text;
mod uri;
mod xml;

use std::io::BufRead;

pub use error::ParseError;
pub use facts::{Facts, ReportFile};
pub use kind::{Completeness, ReportKind};

/// Reads a report that is a single file.
///
/// # Errors
/// The file is not a complete report of this kind, or says that nothing was examined.
pub fn read(kind: ReportKind, bytes: &mut dyn BufRead) -> Result<Facts, ParseError> {
    let ReportFile { facts, nothing_examined: nothing } = read_file(kind, Completeness::Full, bytes)?;
    nothing.map_or(Ok(facts), Err)
}

/// Reads one of the files of a report.
///
/// # Errors
/// The file is not a complete report of this kind, or the tool failed.
pub fn read_file(
    kind: ReportKind,
    completeness: Completeness,
    bytes: &mut dyn BufRead,
) -> Result<ReportFile, ParseError> {
    let mut source = match source::Source::open(bytes) {
        // LCOV has neither a header nor a footer; a tool that covered nothing writes an empty file.
        Err(error @ ParseError::Empty) if kind == ReportKind::Lcov => return Ok(lcov::no_lines(error)),
        source => source?,
    };
    // Tools write these formats in other forms unless they are asked for JSON.
    let form = match kind {
        ReportKind::Cyclonedx if source.body.starts_with(b"<") => Some("XML"),
        ReportKind::Spdx if source.body.starts_with(b"SPDXVersion:") => Some("tag and value"),
        _ => None,
    };
    if let Some(form) = form {
        return Err(ParseError::malformed(
            kind.format(),
            format!("it is written in {form}; let the tool write JSON"),
        ));
    }
    let facts = match kind {
        ReportKind::Junit => return junit::read(source),
        ReportKind::Lcov => return lcov::read(source),
        ReportKind::Cobertura => return cobertura::read(source),
        ReportKind::Cyclonedx => return cyclonedx::read(source),
        ReportKind::Spdx => return spdx::read(source),
        ReportKind::Sarif => sarif::read(source, sarif::ResultUse::Findings, completeness),
        ReportKind::Secrets => sarif::read(source, sarif::ResultUse::Secrets, completeness),
        ReportKind::K6 => k6::read(source),
        ReportKind::Sonar => sonar::read(source),
        ReportKind::Facts => plain::read(source),
    };
    facts.map(ReportFile::from)
}

#[cfg(test)]
mod tests;
