//! What a gate demands, as tasks.toml says it. It must not know how facts come about.

use crate::base::pattern::Pattern;
use ci_reports::facts::Unit;

/// The rules of one gate. What is `None` or empty is not demanded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// `coverage`.
    pub coverage: Option<Coverage>,
    /// `tests`.
    pub tests: Option<Tests>,
    /// `findings`.
    pub findings: Option<Findings>,
    /// `secrets`: the most there may be.
    pub secrets: Option<u64>,
    /// `licences`.
    pub licences: Option<Licences>,
    /// `performance`, in the order of the file.
    pub performance: Vec<Bound>,
    /// `sonar = "ok"`.
    pub sonar: bool,
    /// `suppress`, in the order of the file.
    pub suppressions: Vec<Suppression>,
}

/// Rules for lines that tests reach, in percent of lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// At least so much of all.
    pub min: Option<f64>,
    /// At most so many points less than the baseline.
    pub max_drop: Option<f64>,
    /// At least so much of the files that a pattern matches, in the order of the file.
    pub paths: Vec<(Pattern, f64)>,
}

/// Rules for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    /// At most so many fail.
    pub failed: Option<u64>,
    /// At most so many are not run.
    pub skipped: Option<u64>,
    /// At most so many pass only when tried again.
    pub flaky: Option<u64>,
    /// At least so many are run.
    pub min_count: Option<u64>,
}

/// Rules for what scanners find: at most so many of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Critical ones.
    pub critical: Option<u64>,
    /// High ones.
    pub high: Option<u64>,
    /// Medium ones.
    pub medium: Option<u64>,
    /// Low ones.
    pub low: Option<u64>,
    /// Remarks.
    pub note: Option<u64>,
    /// Of any severity.
    pub total: Option<u64>,
    /// That the baseline does not have.
    pub new: Option<u64>,
}

/// Rules for licences: ids or names, with `*` for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Licences {
    /// Those that may be; empty: all but those that are denied.
    pub allow: Vec<String>,
    /// Those that may not be.
    pub deny: Vec<String>,
}

/// A bound for a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The figure's name.
    pub name: String,
    /// How it must compare.
    pub comparison: Comparison,
    /// With what.
    pub value: f64,
    /// In what; [`Unit::Number`] if none is written.
    pub unit: Unit,
    /// Comparison and value as they are written.
    pub written: String,
}

/// How a figure must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
}

/// Findings, secrets or packages that are accepted for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppression {
    /// The scanner's rule, or `licence`.
    pub rule: String,
    /// The licence as the report writes it, if it is one.
    pub licence: Option<String>,
    /// Where; `None`: anywhere.
    pub path: Option<Pattern>,
    /// The package, for a licence; `None`: any.
    pub package: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Day,
    /// Where it is written, such as `tasks.toml:12`.
    pub place: String,
}

/// A day of the calendar. Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// Of the common era.
    pub year: i32,
    /// From 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Rules {
    /// The names of what is demanded, as tasks.toml has them and in its order.
    pub fn names(&self) -> Vec<&'static str> {
        let demanded = [
            ("coverage", self.coverage.is_some()),
            ("tests", self.tests.is_some()),
            ("findings", self.findings.is_some()),
            ("secrets", self.secrets.is_some()),
            ("licences", self.licences.is_some()),
            ("performance", !self.performance.is_empty()),
            ("sonar", self.sonar),
        ];
        demanded.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
    }

    /// Whether a rule compares with a baseline.
    pub fn ask_baseline(&self) -> bool {
        self.coverage.as_ref().is_some_and(|coverage| coverage.max_drop.is_some())
            || self.findings.is_some_and(|findings| findings.new.is_some())
    }
}
