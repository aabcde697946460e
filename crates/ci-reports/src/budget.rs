//! Limits how much of one report is kept in memory.

use std::cell::{Cell, RefCell};

use serde::de;

use super::ParseError;

/// The maximum number of items, such as findings.
const ITEMS: u64 = 1_000_000;
/// The maximum number of bytes.
const BYTES: u64 = 256 << 20;

/// How much of a report may still be kept in memory. The readers of all parts share it. It also
/// stores the error that stopped the parser, since the parser itself can only return a message.
#[derive(Debug)]
pub(crate) struct Budget {
    items: Cell<u64>,
    bytes: Cell<u64>,
    error: RefCell<Option<ParseError>>,
}

impl Budget {
    /// Creates a budget with the usual limits.
    pub(crate) fn new() -> Self {
        Self::with_limits(ITEMS, BYTES)
    }

    fn with_limits(items: u64, bytes: u64) -> Self {
        Self { items: Cell::new(items), bytes: Cell::new(bytes), error: RefCell::new(None) }
    }

    /// Counts one item with texts of this many bytes.
    pub(crate) fn keep(&self, bytes: usize) -> Result<(), ParseError> {
        let Some(items) = self.items.get().checked_sub(1) else {
            return Err(ParseError::TooLarge { what: format!("it has more than {ITEMS} items") });
        };
        self.items.set(items);
        self.store(bytes)
    }

    /// Counts this many bytes.
    pub(crate) fn store(&self, bytes: usize) -> Result<(), ParseError> {
        let Some(bytes) = self.bytes.get().checked_sub(bytes as u64) else {
            return Err(ParseError::TooLarge {
                what: format!("its values need more than {} MiB", BYTES >> 20),
            });
        };
        self.bytes.set(bytes);
        Ok(())
    }

    /// Stores an error, and returns the error that stops the parser.
    pub(crate) fn stop<E: de::Error>(&self, error: ParseError) -> E {
        let parser_error = E::custom(&error);
        self.error.borrow_mut().get_or_insert(error);
        parser_error
    }

    /// Removes and returns the error that stopped the parser.
    pub(crate) fn take_error(&self) -> Option<ParseError> {
        self.error.borrow_mut().take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceeded_budget_is_an_error() {
        let budget = Budget::with_limits(2, 10);
        assert_eq!(budget.keep(4), Ok(()));
        assert_eq!(budget.keep(6), Ok(()));
        assert!(matches!(budget.keep(0), Err(ParseError::TooLarge { .. })));
        assert!(matches!(budget.store(1), Err(ParseError::TooLarge { .. })));
    }

    #[test]
    fn first_parse_error_is_reported() {
        let budget = Budget::new();
        let _: serde_json::Error = budget.stop(ParseError::Empty);
        let _: serde_json::Error = budget.stop(ParseError::TooLarge { what: String::new() });
        assert_eq!(budget.take_error(), Some(ParseError::Empty));
    }
}
