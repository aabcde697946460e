//! Detects whether git is changing a work tree, by its lock and its index, and reads the work tree
//! while git is idle.

use std::path::Path;

use crate::base::stat::Stat;

/// The state of a git folder that changes while git works. Between two equal states git has not
/// finished any command that writes the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GitActivity {
    is_working: bool,
    index: Option<Stat>,
}

impl GitActivity {
    /// Reads the present state of the git folder `git_dir`.
    pub fn read(git_dir: &Path) -> Self {
        let index = git_dir.join("index").symlink_metadata();
        Self {
            is_working: git_dir.join("index.lock").exists(),
            index: index.ok().map(|meta| Stat::new(&meta)),
        }
    }

    /// Returns whether git is changing the index, and perhaps the work tree. It is also true if git
    /// was killed while it did.
    pub fn is_working(&self) -> bool {
        self.is_working
    }
}

/// Calls `look` while git is idle, and calls it again if git worked in the meantime. `pause` waits
/// for a moment and returns whether to wait longer; if not, the next look is final.
///
/// # Errors
/// The errors of `look` and `pause`.
pub fn when_git_idle<T, E>(
    mut activity: impl FnMut() -> GitActivity,
    mut look: impl FnMut() -> Result<T, E>,
    mut pause: impl FnMut() -> Result<bool, E>,
) -> Result<T, E> {
    let mut is_patient = true;
    loop {
        let before = activity();
        if !is_patient {
            return look();
        }
        if !before.is_working() {
            let seen = look()?;
            if activity() == before {
                return Ok(seen);
            }
        }
        is_patient = pause()?;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Returns what was seen, the number of looks and the number of pauses. Each letter of `states`
    /// is a state of git: `l` has a lock, a digit has an index of that size.
    fn observe(states: &str, patience: usize) -> (char, usize, usize) {
        let at = Cell::new(0);
        let letter = || states.chars().nth(at.get()).or(states.chars().last()).unwrap();
        let (mut looks, mut waits) = (0, 0);
        let activity = || {
            let (letter, dir) = (letter(), tempfile::tempdir().unwrap());
            at.set(at.get() + 1);
            let name = if letter == 'l' { "index.lock" } else { "index" };
            std::fs::write(dir.path().join(name), vec![0; letter.to_digit(10).unwrap_or(0) as usize])
                .unwrap();
            let GitActivity { is_working: at_work, index } = GitActivity::read(dir.path());
            // Only the sizes distinguish these states.
            let size = |stat: Stat| Stat { size: stat.size, ..Stat::default() };
            GitActivity { is_working: at_work, index: index.map(size) }
        };
        let look = || {
            looks += 1;
            Ok::<_, ()>(letter())
        };
        let pause = || {
            waits += 1;
            Ok(waits < patience)
        };
        let seen = when_git_idle(activity, look, pause).unwrap();
        (seen, looks, waits)
    }

    #[test]
    fn half_finished_switch_is_not_observed() {
        for (states, seen, looks, waits) in [
            ("11", '1', 1, 0),
            ("lll22", '2', 1, 3),
            // Git began during the look and finished before the next.
            ("1l22", '2', 2, 1),
            ("1222", '2', 2, 1),
            // The lock of a killed git.
            ("l", 'l', 1, 5),
        ] {
            assert_eq!(observe(states, 5), (seen, looks, waits), "{states}");
        }
    }
}
