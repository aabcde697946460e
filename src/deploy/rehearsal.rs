//! What a rehearsal of migrations can find out about the release that serves. It is pure, and must not know how
//! a rehearsal is carried out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::deploy::{HealthCheck, HealthProbe, Migrations, Role};
use crate::deploy::release::Release;

/// How the old release is tried against the expanded schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OldReleaseCheck<'a> {
    /// The line that starts it.
    pub start: &'a str,
    /// Its first role, which is started.
    pub role: &'a Role,
    /// The check that must name it; `None`: the line itself must end with success.
    pub check: Option<&'a HealthCheck>,
}

/// Why nobody tries whether the old release works with the expanded schema.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Unchecked {
    /// The migrations have no `rehearse`.
    NoRehearsal,
    /// `rehearse` has no `start`.
    NoStart,
    /// The target does not know what the current release consists of.
    UnknownRelease,
    /// The health check would ask what serves, not what the rehearsal starts.
    FixedCheck {
        /// The role with this check.
        role: String,
    },
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRehearsal => f.write_str("there is no `rehearse`"),
            Self::NoStart => f.write_str("`rehearse` has no `start`"),
            Self::UnknownRelease => f.write_str("the target has no record of the current release"),
            Self::FixedCheck { role } => {
                write!(f, "the health check of {role} uses neither {{{{ port }}}} nor {{{{ slot }}}}")
            }
        }
    }
}

impl Unchecked {
    /// Returns what would make the check possible.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoRehearsal | Self::NoStart => {
                "add `rehearse` with `start`, or use `--override \"reason\"`"
            }
            Self::UnknownRelease => "use `--override \"reason\"`",
            Self::FixedCheck { .. } => "let the health check use {{ port }}, or use `--override \"reason\"`",
        }
    }
}

/// Returns how the old release is tried in the rehearsal of migrations.
///
/// # Errors
/// It can't be tried; the reason.
pub fn old_release_check<'a>(
    migrations: &'a Migrations,
    old: Option<&'a Release>,
) -> Result<OldReleaseCheck<'a>, Unchecked> {
    let rehearsal = migrations.rehearsal.as_ref().ok_or(Unchecked::NoRehearsal)?;
    let start = rehearsal.start.as_deref().ok_or(Unchecked::NoStart)?;
    let role = old.and_then(|old| old.roles.first()).ok_or(Unchecked::UnknownRelease)?;
    match &role.health_check {
        Some(check) if !is_movable(check) => Err(Unchecked::FixedCheck { role: role.name.clone() }),
        check => Ok(OldReleaseCheck { start, role, check: check.as_ref() }),
    }
}

/// Returns whether a check asks another process if it gets another port, slot or folder. One that does not is answered
/// by what serves.
fn is_movable(check: &HealthCheck) -> bool {
    let has_placeholder = |text: &str, name: &str| {
        text.split("{{").skip(1).any(|rest| rest.split("}}").next().is_some_and(|inner| inner.trim() == name))
    };
    match &check.probe {
        HealthProbe::Http(url) => has_placeholder(url, "port"),
        HealthProbe::Command(line) => {
            let variables = ["$PORT", "${PORT", "$SLOT", "${SLOT"];
            let has_variable = variables.iter().any(|variable| line.contains(variable));
            has_variable || ["port", "slot", "path"].iter().any(|name| has_placeholder(line, name))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::deploy::CheckFrom;

    #[test]
    fn check_that_would_ask_what_serves_is_not_movable() {
        let is_movable = |probe| {
            is_movable(&HealthCheck {
                probe,
                release: None,
                timeout: Duration::ZERO,
                interval: Duration::ZERO,
                from: CheckFrom::Here,
            })
        };
        for (url, expected) in [
            ("http://{{ host }}:{{ port }}/health", true),
            ("http://{{host}}:{{port}}/", true),
            ("http://{{ host }}:8001/health", false),
            ("{{ url }}/health", false),
            ("http://{{ slot }}.example.org/", false),
        ] {
            assert_eq!(is_movable(HealthProbe::Http(url.to_owned())), expected, "{url}");
        }
        for (line, expected) in [
            ("curl localhost:$PORT", true),
            ("curl localhost:${PORT}", true),
            ("cat /run/shop-{{ slot }}", true),
            ("systemctl is-active shop@$SLOT", true),
            ("curl localhost:8001", false),
        ] {
            assert_eq!(is_movable(HealthProbe::Command(line.to_owned())), expected, "{line}");
        }
    }
}
