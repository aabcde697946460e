//! Passes of a gate whose push lost its connection. The next push of the same tree may use such a
//! pass once. This file does not decide when a pass counts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};

/// How long a pass counts. Tasks whose results are never stored must run again at some time.
const LASTS: Duration = Duration::from_secs(60 * 60);

/// The unused passes of a repository.
#[derive(Clone, Debug)]
pub struct UnpushedPasses {
    folder: PathBuf,
}

/// The plan that passed, and the time.
#[derive(Serialize, Deserialize)]
struct Pass {
    plan: String,
    at: Timestamp,
}

impl UnpushedPasses {
    /// Returns the passes in a state directory.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("passes") }
    }

    /// Remembers that `plan` passed for `tree`.
    ///
    /// # Errors
    /// The pass can't be written.
    pub fn add(&self, tree: &str, plan: &Digest, at: Timestamp) -> Result<(), FileError> {
        file::make_dir(&self.folder)?;
        let path = self.folder.join(tree);
        let text = serde_json::to_vec(&Pass { plan: plan.hex(), at })
            .map_err(|error| FileError::of("write", &path)(std::io::Error::other(error)))?;
        file::write(&path, &text, &self.folder, Durability::Relaxed)
    }

    /// Returns how long before `now` exactly this plan passed for `tree`, if that is remembered, and
    /// forgets it.
    pub fn take(&self, tree: &str, plan: &Digest, now: Timestamp) -> Option<Duration> {
        let path = self.folder.join(tree);
        let text = file::read(&path).ok()??;
        // The pass is removed in any case; if that fails, it must not count.
        std::fs::remove_file(&path).ok()?;
        let pass: Pass = serde_json::from_slice(&text).ok()?;
        let age = pass.at.age(now);
        (pass.plan == plan.hex() && pass.at <= now && age < LASTS).then_some(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_counts_once_for_its_plan_and_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let passes = UnpushedPasses::new(dir.path());
        let (plan, other) = (Digest::of(b"plan"), Digest::of(b"other"));
        let at = Timestamp(1_000_000);
        let later = |seconds: u64| Timestamp(1_000_000 + seconds * 1000);
        let cases = [
            (plan, later(60), Some(Duration::from_secs(60))),
            (other, later(60), None),
            (plan, later(3600), None),
            (plan, Timestamp(999_999), None),
        ];
        for (asked, now, expected) in cases {
            passes.add("tree", &plan, at).unwrap();
            assert_eq!(passes.take("tree", &asked, now), expected);
            assert_eq!(passes.take("tree", &plan, later(1)), None, "it is used up");
        }
        assert_eq!(passes.take("another", &plan, later(1)), None);
    }
}
