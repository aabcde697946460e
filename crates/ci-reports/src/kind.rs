//! The kinds of reports, by the names that tasks.toml gives them. It must not know how they are read.

use serde::{Deserialize, Serialize};

/// A kind of report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportKind {
    /// `JUnit` XML.
    Junit,
    /// LCOV.
    Lcov,
    /// Cobertura XML.
    Cobertura,
    /// SARIF 2.1.0.
    Sarif,
    /// SARIF 2.1.0 all of whose results are secrets.
    Secrets,
    /// `CycloneDX` JSON.
    Cyclonedx,
    /// SPDX JSON.
    Spdx,
    /// k6's summary, JSON.
    K6,
    /// The status of a quality gate, as `SonarQube`'s web API answers it.
    Sonar,
    /// taskgate's own plain facts, JSON.
    Facts,
}

impl ReportKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Junit,
        Self::Lcov,
        Self::Cobertura,
        Self::Sarif,
        Self::Secrets,
        Self::Cyclonedx,
        Self::Spdx,
        Self::K6,
        Self::Sonar,
        Self::Facts,
    ];

    /// Its key in `reports`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Lcov => "lcov",
            Self::Cobertura => "cobertura",
            Self::Sarif => "sarif",
            Self::Secrets => "secrets",
            Self::Cyclonedx => "cyclonedx",
            Self::Spdx => "spdx",
            Self::K6 => "k6",
            Self::Sonar => "sonar",
            Self::Facts => "facts",
        }
    }

    /// What a report of it is, with its article.
    pub fn format(self) -> &'static str {
        match self {
            Self::Junit => "a JUnit report",
            Self::Lcov => "an LCOV report",
            Self::Cobertura => "a Cobertura report",
            Self::Sarif | Self::Secrets => "a SARIF 2.1.0 report",
            Self::Cyclonedx => "a CycloneDX report in JSON",
            Self::Spdx => "an SPDX 2 report in JSON",
            Self::K6 => "a summary of k6",
            Self::Sonar => "the status of a SonarQube quality gate",
            Self::Facts => "a file of plain facts",
        }
    }

    /// The kind with this key.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How much must have been examined for a report to be evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completeness {
    /// All that the tool was asked to examine.
    Full,
    /// A part of it, even if the tool notes errors.
    Partial,
}
