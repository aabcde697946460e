//! A release: a numbered set of artifacts and configuration of one environment.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::config::deploy::{Migrations, Role};

/// One of the two places in which a release can run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// The first.
    Blue,
    /// The second.
    Green,
}

impl Slot {
    /// Both slots.
    pub const ALL: [Self; 2] = [Self::Blue, Self::Green];

    /// Returns the other slot.
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// Returns its name in paths, commands and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The id of a release, which its processes get as `RELEASE` and name in health checks:
/// `NUMBER-` and eight hexadecimal digits of the digest of artifacts and configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseId(pub String);

impl ReleaseId {
    /// Returns the number of the release, if it is a valid id.
    pub fn number(&self) -> Option<u32> {
        self.0.split_once('-')?.0.parse().ok()
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of an artifact as `sha256:` and 64 hexadecimal digits: of the uncompressed archive, or of the
/// manifest of an image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArtifactDigest(pub String);

impl ArtifactDigest {
    /// Returns the hexadecimal digits, which are its name in folders.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }

    /// Returns whether it has the form of a digest.
    pub fn is_valid(&self) -> bool {
        let hex = self.0.strip_prefix("sha256:").unwrap_or_default();
        hex.len() == 64 && hex.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl fmt::Display for ArtifactDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The start of the name of the artifact that is a compose file, which its path follows. No other artifact has a
/// slash in its name.
pub const COMPOSE_FILE: &str = "./";

/// An artifact of a release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReleaseArtifact {
    /// Its digest.
    pub digest: ArtifactDigest,
    /// The name of the image without tag and digest, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The size of the packed archive in bytes, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// A release of an environment. It contains all that a rollback to it needs, except the artifacts and the
/// values of secrets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// Its number in the environment, from 1.
    pub number: u32,
    /// The commit that it was made from.
    pub commit: String,
    /// The tree of this commit.
    pub tree: String,
    /// Its artifacts, by their names.
    pub artifacts: BTreeMap<String, ReleaseArtifact>,
    /// The digest of artifacts, roles and variables; names of secrets are part of it, their values are not.
    /// Two releases of the same digest are the same.
    pub digest: String,
    /// The roles as they were when it was made. Their variables include those of the environment.
    pub roles: Vec<Role>,
    /// Its migrations, if it has any.
    pub migrations: Option<Migrations>,
    /// The migrations that were pending when it was deployed, as `pending` printed them.
    pub pending: Vec<String>,
    /// Whether its deploy removed the old schema: no earlier release can run since.
    #[serde(default)]
    pub contracts: bool,
    /// The release that was current when it was deployed: the one to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ReleaseId>,
    /// When it was made.
    pub created: Timestamp,
    /// Who asked for it.
    pub by: String,
}
