//! The lines that a tree adds or changes, compared with another tree. The work tree is not read.

use std::collections::BTreeMap;

use git2::{DiffOptions, Oid};

use crate::git::error::GitError;
use crate::git::repository::Repository;

/// The size of the largest file that is compared. A larger file counts as unchanged.
const LARGEST: i64 = 4 << 20;

/// New and changed lines, by the path of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedLines(BTreeMap<String, Vec<(u32, u32)>>);

impl ChangedLines {
    /// Returns whether one of the lines from `first` to `last` of a file is new or changed.
    pub fn overlap(&self, path: &str, first: u32, last: u32) -> bool {
        self.0.get(path).is_some_and(|ranges| ranges.iter().any(|(from, to)| *from <= last && first <= *to))
    }

    /// Creates it from ranges of lines, each with its first and last line.
    pub fn from_ranges(lines: impl IntoIterator<Item = (String, (u32, u32))>) -> Self {
        let mut all = Self::default();
        for (path, range) in lines {
            all.0.entry(path).or_default().push(range);
        }
        all
    }
}

impl Repository {
    /// Returns the lines that the tree `new` has and the tree `old` has not.
    ///
    /// # Errors
    /// A tree can't be read.
    pub fn changed_lines(&self, old: &str, new: &str) -> Result<ChangedLines, GitError> {
        let inner = self.lock();
        let tree = |id: &str| Oid::from_str(id).and_then(|oid| inner.find_tree(oid));
        let before = tree(old).map_err(GitError::object("read the tree", &old))?;
        let after = tree(new).map_err(GitError::object("read the tree", &new))?;
        let mut options = DiffOptions::new();
        options.context_lines(0).max_size(LARGEST).ignore_submodules(true);
        let compared = inner.diff_tree_to_tree(Some(&before), Some(&after), Some(&mut options));
        let diff = compared.map_err(GitError::object("compare with the tree", &old))?;
        let mut found = Vec::new();
        diff.foreach(
            &mut |_, _| true,
            None,
            Some(&mut |delta, hunk| {
                // Reports contain only names that are valid UTF-8.
                let path = delta.new_file().path().and_then(|path| path.to_str());
                if let Some(path) = path
                    && hunk.new_lines() > 0
                {
                    let first = hunk.new_start();
                    found.push((path.to_owned(), (first, first + hunk.new_lines() - 1)));
                }
                true
            }),
            None,
        )
        .map_err(GitError::object("compare with the tree", &old))?;
        Ok(ChangedLines::from_ranges(found))
    }
}

#[cfg(test)]
mod tests {
    use crate::git::tests::test_repo::TestRepo;

    #[test]
    fn added_and_changed_lines_are_found() {
        let repo = TestRepo::with(&[("a.rs", "1\n2\n3\n4\n5\n6\n"), ("gone.rs", "1\n"), ("same.rs", "1\n")]);
        let repository = repo.repository();
        let old = repository.head_commit().unwrap().unwrap().tree;
        repo.write("a.rs", "1\ntwo\n3\n4\n6\nseven\n");
        repo.write("new.rs", "1\n2\n");
        std::fs::remove_file(repo.path("gone.rs")).unwrap();
        repo.commit();
        let new = repository.head_commit().unwrap().unwrap().tree;
        let lines = repository.changed_lines(&old, &new).unwrap();
        let cases = [
            ("a.rs", 1, 1, false),
            ("a.rs", 2, 2, true),
            ("a.rs", 1, 9, true),
            // Only a line was removed here.
            ("a.rs", 3, 5, false),
            ("a.rs", 6, 6, true),
            ("new.rs", 2, 2, true),
            ("new.rs", 3, 3, false),
            ("same.rs", 1, 1, false),
            ("gone.rs", 1, 1, false),
        ];
        for (path, first, last, expected) in cases {
            assert_eq!(lines.overlap(path, first, last), expected, "{path}:{first}-{last}");
        }
    }
}
