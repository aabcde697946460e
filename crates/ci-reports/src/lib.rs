//! Reports: what standard report files say, as facts. Bytes go in; it must not know tasks, gates or
//! where files lie.
//!
//! A report is evidence only if it is whole. So each format has one reader that ends in facts or in a
//! [`ParseError`], and what would pass for "nothing was found" while nothing was examined is a flaw: no
//! tests, no lines, no packages, a scan that says it did not succeed.
//!
//! An honest report of a common tool is always read. Well-formed XML and JSON can't be cut off
//! unnoticed, so the totals that a report declares only explain what it lists, and a report is refused
//! for them only where they could hide a failure.
//!
//! Readers take their bytes as they come and keep only what becomes a fact, so a report may be larger
//! than the memory it is read in. They never follow what a report refers to: no entities, no
//! includes, no addresses.

mod budget;
mod cobertura;
mod cyclonedx;
mod error;
pub mod facts;
mod json;
mod junit;
mod k6;
pub mod kind;
mod lcov;
mod plain;
mod ranges;
mod rewriting;
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

/// Reads a report of this kind, of something that was examined as a whole, to its end.
///
/// # Errors
/// It is not a whole report of this kind, or not one of something that was examined.
pub fn read(kind: ReportKind, bytes: &mut dyn BufRead) -> Result<Facts, ParseError> {
    let ReportFile { facts, nothing } = read_file(kind, Completeness::Full, bytes)?;
    nothing.map_or(Ok(facts), Err)
}

/// Reads one of the files of a report of this kind, of something of which this much was examined.
///
/// # Errors
/// It is not a whole file of this kind, or its tool failed.
pub fn read_file(
    kind: ReportKind,
    extent: Completeness,
    bytes: &mut dyn BufRead,
) -> Result<ReportFile, ParseError> {
    let mut source = match source::Source::open(bytes) {
        // LCOV has neither a beginning nor an end; its writers leave nothing where nothing is covered.
        Err(flaw @ ParseError::Empty) if kind == ReportKind::Lcov => return Ok(lcov::nothing(flaw)),
        source => source?,
    };
    // Both have other forms, that tools write unless they are asked for JSON.
    let form = match kind {
        ReportKind::Cyclonedx if source.body.starts_with(b"<") => Some("XML"),
        ReportKind::Spdx if source.body.starts_with(b"SPDXVersion:") => Some("tag and value"),
        _ => None,
    };
    if let Some(form) = form {
        return Err(ParseError::malformed(
            kind.format(),
            format!("it is written in {form}; have its tool write JSON"),
        ));
    }
    let facts = match kind {
        ReportKind::Junit => return junit::read(source),
        ReportKind::Lcov => return lcov::read(source),
        ReportKind::Cobertura => return cobertura::read(source),
        ReportKind::Cyclonedx => return cyclonedx::read(source),
        ReportKind::Spdx => return spdx::read(source),
        ReportKind::Sarif => sarif::read(source, sarif::Of::Findings, extent),
        ReportKind::Secrets => sarif::read(source, sarif::Of::Secrets, extent),
        ReportKind::K6 => k6::read(source),
        ReportKind::Sonar => sonar::read(source),
        ReportKind::Facts => plain::read(source),
    };
    facts.map(ReportFile::from)
}

#[cfg(test)]
mod tests;
