//! Whether git is at work on a work tree, seen by its lock and its index, and a look at the work tree
//! while it is not. It must not know what git does, nor what is looked at.

use std::path::Path;

use crate::base::stat::Stat;

/// What git's own folder tells of git's work. Two that are equal have no work between them that is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GitActivity {
    at_work: bool,
    index: Option<Stat>,
}

impl GitActivity {
    /// What the git folder `git_dir` of a work tree tells now.
    pub fn of(git_dir: &Path) -> Self {
        let index = git_dir.join("index").symlink_metadata();
        Self { at_work: git_dir.join("index.lock").exists(), index: index.ok().map(|meta| Stat::of(&meta)) }
    }

    /// Whether git is changing the index, and so maybe the work tree; or was killed while it did.
    pub fn is_at_work(&self) -> bool {
        self.at_work
    }
}

/// Looks while git is not at work, and again if it was meanwhile. `pause` waits for a moment, and says
/// whether that may go on; if not, the next look is taken as it is.
///
/// # Errors
/// Those of `look` and `pause`.
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
        if !before.is_at_work() {
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

    /// What is seen, how often it is looked and how often waited, if git's activity goes by these
    /// letters: `l` with a lock, digits with an index of that size.
    fn looked(course: &str, patience: usize) -> (char, usize, usize) {
        let at = Cell::new(0);
        let letter = || course.chars().nth(at.get()).or(course.chars().last()).unwrap();
        let (mut looks, mut waits) = (0, 0);
        let activity = || {
            let (letter, dir) = (letter(), tempfile::tempdir().unwrap());
            at.set(at.get() + 1);
            let name = if letter == 'l' { "index.lock" } else { "index" };
            std::fs::write(dir.path().join(name), vec![0; letter.to_digit(10).unwrap_or(0) as usize])
                .unwrap();
            let GitActivity { at_work, index } = GitActivity::of(dir.path());
            // Only their sizes tell these apart.
            let size = |stat: Stat| Stat { size: stat.size, ..Stat::default() };
            GitActivity { at_work, index: index.map(size) }
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
    fn no_look_is_taken_of_half_a_switch() {
        for (course, seen, looks, waits) in [
            ("11", '1', 1, 0),
            ("lll22", '2', 1, 3),
            // Git began while it was looked, and was done before the next look.
            ("1l22", '2', 2, 1),
            ("1222", '2', 2, 1),
            // A lock of a git that was killed.
            ("l", 'l', 1, 5),
        ] {
            assert_eq!(looked(course, 5), (seen, looks, waits), "{course}");
        }
    }
}
