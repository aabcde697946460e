//! The files that a run's tasks read. The table lists each file once. Each distinct set of inputs is stored
//! as ranges of the table. It must not know which task has which set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::path::RepoPath;
use crate::git::snapshot::{ContentId, Mode, SnapshotEntry};
use crate::key::explanation::InputFile;

/// How many digits of a content id are kept: enough to distinguish two contents of one path.
const DIGITS: usize = 16;

/// A table of files, and sets of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Inputs {
    /// The path, the mode as a letter, and the first digits of the content id, sorted by path.
    files: Vec<(RepoPath, char, String)>,
    /// For the digest of each set, its ranges of `files`: first index and length.
    sets: BTreeMap<String, Vec<(usize, usize)>>,
}

impl Inputs {
    /// Creates the table from a tree's entries and sets of them by their digests, all sorted by path.
    pub fn new<'e>(
        entries: &[SnapshotEntry],
        sets: impl IntoIterator<Item = (String, Vec<&'e SnapshotEntry>)>,
    ) -> Self {
        let mut used = vec![false; entries.len()];
        let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (digest, set) in sets {
            let mut next = 0;
            let mut rows = Vec::with_capacity(set.len());
            for entry in set {
                // The file is usually the next row.
                let follows = entries.get(next).is_some_and(|row| row.path == entry.path);
                let place = if follows {
                    Ok(next)
                } else {
                    entries.binary_search_by(|row| row.path.cmp(&entry.path))
                };
                if let Ok(place) = place {
                    used[place] = true;
                    rows.push(place);
                    next = place + 1;
                }
            }
            places.insert(digest, rows);
        }
        let mut renumbered = vec![0; entries.len()];
        let mut files = Vec::new();
        for (place, entry) in entries.iter().enumerate().filter(|(place, _)| used[*place]) {
            renumbered[place] = files.len();
            files.push((entry.path.clone(), letter(entry.mode), digits(entry.id)));
        }
        let sets = places.into_iter().map(|(digest, rows)| {
            let rows = rows.into_iter().map(|row| renumbered[row]);
            (digest, ranges(rows))
        });
        Self { sets: sets.collect(), files }
    }

    /// Returns the files of a set, or `None` if it is unknown.
    pub fn files(&self, digest: &str) -> Option<Vec<InputFile>> {
        let stretches = self.sets.get(digest)?;
        let rows = stretches.iter().flat_map(|(first, number)| self.files.iter().skip(*first).take(*number));
        let row = |(path, letter, digits): &(RepoPath, char, String)| InputFile {
            path: path.clone(),
            mode: mode(*letter),
            id: id(digits),
        };
        Some(rows.map(row).collect())
    }

    /// Adds the files and sets of `other`, which must be of the same tree.
    pub fn merge(&mut self, other: &Self) {
        let mut all: BTreeMap<RepoPath, (char, String)> = BTreeMap::new();
        let mut sets: BTreeMap<String, Vec<RepoPath>> = BTreeMap::new();
        for inputs in [&*self, other] {
            for (path, letter, digits) in &inputs.files {
                all.insert(path.clone(), (*letter, digits.clone()));
            }
            for digest in inputs.sets.keys() {
                let files = inputs.files(digest).unwrap_or_default();
                sets.insert(digest.clone(), files.into_iter().map(|file| file.path).collect());
            }
        }
        let places: BTreeMap<&RepoPath, usize> = all.keys().enumerate().map(|(i, path)| (path, i)).collect();
        let sets = sets.iter().map(|(digest, paths)| {
            let rows = paths.iter().filter_map(|path| places.get(path).copied());
            (digest.clone(), ranges(rows))
        });
        self.sets = sets.collect();
        self.files = all.into_iter().map(|(path, (letter, digits))| (path, letter, digits)).collect();
    }
}

/// Groups ascending numbers into ranges.
fn ranges(rows: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for row in rows {
        match stretches.last_mut() {
            Some((first, number)) if *first + *number == row => *number += 1,
            _ => stretches.push((row, 1)),
        }
    }
    stretches
}

fn letter(mode: Mode) -> char {
    match mode {
        Mode::File => 'f',
        Mode::Executable => 'x',
        Mode::Symlink => 'l',
        Mode::Submodule => 'm',
    }
}

fn mode(letter: char) -> Mode {
    match letter {
        'x' => Mode::Executable,
        'l' => Mode::Symlink,
        'm' => Mode::Submodule,
        _ => Mode::File,
    }
}

fn digits(id: ContentId) -> String {
    let mut hex = id.hex();
    hex.truncate(DIGITS);
    hex
}

/// Returns an id that starts with these digits. Equal digits give equal ids.
fn id(digits: &str) -> ContentId {
    let mut id = [0; 20];
    for (byte, pair) in id.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let text = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(text, 16).unwrap_or(0);
    }
    ContentId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, id: u8) -> SnapshotEntry {
        let path = RepoPath::from_git(path.as_bytes());
        SnapshotEntry {
            path,
            mode: Mode::File,
            id: ContentId([id; 20]),
            stat: None,
            tracked: true,
            not_checked_out: false,
        }
    }

    fn names(inputs: &Inputs, set: &str) -> Vec<String> {
        inputs.files(set).unwrap().iter().map(|row| row.path.to_string()).collect()
    }

    #[test]
    fn input_sets_are_ranges_of_one_table() {
        let entries: Vec<SnapshotEntry> =
            ["a", "b", "c", "d", "e"].iter().zip(1..).map(|(path, id)| entry(path, id)).collect();
        let all: Vec<&SnapshotEntry> = entries.iter().collect();
        let sets = [("one".to_owned(), vec![all[0], all[1], all[3]]), ("two".to_owned(), vec![all[3]])];
        let inputs = Inputs::new(&entries, sets);
        let json = serde_json::to_string(&inputs).unwrap();
        assert_eq!(
            json,
            "{\"files\":[[\"a\",\"f\",\"0101010101010101\"],[\"b\",\"f\",\"0202020202020202\"],\
             [\"d\",\"f\",\"0404040404040404\"]],\"sets\":{\"one\":[[0,3]],\"two\":[[2,1]]}}"
        );
        let read: Inputs = serde_json::from_str(&json).unwrap();
        assert_eq!(read, inputs);
        assert_eq!(names(&inputs, "one"), ["a", "b", "d"]);
        assert_eq!(names(&inputs, "two"), ["d"]);
        assert_eq!(inputs.files("three"), None);
    }

    #[test]
    fn two_tables_are_merged() {
        let entries = [entry("a", 1), entry("b", 2), entry("c", 3)];
        let mut one = Inputs::new(&entries, [("one".to_owned(), vec![&entries[0], &entries[2]])]);
        let two = Inputs::new(&entries, [("two".to_owned(), vec![&entries[1]])]);
        one.merge(&two);
        assert_eq!(names(&one, "one"), ["a", "c"]);
        assert_eq!(names(&one, "two"), ["b"]);
    }
}
