//! How much of one report is kept in memory at most. It must not know formats.

use std::cell::{Cell, RefCell};

use serde::de;

use super::ParseError;

/// Things that are kept of one report, such as findings.
const ITEMS: u64 = 1_000_000;
/// Bytes that are kept of one report.
const BYTES: u64 = 256 << 20;

/// What may still be kept of a report. Shared by the readers of its parts, so it is counted through
/// a shared reference; the flaw that ended a reading waits here until the parser came back.
#[derive(Debug)]
pub(crate) struct Budget {
    items: Cell<u64>,
    bytes: Cell<u64>,
    flaw: RefCell<Option<ParseError>>,
}

impl Budget {
    /// A whole one.
    pub(crate) fn new() -> Self {
        Self::of(ITEMS, BYTES)
    }

    fn of(items: u64, bytes: u64) -> Self {
        Self { items: Cell::new(items), bytes: Cell::new(bytes), flaw: RefCell::new(None) }
    }

    /// Keeps one thing with these texts.
    pub(crate) fn keep(&self, bytes: usize) -> Result<(), ParseError> {
        let Some(items) = self.items.get().checked_sub(1) else {
            return Err(ParseError::TooLarge { what: format!("more than {ITEMS} things are told") });
        };
        self.items.set(items);
        self.store(bytes)
    }

    /// Keeps so many bytes.
    pub(crate) fn store(&self, bytes: usize) -> Result<(), ParseError> {
        let Some(bytes) = self.bytes.get().checked_sub(bytes as u64) else {
            return Err(ParseError::TooLarge {
                what: format!("more than {} MiB would be kept of it", BYTES >> 20),
            });
        };
        self.bytes.set(bytes);
        Ok(())
    }

    /// The error that ends a parser; the flaw is there for who asked the parser.
    pub(crate) fn stop<E: de::Error>(&self, flaw: ParseError) -> E {
        let error = E::custom(&flaw);
        self.flaw.borrow_mut().get_or_insert(flaw);
        error
    }

    /// The flaw that ended the parser, if one did.
    pub(crate) fn flaw(&self) -> Option<ParseError> {
        self.flaw.borrow_mut().take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends() {
        let budget = Budget::of(2, 10);
        assert_eq!(budget.keep(4), Ok(()));
        assert_eq!(budget.keep(6), Ok(()));
        assert!(matches!(budget.keep(0), Err(ParseError::TooLarge { .. })));
        assert!(matches!(budget.store(1), Err(ParseError::TooLarge { .. })));
    }

    #[test]
    fn the_first_flaw_is_told() {
        let budget = Budget::new();
        let _: serde_json::Error = budget.stop(ParseError::Empty);
        let _: serde_json::Error = budget.stop(ParseError::TooLarge { what: String::new() });
        assert_eq!(budget.flaw(), Some(ParseError::Empty));
    }
}
