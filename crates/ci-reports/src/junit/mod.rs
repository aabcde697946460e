//! Reads `JUnit` XML in the dialects that tools write.
//!
//! There is no standard, so the result of a case is taken from the elements in it. The totals that
//! suites declare only explain the list of cases ([`totals`]): they show tests that are not listed,
//! and never remove a failure.
//!
//! Suites may contain suites, cases may contain cases, and reports may contain whole reports. Known
//! elements count wherever they are, even within unknown elements; only properties and output are
//! skipped.
//!
//! pytest writes each attempt of a test as a case of the same name, and does not mark the failed
//! attempts. So cases of the same name in its reports are treated as one test.

mod cases;
mod locations;
mod totals;

use self::cases::{Case, OutcomeElement, Tally};
use self::totals::{Gaps, Suite};
use super::facts::{Facts, FailedTest, Tests};
use super::source::Source;
use super::xml::{Document, Element, Piece};
use super::{ParseError, ReportKind, text};

/// Reads a report.
pub(super) fn read(source: Source<'_>) -> Result<crate::ReportFile, ParseError> {
    let mut reading = Reading {
        document: Document::new(source, ReportKind::Junit.format())?,
        open: Vec::new(),
        tally: Tally::new(),
        gaps: Gaps::default(),
    };
    while reading.step()? {}
    reading.end()
}

/// An element that is open.
enum Frame {
    Suite(Suite),
    Case(Case),
    /// An element that reports how the case or suite around it ended. Its text is the message.
    Part(OutcomeElement),
    /// Properties or output. Their content is skipped.
    Output,
    /// An unknown element.
    Other,
}

struct Reading<'a> {
    document: Document<'a>,
    open: Vec<Frame>,
    tally: Tally,
    gaps: Gaps,
}

impl Reading<'_> {
    fn step(&mut self) -> Result<bool, ParseError> {
        match self.document.next()? {
            Piece::Open(element) => {
                let frame = self.opened(&element)?;
                self.open.push(frame);
            }
            Piece::Text(text) => self.text(&text),
            Piece::Close => {
                if let Some(frame) = self.open.pop() {
                    self.closed(frame)?;
                }
            }
            Piece::End => return Ok(false),
        }
        Ok(true)
    }

    fn opened(&mut self, element: &Element) -> Result<Frame, ParseError> {
        let name = &*element.name;
        match (self.open.last(), name) {
            (None, "testsuites" | "testsuite") => self.suite(element),
            (None, _) => {
                let name = text::one_line(name, 40);
                Err(self
                    .document
                    .malformed(&format!("its root is `{name}`, not `testsuites` or `testsuite`")))
            }
            (Some(Frame::Output), _) => {
                if name == "property" {
                    self.gaps.property(element);
                }
                Ok(Frame::Output)
            }
            (Some(_), "properties" | "system-out" | "system-err") => Ok(Frame::Output),
            (Some(_), "testsuites" | "testsuite") => self.suite(element),
            (Some(_), "testcase") => Ok(Frame::Case(Case::new(element))),
            (Some(_), _) => {
                // Elements inside a failure are its log and are ignored.
                let in_failure = self.open.iter().rev().map_while(|frame| match frame {
                    Frame::Part(part) => Some(part.fails()),
                    Frame::Other => Some(false),
                    _ => None,
                });
                let is_log = in_failure.into_iter().any(|fails| fails);
                Ok(OutcomeElement::new(element).filter(|_| !is_log).map_or(Frame::Other, Frame::Part))
            }
        }
    }

    /// Adds text to the failure around it, if there is one.
    fn text(&mut self, text: &str) {
        let around = self.open.iter_mut().rev().find(|frame| !matches!(frame, Frame::Other));
        if let Some(Frame::Part(part)) = around {
            part.append(text);
        }
    }

    fn suite(&mut self, element: &Element) -> Result<Frame, ParseError> {
        if matches!(element.get("name"), Some("pytest tests" | "pytest")) {
            self.tally.join_names();
        }
        let outer = self.suites().next().map(|suite| &*suite);
        let suite = Suite::new(element, outer);
        suite.map(Frame::Suite).map_err(|what| self.document.malformed(&what))
    }

    fn closed(&mut self, frame: Frame) -> Result<(), ParseError> {
        match frame {
            Frame::Part(part) => self.part_closed(part),
            Frame::Case(case) => {
                let Some(suite) = self.suites().next() else { return Ok(()) };
                let (file, name) = (suite.file.clone(), suite.name.clone());
                let listed = case.listed();
                let (name, outcome) = case.end(&name, file.as_deref());
                if let Some(suite) = self.suites().next() {
                    suite.add(listed, &outcome);
                }
                self.tally.case(name, outcome)
            }
            Frame::Suite(suite) => self.suite_closed(suite),
            Frame::Output | Frame::Other => Ok(()),
        }
    }

    /// Adds a part to the nearest case or suite around it.
    fn part_closed(&mut self, part: OutcomeElement) -> Result<(), ParseError> {
        let around =
            self.open.iter_mut().rev().find(|frame| matches!(frame, Frame::Case(_) | Frame::Suite(_)));
        match around {
            Some(Frame::Case(case)) => case.add(part),
            Some(Frame::Suite(suite)) if part.fails() => {
                suite.failed_itself();
                let (message, place) = part.failure(None);
                let name = suite.name_or("(a suite)");
                self.tally.failed(FailedTest { name, message, place })?;
            }
            Some(Frame::Suite(suite)) => suite.skipped_itself(part.skips()),
            _ => {}
        }
        Ok(())
    }

    /// Returns the open suites, innermost first.
    fn suites(&mut self) -> impl Iterator<Item = &mut Suite> {
        self.open.iter_mut().rev().filter_map(|frame| match frame {
            Frame::Suite(suite) => Some(suite),
            _ => None,
        })
    }

    fn suite_closed(&mut self, mut suite: Suite) -> Result<(), ParseError> {
        let has_root = self.open.iter().any(|frame| matches!(frame, Frame::Suite(_)));
        if let Some(message) = suite.unlisted_failures(&self.gaps) {
            let name = suite.name_or(if has_root { "(a suite)" } else { "(the whole report)" });
            self.tally.failed(FailedTest { name, message, place: None })?;
        }
        self.gaps.compare(&mut suite, &mut self.tally);
        if let Some(outer) = self.suites().next() {
            outer.add_suite(&suite);
            return Ok(());
        }
        self.gaps.whole = Some(suite);
        Ok(())
    }

    fn end(self) -> Result<crate::ReportFile, ParseError> {
        if let Some(what) = self.gaps.unexplained(self.tally.joins_names()) {
            return Err(self.document.malformed(&what));
        }
        let (hidden, totals) = self.gaps.totals();
        let mut tests: Tests = self.tally.end()?;
        tests.skipped = tests.skipped.saturating_add(hidden);
        tests.totals = totals;
        let nothing = (tests.count() == 0).then(|| {
            ParseError::nothing_examined(match tests.skipped {
                0 => "no test was run".to_owned(),
                skipped => format!("no test was run; {skipped} were skipped"),
            })
        });
        Ok(crate::ReportFile {
            facts: Facts { tests: Some(tests), ..Facts::default() },
            nothing_examined: nothing,
        })
    }
}

#[cfg(test)]
mod tests;
