//! The output set: what a task left within its declared patterns, by name and content. It must not
//! know the file system, nor how contents are stored.

use crate::base::digest::{Digest, Fields};
use crate::base::path::RepoPath;

/// One thing that a task left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// Where.
    pub path: RepoPath,
    /// What.
    pub content: Content,
}

/// What an output is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// A regular file.
    File {
        /// Its permission bits, all twelve.
        mode: u32,
        /// Its length in bytes.
        size: u64,
        /// The digest of its bytes.
        digest: Digest,
    },
    /// A symlink, not followed.
    Symlink {
        /// The bytes of its target.
        target: Box<[u8]>,
    },
    /// A folder.
    Folder {
        /// Its permission bits, all twelve.
        mode: u32,
        /// Whether it holds nothing at all.
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
    /// A set of these outputs, in any order, and the patterns that matched none of them.
    pub fn new(mut outputs: Vec<Output>, unmatched: Vec<String>) -> Self {
        outputs.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self { outputs, unmatched }
    }

    /// The outputs, sorted by the bytes of their paths.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The patterns that matched nothing, as they are written in tasks.toml.
    pub fn unmatched(&self) -> &[String] {
        &self.unmatched
    }

    /// The bytes of all files together.
    pub fn size(&self) -> u64 {
        self.outputs.iter().map(Output::size).sum()
    }

    /// The digest of paths, modes and contents. Equal outputs have equal digests, whatever the
    /// patterns were.
    pub fn digest(&self) -> Digest {
        let mut fields = Fields::new("taskgate outputs 2");
        for output in &self.outputs {
            fields.add(output.path.bytes());
            match &output.content {
                Content::File { mode, digest, .. } => {
                    fields.add(b"file").number(u64::from(*mode)).add(digest.bytes())
                }
                Content::Symlink { target } => fields.add(b"symlink").add(target),
                Content::Folder { mode, .. } => fields.add(b"folder").number(u64::from(*mode)),
            };
        }
        fields.digest()
    }
}

impl Output {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.content, Content::Folder { .. })
    }

    /// Its length if it is a file, else nothing.
    pub(crate) fn size(&self) -> u64 {
        if let Content::File { size, .. } = &self.content { *size } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_sees_each_part_of_an_output() {
        let file = |path: &str, mode, bytes: &[u8]| Output {
            path: RepoPath::from_git(path.as_bytes()),
            content: Content::File { mode, size: bytes.len() as u64, digest: Digest::of(bytes) },
        };
        let other = |content| Output { path: RepoPath::from_git(&b"a"[..]), content };
        let sets = [
            vec![],
            vec![file("a", 0o644, b"x")],
            vec![file("a", 0o755, b"x")],
            vec![file("a", 0o4755, b"x")],
            vec![file("a", 0o644, b"y")],
            vec![file("b", 0o644, b"x")],
            vec![other(Content::Symlink { target: b"x"[..].into() })],
            vec![other(Content::Symlink { target: b"y"[..].into() })],
            vec![other(Content::Folder { mode: 0o755, is_empty: true })],
            vec![other(Content::Folder { mode: 0o700, is_empty: true })],
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
