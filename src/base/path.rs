//! Paths inside the repository, as git writes them. This module must not know the file system.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A path relative to the top of the repository. It consists of parts that are separated by `/`; no
/// part is empty, `.` or `..`. The empty path is the top itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RepoPath(Box<[u8]>);

impl RepoPath {
    /// Returns the top of the repository.
    pub fn top() -> Self {
        Self::default()
    }

    /// Returns the path with these bytes from git, which are already in this form.
    pub fn from_git(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the path `text` relative to this folder, with `.` and `..` resolved. Returns `None`
    /// if it is absolute or outside the repository.
    pub fn join(&self, text: &str) -> Option<Self> {
        if text.starts_with('/') {
            return None;
        }
        let mut parts: Vec<&[u8]> = self.parts().collect();
        for part in text.as_bytes().split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    parts.pop()?;
                }
                _ => parts.push(part),
            }
        }
        Some(Self(parts.join(&b'/').into()))
    }

    /// Returns the path of the entry `name` in this folder.
    pub fn child(&self, name: &[u8]) -> Self {
        if self.0.is_empty() {
            return Self(name.into());
        }
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self(bytes.into())
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns whether this is the top of the repository.
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the parts between the slashes. The top has none.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// Returns the folder that contains this path, or `None` for the top.
    pub fn parent(&self) -> Option<Self> {
        if self.is_top() {
            return None;
        }
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// Returns whether this path is `folder` or is below it.
    pub fn is_within(&self, folder: &Self) -> bool {
        folder.is_top()
            || self
                .0
                .strip_prefix(&*folder.0)
                .is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
    }

    /// Returns the path as one of the operating system, relative to a root.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Returns the full path below `root`.
    pub fn under(&self, root: &Path) -> std::path::PathBuf {
        if self.is_top() { root.to_owned() } else { root.join(self.as_path()) }
    }
}

impl Borrow<[u8]> for RepoPath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Serializes the path as bytes; in a text format such as JSON, as a string if it is UTF-8.
impl Serialize for RepoPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&self.0);
        }
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Bytes(Vec<u8>),
        }
        if !deserializer.is_human_readable() {
            return Ok(Self(<&[u8]>::deserialize(deserializer)?.into()));
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text.into_bytes().into(),
            Form::Bytes(bytes) => bytes.into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_resolves_dots_and_refuses_to_leave_the_repository() {
        let cases = [
            ("", "a/b", Some("a/b")),
            ("a", "./b//c/", Some("a/b/c")),
            ("a/b", "../c", Some("a/c")),
            ("a", "..", Some("")),
            ("a", "../..", None),
            ("", "../x", None),
            ("a", "/etc", None),
        ];
        for (base, text, expected) in cases {
            let joined = RepoPath::from_git(base.as_bytes()).join(text).map(|path| path.to_string());
            assert_eq!(joined.as_deref(), expected, "{base} + {text}");
        }
    }

    #[test]
    fn prefix_matches_whole_components_only() {
        let path = |text: &str| RepoPath::from_git(text.as_bytes());
        assert!(path("a/b").is_within(&path("a")));
        assert!(path("a").is_within(&path("a")));
        assert!(path("a").is_within(&path("")));
        assert!(!path("ab").is_within(&path("a")));
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), Some(path("")));
        assert_eq!(path("").parent(), None);
    }

    #[test]
    fn non_utf8_names_round_trip_through_json() {
        for bytes in [&b"a/\xff"[..], b"plain"] {
            let path = RepoPath::from_git(bytes);
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<RepoPath>(&json).unwrap(), path);
        }
    }
}
