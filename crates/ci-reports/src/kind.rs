//! The kinds of reports.

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
    /// SARIF 2.1.0, with all results treated as secrets.
    Secrets,
    /// `CycloneDX` JSON.
    Cyclonedx,
    /// SPDX JSON.
    Spdx,
    /// The JSON summary of k6.
    K6,
    /// The status of a quality gate from `SonarQube`'s web API.
    Sonar,
    /// Plain facts in JSON, for scripts.
    Facts,
}

impl ReportKind {
    /// All kinds.
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

    /// Returns the name of the kind, such as `junit`.
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

    /// Returns the description of the format with an article, such as `a JUnit report`.
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

    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How much the tool must have examined for its report to be accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completeness {
    /// Everything that the tool was asked to examine.
    Full,
    /// A part is enough, even if the tool reports errors.
    Partial,
}
