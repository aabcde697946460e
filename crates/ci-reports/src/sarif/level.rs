//! How grave a result is: its kind, its level and a scanner's number. It must not know rules.

use crate::facts::Severity;
use crate::{Kind as Report, ParseError, text};

/// SARIF's `level`. The gravest is the greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Level {
    None,
    Note,
    Warning,
    Error,
}

impl Level {
    /// The level of this name.
    pub(super) fn of(name: &str) -> Result<Self, ParseError> {
        match name {
            "none" => Ok(Self::None),
            "note" => Ok(Self::Note),
            "warning" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            other => {
                let other = text::one_line(other, 40);
                let what = format!("`{other}` is no level; there are none, note, warning and error");
                Err(ParseError::malformed(Report::Sarif.format(), what))
            }
        }
    }

    /// Without a number of the scanner's own.
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::None | Self::Note => Severity::Note,
            Self::Warning => Severity::Medium,
            Self::Error => Severity::High,
        }
    }
}

/// What became of what was looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It was found.
    Fail,
    /// A person has to look (`review`), or not enough is known to tell (`open`). SARIF gives it no
    /// level, so it is a remark.
    Undecided,
    /// There is nothing to be told: `pass`, `notApplicable`, `informational`.
    Nothing,
}

impl Kind {
    /// The kind of this name. A name of later versions counts as found.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "pass" | "notApplicable" | "informational" => Self::Nothing,
            "open" | "review" => Self::Undecided,
            _ => Self::Fail,
        }
    }
}

/// The severity that GitHub's `security-severity` stands for; `None` if it is 0 or no such number.
pub(super) fn security_severity(number: f64) -> Option<Severity> {
    match number {
        number if (9.0..=10.0).contains(&number) => Some(Severity::Critical),
        number if (7.0..9.0).contains(&number) => Some(Severity::High),
        number if (4.0..7.0).contains(&number) => Some(Severity::Medium),
        number if number > 0.0 && number < 4.0 => Some(Severity::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_severities() {
        let cases = [
            (10.0, Some(Severity::Critical)),
            (9.0, Some(Severity::Critical)),
            (8.9, Some(Severity::High)),
            (7.0, Some(Severity::High)),
            (6.9, Some(Severity::Medium)),
            (4.0, Some(Severity::Medium)),
            (3.9, Some(Severity::Low)),
            (0.1, Some(Severity::Low)),
            (0.0, None),
            (-1.0, None),
            (10.1, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ];
        for (number, severity) in cases {
            assert_eq!(security_severity(number), severity, "{number}");
        }
    }
}
