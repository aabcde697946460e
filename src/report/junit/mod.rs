//! `JUnit` XML: suites, their cases and what became of them, in the dialects that tools write. It must
//! not know what is demanded of tests.
//!
//! There is no standard, so a case is what its own elements say, and the counts that suites tell are
//! only compared with it:
//! - A suite that counts more tests than it has is cut off or written wrongly. pytest counts
//!   subtests that passed and writes no case for them; node counts the suites within a suite.
//! - A suite that counts fewer has cases that did not run (jest's `todo`), failed twice, or were
//!   tried again. What nothing else explains was not run.
//! - A suite that counts failures of which no case tells could not be run.
//!
//! Suites may be within suites, and whole reports within reports. A case, a suite or a failure that
//! stands within anything else is an error.
//!
//! pytest writes each attempt of a test as a case of the same name, the failed ones without a word;
//! so its cases of one name are one test.

mod case;
mod spot;
mod tally;

use self::case::{Case, Part};
use self::tally::Tally;
use super::facts::{Facts, FailedTest, Tests};
use super::source::Source;
use super::xml::{Document, Element, Piece};
use super::{Flaw, Kind, text};

/// Reads a report.
pub(super) fn read(source: Source<'_>) -> Result<Facts, Flaw> {
    let mut reading = Reading {
        document: Document::new(source, Kind::Junit.format()),
        open: Vec::new(),
        tally: Tally::new(),
    };
    while reading.step()? {}
    let tests = reading.tally.end()?;
    if tests.count() == 0 {
        return Err(Flaw::nothing(match tests.skipped {
            0 => "no test was run".to_owned(),
            skipped => format!("no test was run; {skipped} were skipped"),
        }));
    }
    Ok(Facts { tests: Some(tests), ..Facts::default() })
}

/// An element that is open.
enum Frame {
    Suite(Suite),
    Case(Case),
    /// Within a case; its text may belong to what the case says.
    Part(Part),
    /// Properties and output: nothing below it matters.
    Output,
    /// It is none of those that are known. What counts is refused below it, and not left out.
    Other,
}

/// A suite so far, with the suites within it.
#[derive(Default)]
struct Suite {
    name: String,
    file: Option<String>,
    /// How many tests it says that it has.
    told: Option<u64>,
    /// How many failures and errors it says that it has.
    told_failures: u64,
    cases: u64,
    /// Cases and suites right below it.
    children: u64,
    /// Failures and errors that are there.
    failures: u64,
    /// Cases that failed.
    failed: u64,
    /// Cases that it does not count itself.
    uncounted: u64,
    /// Whether a case was tried more than once.
    retried: bool,
}

struct Reading<'a> {
    document: Document<'a>,
    open: Vec<Frame>,
    tally: Tally,
}

impl Reading<'_> {
    fn step(&mut self) -> Result<bool, Flaw> {
        match self.document.next()? {
            Piece::Open(element) => {
                let frame = self.opened(&element)?;
                self.open.push(frame);
            }
            Piece::Text(text) => {
                if let Some(Frame::Part(part)) = self.open.last_mut() {
                    part.append(&text);
                }
            }
            Piece::Close => {
                if let Some(frame) = self.open.pop() {
                    self.closed(frame)?;
                }
            }
            Piece::End => return Ok(false),
        }
        Ok(true)
    }

    fn opened(&mut self, element: &Element) -> Result<Frame, Flaw> {
        let name = &*element.name;
        match (self.open.last(), name) {
            (None, "testsuites" | "testsuite") => self.suite(element),
            (None, _) => {
                let name = text::one_line(name, 40);
                Err(self
                    .document
                    .malformed(&format!("its root is `{name}`, not `testsuites` or `testsuite`")))
            }
            (Some(Frame::Output), _) | (Some(_), "properties" | "system-out" | "system-err") => {
                Ok(Frame::Output)
            }
            // Reports that were put together hold the roots of several.
            (Some(Frame::Suite(_)), "testsuites" | "testsuite") => self.suite(element),
            (Some(Frame::Suite(_)), "testcase") => Ok(Frame::Case(Case::new(element))),
            (Some(_), "testsuites" | "testsuite" | "testcase") => Err(self.astray(name)),
            (Some(Frame::Suite(_) | Frame::Case(_)), _) => {
                Ok(Part::new(element).map_or(Frame::Other, Frame::Part))
            }
            // Within a failure may be its log, which says nothing more.
            (Some(Frame::Part(_) | Frame::Other), _) => {
                let in_part = self.open.iter().any(|frame| matches!(frame, Frame::Part(_)));
                match Part::new(element) {
                    Some(part) if part.fails() && !in_part => Err(self.astray(name)),
                    _ => Ok(Frame::Other),
                }
            }
        }
    }

    /// Something that counts stands where no dialect has it, so nobody knows what it is part of.
    fn astray(&self, name: &str) -> Flaw {
        let within = text::one_line(self.document.within(), 40);
        self.document.malformed(&format!("`{name}` stands within `{within}`, where none belongs"))
    }

    fn suite(&mut self, element: &Element) -> Result<Frame, Flaw> {
        let count = |name: &str| element.count(name).map_err(|what| self.document.malformed(&what));
        let failures = count("failures")?.unwrap_or(0).saturating_add(count("errors")?.unwrap_or(0));
        if matches!(element.get("name"), Some("pytest tests" | "pytest")) {
            self.tally.join_names();
        }
        Ok(Frame::Suite(Suite {
            name: text::one_line(element.get("name").unwrap_or_default(), 300),
            file: element.get("file").or_else(|| element.get("filepath")).map(str::to_owned),
            told: count("tests")?,
            told_failures: failures,
            ..Suite::default()
        }))
    }

    fn closed(&mut self, frame: Frame) -> Result<(), Flaw> {
        match (frame, self.open.last_mut()) {
            (Frame::Part(part), Some(Frame::Case(case))) => case.add(part),
            (Frame::Part(part), Some(Frame::Suite(suite))) if part.fails() => {
                suite.failures += 1;
                suite.failed += 1;
                let (message, place) = part.failure(None);
                let name = if suite.name.is_empty() { "(a suite)".to_owned() } else { suite.name.clone() };
                self.tally.failed(FailedTest { name, message, place })?;
            }
            (Frame::Case(case), Some(Frame::Suite(suite))) => {
                suite.cases += 1;
                suite.children += 1;
                suite.failures += case.failures();
                suite.failed += u64::from(case.failures() > 0);
                suite.retried |= case.retried();
                self.tally.case(case.end(&suite.name, suite.file.as_deref()))?;
            }
            (Frame::Suite(suite), _) => return self.suite_closed(suite),
            _ => {}
        }
        Ok(())
    }

    fn suite_closed(&mut self, mut suite: Suite) -> Result<(), Flaw> {
        let shown = if suite.name.is_empty() { "a suite" } else { &*suite.name };
        if suite.told_failures > suite.failures && !suite.retried {
            let (told, there) = (suite.told_failures, suite.failures);
            return Err(Flaw::ToolFailed {
                what: format!("`{shown}` has failures or errors: {told}, and its tests tell of {there}"),
            });
        }
        if let Some(told) = suite.told.filter(|told| *told != suite.children) {
            let counted = suite.cases - suite.uncounted;
            let pytest = self.tally.joins_names() && suite.cases > 0;
            if told > suite.cases && !pytest {
                let there = suite.cases;
                let what = format!("`{shown}` says that it has {told} tests, and has {there}");
                return Err(self.document.malformed(&what));
            }
            if !suite.retried && !pytest {
                let missing = counted.saturating_sub(told).saturating_sub(suite.failed);
                suite.uncounted += self.tally.not_run(missing);
            }
        }
        if let Some(Frame::Suite(outer)) = self.open.last_mut() {
            outer.cases += suite.cases;
            outer.children += 1;
            outer.failures += suite.failures;
            outer.failed += suite.failed;
            outer.uncounted += suite.uncounted;
            outer.retried |= suite.retried;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
