//! Why a report can't be read, or is no evidence.

use std::fmt::Display;

use super::text;

/// What is wrong with a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
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

impl ParseError {
    pub(crate) fn malformed(format: &'static str, what: impl Into<String>) -> Self {
        Self::Malformed { format, what: what.into() }
    }

    pub(crate) fn unreadable(error: impl Display) -> Self {
        Self::Unreadable { what: error.to_string() }
    }

    /// A licence of this package is too long to be judged.
    pub(crate) fn long_licence(package: &str) -> Self {
        let (package, most) = (text::one_line(package, 300), text::JUDGED >> 10);
        Self::TooLarge { what: format!("a licence of `{package}` has more than {most} KiB") }
    }

    pub(crate) fn nothing(what: impl Into<String>) -> Self {
        Self::NothingExamined { what: what.into() }
    }
}
