//! Why a report is rejected.

use std::fmt::Display;

use super::text;

/// Why a report is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The file is empty.
    #[error("empty")]
    Empty,
    /// The end of the file is missing.
    #[error("cut off: {what}")]
    Truncated {
        /// What is missing.
        what: String,
    },
    /// The file is not of its format.
    #[error("not {format}: {what}")]
    Malformed {
        /// The format with its article, such as `a JUnit report`.
        format: &'static str,
        /// What is wrong, and where.
        what: String,
    },
    /// The report says that nothing was examined.
    #[error("nothing was examined: {what}")]
    NothingExamined {
        /// What the report says.
        what: String,
    },
    /// The report says that its tool failed.
    #[error("the tool failed: {what}")]
    ToolFailed {
        /// What the report says.
        what: String,
    },
    /// The report says that its tool did not examine everything.
    #[error("not everything was examined: {what}")]
    Incomplete {
        /// What the report says.
        what: String,
    },
    /// The report exceeds a limit.
    #[error("too large: {what}")]
    TooLarge {
        /// The limit.
        what: String,
    },
    /// The file can't be read.
    #[error("it can't be read: {what}")]
    Unreadable {
        /// Why.
        what: String,
    },
}

impl ParseError {
    pub(crate) fn malformed(format: &'static str, what: impl Into<String>) -> Self {
        Self::Malformed { format, what: what.into() }
    }

    pub(crate) fn unreadable(error: impl Display) -> Self {
        Self::Unreadable { what: error.to_string() }
    }

    /// Returns the error about a licence that is longer than any that can be judged.
    pub(crate) fn long_licence(package: &str) -> Self {
        let (package, most) = (text::one_line(package, 300), text::MAX_JUDGED >> 10);
        Self::TooLarge { what: format!("a licence of `{package}` has more than {most} KiB") }
    }

    pub(crate) fn nothing_examined(what: impl Into<String>) -> Self {
        Self::NothingExamined { what: what.into() }
    }
}
