//! An absolute path as the kernel knows it, which may contain any bytes.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// An absolute path without `.` and `..`. In JSON it is a string if it is UTF-8, else an array of
/// bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilePath(PathBuf);

impl FilePath {
    /// Normalises an absolute path by its text alone, without following symlinks.
    pub fn new(path: &Path) -> Self {
        let mut whole = PathBuf::from("/");
        for component in path.components() {
            match component {
                Component::Normal(name) => whole.push(name),
                Component::ParentDir => drop(whole.pop()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        Self(whole)
    }

    /// Returns it as a path of the operating system.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for FilePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.as_os_str().as_bytes().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Bytes(Vec<u8>),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Text(text) => Self::new(Path::new(&text)),
            Form::Bytes(bytes) => Self::new(Path::new(OsStr::from_bytes(&bytes))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        for (path, expected) in
            [("/a/./b//c/", "/a/b/c"), ("/a/../b", "/b"), ("/../..", "/"), ("/", "/"), ("/a/b/..", "/a")]
        {
            assert_eq!(FilePath::new(Path::new(path)).as_path(), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn paths_that_are_not_utf8_survive_json() {
        for bytes in [&b"/a/\xff"[..], b"/plain"] {
            let path = FilePath::new(Path::new(OsStr::from_bytes(bytes)));
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<FilePath>(&json).unwrap(), path);
        }
    }
}
