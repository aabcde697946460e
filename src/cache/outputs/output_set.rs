//! The output set: the paths and contents of a task's outputs. It does not know the file system, nor
//! how contents are stored.

use crate::base::digest::{Digest, FieldHasher};
use crate::base::path::RepoPath;

/// A file, symlink or folder among the outputs of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// The path.
    pub path: RepoPath,
    /// The content.
    pub content: OutputContent,
}

/// The content of an output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutputContent {
    /// A regular file.
    File {
        /// All twelve permission bits.
        mode: u32,
        /// The length in bytes.
        size: u64,
        /// The digest of the bytes.
        digest: Digest,
    },
    /// A symlink, not followed.
    Symlink {
        /// The bytes of the target.
        target: Box<[u8]>,
    },
    /// A folder.
    Folder {
        /// All twelve permission bits.
        mode: u32,
        /// Whether the folder is empty.
        is_empty: bool,
    },
}

/// All outputs of a task at one time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OutputSet {
    outputs: Vec<Output>,
    unmatched: Vec<String>,
}

impl OutputSet {
    /// Creates a set of these outputs, in any order, and of the patterns that match none of them.
    pub fn new(mut outputs: Vec<Output>, unmatched: Vec<String>) -> Self {
        outputs.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self { outputs, unmatched }
    }

    /// Returns the outputs, sorted by the bytes of their paths.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Returns the patterns that match nothing, as written in tasks.toml.
    pub fn unmatched(&self) -> &[String] {
        &self.unmatched
    }

    /// Returns the total bytes of all files.
    pub fn size(&self) -> u64 {
        self.outputs.iter().map(Output::size).sum()
    }

    /// Returns the digest of paths, modes and contents. Equal outputs have equal digests, whatever
    /// the patterns are.
    pub fn digest(&self) -> Digest {
        let mut fields = FieldHasher::new("taskgate outputs 2");
        for output in &self.outputs {
            fields.add(output.path.bytes());
            match &output.content {
                OutputContent::File { mode, digest, .. } => {
                    fields.add(b"file").number(u64::from(*mode)).add(digest.bytes())
                }
                OutputContent::Symlink { target } => fields.add(b"symlink").add(target),
                OutputContent::Folder { mode, .. } => fields.add(b"folder").number(u64::from(*mode)),
            };
        }
        fields.digest()
    }
}

impl Output {
    /// Returns whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.content, OutputContent::Folder { .. })
    }

    /// Returns its length if it is a file, else 0.
    pub(crate) fn size(&self) -> u64 {
        if let OutputContent::File { size, .. } = &self.content { *size } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_covers_each_field_of_an_output() {
        let file = |path: &str, mode, bytes: &[u8]| Output {
            path: RepoPath::from_git(path.as_bytes()),
            content: OutputContent::File { mode, size: bytes.len() as u64, digest: Digest::hash(bytes) },
        };
        let other = |content| Output { path: RepoPath::from_git(&b"a"[..]), content };
        let sets = [
            vec![],
            vec![file("a", 0o644, b"x")],
            vec![file("a", 0o755, b"x")],
            vec![file("a", 0o4755, b"x")],
            vec![file("a", 0o644, b"y")],
            vec![file("b", 0o644, b"x")],
            vec![other(OutputContent::Symlink { target: b"x"[..].into() })],
            vec![other(OutputContent::Symlink { target: b"y"[..].into() })],
            vec![other(OutputContent::Folder { mode: 0o755, is_empty: true })],
            vec![other(OutputContent::Folder { mode: 0o700, is_empty: true })],
            vec![file("a", 0o644, b"x"), file("b", 0o644, b"x")],
        ];
        let digests: Vec<Digest> =
            sets.iter().map(|set| OutputSet::new(set.clone(), Vec::new()).digest()).collect();
        for (i, digest) in digests.iter().enumerate() {
            assert!(!digests[i + 1..].contains(digest), "{:?}", sets[i]);
        }
        let one = OutputSet::new(vec![file("a", 0o644, b"x"), file("b", 0o644, b"x")], Vec::new());
        let two = OutputSet::new(vec![file("b", 0o644, b"x"), file("a", 0o644, b"x")], vec!["c".to_owned()]);
        assert_eq!(one.digest(), two.digest());
    }
}
