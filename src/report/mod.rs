//! Reports: what standard report files say, as facts. Bytes go in; it must not know tasks, gates or
//! where files lie.
//!
//! A report is evidence only if it is whole. So each format has one reader that ends in facts or in a
//! [`Flaw`], and what would pass for "nothing was found" while nothing was examined is a flaw: no
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

use std::fmt::Display;
use std::io::BufRead;

pub use facts::Facts;
pub use kind::Kind;

/// What is wrong with a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It ends before its end.
    #[error("it is cut off: {what}")]
    Truncated {
        /// What is missing.
        what: String,
    },
    /// It is not of its format.
    #[error("it is not {format}: {what}")]
    Malformed {
        /// The format with its article, such as `a JUnit report`.
        format: &'static str,
        /// What is wrong, and where.
        what: String,
    },
    /// It says itself that nothing was examined.
    #[error("it says that nothing was examined: {what}")]
    NothingExamined {
        /// What it says.
        what: String,
    },
    /// It says itself that the tool failed.
    #[error("it says that its tool failed: {what}")]
    ToolFailed {
        /// What it says.
        what: String,
    },
    /// It says itself that something was not examined.
    #[error("it says that not all was examined: {what}")]
    Incomplete {
        /// What it says.
        what: String,
    },
    /// It holds more than is read.
    #[error("it is too large: {what}")]
    TooLarge {
        /// The limit that it passes.
        what: String,
    },
    /// Its bytes can't be read.
    #[error("it can't be read: {what}")]
    Unreadable {
        /// Why.
        what: String,
    },
}

impl Flaw {
    fn malformed(format: &'static str, what: impl Into<String>) -> Self {
        Self::Malformed { format, what: what.into() }
    }

    fn unreadable(error: impl Display) -> Self {
        Self::Unreadable { what: error.to_string() }
    }

    /// A licence of this package is too long to be judged.
    fn long_licence(package: &str) -> Self {
        let (package, most) = (text::one_line(package, 300), text::JUDGED >> 10);
        Self::TooLarge { what: format!("a licence of `{package}` has more than {most} KiB") }
    }

    fn nothing(what: impl Into<String>) -> Self {
        Self::NothingExamined { what: what.into() }
    }
}

/// How much must have been examined for a report to be evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// All that the tool was asked to examine.
    Whole,
    /// A part of it, even if the tool notes errors.
    Part,
}

/// What one file of a report says. Tools that write a file for each class, package or project write
/// files in which nothing was run, so whether anything was examined is asked of all files together.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// What it says.
    pub facts: Facts,
    /// Why it says that nothing was examined, if it does.
    pub nothing: Option<Flaw>,
}

impl From<Facts> for Part {
    fn from(facts: Facts) -> Self {
        Self { facts, nothing: None }
    }
}

/// Reads a report of this kind, of something that was examined as a whole, to its end.
///
/// # Errors
/// It is not a whole report of this kind, or not one of something that was examined.
pub fn read(kind: Kind, bytes: &mut dyn BufRead) -> Result<Facts, Flaw> {
    let Part { facts, nothing } = read_part(kind, Extent::Whole, bytes)?;
    nothing.map_or(Ok(facts), Err)
}

/// Reads one of the files of a report of this kind, of something of which this much was examined.
///
/// # Errors
/// It is not a whole file of this kind, or its tool failed.
pub fn read_part(kind: Kind, extent: Extent, bytes: &mut dyn BufRead) -> Result<Part, Flaw> {
    let mut source = match source::Source::open(bytes) {
        // LCOV has neither a beginning nor an end; its writers leave nothing where nothing is covered.
        Err(flaw @ Flaw::Empty) if kind == Kind::Lcov => return Ok(lcov::nothing(flaw)),
        source => source?,
    };
    // Both have other forms, that tools write unless they are asked for JSON.
    let form = match kind {
        Kind::Cyclonedx if source.body.starts_with(b"<") => Some("XML"),
        Kind::Spdx if source.body.starts_with(b"SPDXVersion:") => Some("tag and value"),
        _ => None,
    };
    if let Some(form) = form {
        return Err(Flaw::malformed(
            kind.format(),
            format!("it is written in {form}; have its tool write JSON"),
        ));
    }
    let facts = match kind {
        Kind::Junit => return junit::read(source),
        Kind::Lcov => return lcov::read(source),
        Kind::Cobertura => return cobertura::read(source),
        Kind::Cyclonedx => return cyclonedx::read(source),
        Kind::Spdx => return spdx::read(source),
        Kind::Sarif => sarif::read(source, sarif::Of::Findings, extent),
        Kind::Secrets => sarif::read(source, sarif::Of::Secrets, extent),
        Kind::K6 => k6::read(source),
        Kind::Sonar => sonar::read(source),
        Kind::Facts => plain::read(source),
    };
    facts.map(Part::from)
}

#[cfg(test)]
mod tests;
