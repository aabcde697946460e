//! The CI services that taskgate knows, and the variable by which each is detected.

use std::ffi::OsStr;

use crate::base::env::Env;

/// A CI service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CiService {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Buildkite.
    Buildkite,
    /// Azure Pipelines.
    Azure,
}

impl CiService {
    /// Each service with its name, its variable and the value that it sets.
    const ALL: [(Self, &str, &str, &str); 4] = [
        (Self::Github, "GitHub Actions", "GITHUB_ACTIONS", "true"),
        (Self::Gitlab, "GitLab CI", "GITLAB_CI", "true"),
        (Self::Buildkite, "Buildkite", "BUILDKITE", "true"),
        (Self::Azure, "Azure Pipelines", "TF_BUILD", "True"),
    ];

    /// Returns the service that runs this process, if one does.
    pub fn detect(env: &Env) -> Option<Self> {
        let found =
            Self::ALL.into_iter().find(|(_, _, name, value)| env.var(name) == Some(OsStr::new(value)));
        found.map(|(service, ..)| service)
    }

    /// Returns the name of the service.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(service, ..)| *service == self).map_or("CI", |(_, name, ..)| name)
    }
}
