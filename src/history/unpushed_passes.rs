//! UnpushedPasses that were found out in vain: the gate passed, and the connection of the push was gone. The
//! next push of the same tree may go on them, once. It must not decide when one counts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};

/// How long one counts. Tasks whose results are never stored are to be run again some time.
const LASTS: Duration = Duration::from_secs(60 * 60);

/// The passes of a repository.
#[derive(Clone, Debug)]
pub struct UnpushedPasses {
    folder: PathBuf,
}

/// What passed, and when.
#[derive(Serialize, Deserialize)]
struct Pass {
    plan: String,
    at: Timestamp,
}

impl UnpushedPasses {
    /// Those below a state directory.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("passes") }
    }

    /// Remembers that `plan` passed for `tree`.
    ///
    /// # Errors
    /// It can't be written.
    pub fn add(&self, tree: &str, plan: &Digest, at: Timestamp) -> Result<(), FileError> {
        file::make_dir(&self.folder)?;
        let path = self.folder.join(tree);
        let text = serde_json::to_vec(&Pass { plan: plan.hex(), at })
            .map_err(|error| FileError::of("write", &path)(std::io::Error::other(error)))?;
        file::write(&path, &text, &self.folder, Durability::Relaxed)
    }

    /// How long before `now` this very plan passed for `tree`, if it is remembered. It is forgotten
    /// by that.
    pub fn take(&self, tree: &str, plan: &Digest, now: Timestamp) -> Option<Duration> {
        let path = self.folder.join(tree);
        let text = file::read(&path).ok()??;
        // Whatever it says, it is used up; one that can't be removed must not count for ever.
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
