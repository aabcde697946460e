//! Replaces paths into the user's work trees by paths into the tree that replaces them, in
//! variables and in small text files. This module must not know which trees these are.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

/// The characters that end a path in a text: quotes, line ends, and separators of lists.
const ENDS: &[u8] = b"\"'`\n\r\t\0;,:=()[]{}<>|&*?#";

/// The user's work trees, and the tree that replaces them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathMapping {
    /// The real paths of the work trees. A work tree inside another one comes before it.
    pub from: Vec<PathBuf>,
    /// The path that replaces each of them.
    pub to: PathBuf,
}

impl PathMapping {
    /// Returns the part of `path` below a work tree. The path may be in the work tree by its name,
    /// or after the symlinks in its folder or in itself are followed. Returns `None` if it is in no
    /// work tree.
    pub fn relative_path(&self, path: &Path) -> Option<PathBuf> {
        if !path.is_absolute() {
            return None;
        }
        let named = normalized(path);
        if let Some(relative) = self.strip_root(&named) {
            return Some(relative);
        }
        // The user may reach the work tree through a symlink.
        let in_real_folder = || Some(named.parent()?.canonicalize().ok()?.join(named.file_name()?));
        let mut real = in_real_folder().into_iter().chain(named.canonicalize().ok());
        real.find_map(|real| self.strip_root(&real))
    }

    /// Returns the part of `path` below a work tree, judged by its name alone.
    pub fn strip_root(&self, path: &Path) -> Option<PathBuf> {
        self.from.iter().find_map(|top| path.strip_prefix(top).ok()).map(Path::to_owned)
    }

    /// Returns the paths of work trees that occur in a text, with their ranges in the text.
    pub fn find_in(&self, text: &[u8]) -> Vec<(Range<usize>, PathBuf)> {
        let found = self.paths(text).into_iter();
        let relative =
            |range: &Range<usize>| self.relative_path(Path::new(OsStr::from_bytes(&text[range.clone()])));
        found.filter_map(|range| relative(&range).map(|relative| (range, relative))).collect()
    }

    /// Returns the text with each path of a work tree replaced, or `None` if it contains no such
    /// path.
    pub fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        let named = self.find_in(text);
        if named.is_empty() {
            return None;
        }
        let mut replaced = Vec::with_capacity(text.len());
        let mut at = 0;
        for (range, relative) in named {
            replaced.extend_from_slice(&text[at..range.start]);
            replaced.extend_from_slice(self.target(&relative).as_os_str().as_bytes());
            let ends_with_slash = text[range.clone()].ends_with(b"/");
            replaced.extend_from_slice(if ends_with_slash { b"/" } else { b"" });
            at = range.end;
        }
        replaced.extend_from_slice(&text[at..]);
        Some(replaced)
    }

    /// Returns the value of a variable for a task in the replacement tree.
    pub fn value<'v>(&self, value: &'v OsStr) -> Cow<'v, OsStr> {
        match self.text(value.as_bytes()) {
            Some(replaced) => Cow::Owned(OsString::from_vec(replaced)),
            None => Cow::Borrowed(value),
        }
    }

    /// Returns the ranges of a text that look like absolute paths. A space is part of a path,
    /// unless another path or an option follows it.
    fn paths(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < text.len() {
            if text[at] != b'/' || !is_start(text, at) {
                at += 1;
                continue;
            }
            let is_end = |end: usize| {
                let byte = text[end];
                let is_next = byte == b' ' && text.get(end + 1).is_none_or(|next| b"/- ".contains(next));
                ENDS.contains(&byte) || is_next
            };
            // The name of a work tree may contain any characters.
            let tops = self.from.iter().map(|top| top.as_os_str().as_bytes());
            let top = tops.filter(|top| text[at..].starts_with(top)).map(<[u8]>::len).max().unwrap_or(0);
            let end = (at + top..text.len()).find(|end| is_end(*end)).unwrap_or(text.len());
            found.push(at..end);
            at = end.max(at + 1);
        }
        found
    }

    /// Returns the path in the replacement tree for the path `relative` of a work tree.
    pub fn target(&self, relative: &Path) -> PathBuf {
        if relative.as_os_str().is_empty() { self.to.clone() } else { self.to.join(relative) }
    }
}

/// Returns the path without `.` and `..`, without reading the file system.
pub fn normalized(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// Returns whether a path may start at this slash: after a character that ends another path, after
/// an option such as `-I`, after `#!`, or in a URL such as `file:///`.
fn is_start(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    match before.last() {
        None => true,
        Some(byte) if *byte == b' ' || *byte == b'!' || *byte == b'@' || ENDS.contains(byte) => {
            !text[at..].starts_with(b"//")
        }
        Some(b'/') => before.ends_with(b"://"),
        Some(letter) if letter.is_ascii_alphabetic() => {
            let option = &before[..before.len() - 1];
            option.ends_with(b"-")
                && option.len().checked_sub(2).is_none_or(|at| b" \t\n\"'=:;,".contains(&option[at]))
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved() -> PathMapping {
        let from = ["/home/me/my repo", "/home/me/linked", "/home/me/c#:x"];
        PathMapping { from: from.map(PathBuf::from).into(), to: "/cache/gate-1".into() }
    }

    #[test]
    fn work_tree_paths_become_paths_of_the_tree() {
        for (text, expected) in [
            ("/home/me/my repo", Some("/cache/gate-1")),
            ("/home/me/my repo/", Some("/cache/gate-1/")),
            ("/bin:/home/me/my repo/.venv/bin:/usr/bin", Some("/bin:/cache/gate-1/.venv/bin:/usr/bin")),
            ("/home/me/linked/a:/home/me/my repo/b/../c", Some("/cache/gate-1/a:/cache/gate-1/c")),
            ("#!/home/me/my repo/.venv/bin/python -s\n", Some("#!/cache/gate-1/.venv/bin/python -s\n")),
            ("exec '/home/me/my repo/x' \"$@\"", Some("exec '/cache/gate-1/x' \"$@\"")),
            ("-I/home/me/linked/inc -L/home/me/linked", Some("-I/cache/gate-1/inc -L/cache/gate-1")),
            ("--config=/home/me/linked/a.toml", Some("--config=/cache/gate-1/a.toml")),
            ("file:///home/me/linked/a", Some("file:///cache/gate-1/a")),
            ("cp /home/me/linked/a /home/me/linked/b", Some("cp /cache/gate-1/a /cache/gate-1/b")),
            ("A=1\nB=/home/me/linked/x\n", Some("A=1\nB=/cache/gate-1/x\n")),
            ("/bin:/home/me/c#:x/bin:/usr/bin", Some("/bin:/cache/gate-1/bin:/usr/bin")),
            ("/home/me/linked-too", None),
            ("/mnt/home/me/linked", None),
            ("x/home/me/linked", None),
            ("https://example.com/home/me/linked", None),
            ("/", None),
            ("", None),
        ] {
            let found = moved().text(text.as_bytes()).map(|text| String::from_utf8(text).unwrap());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn work_tree_reached_through_a_symlink_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("repo/.venv/bin")).unwrap();
        std::os::unix::fs::symlink("repo", dir.join("link")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", dir.join("repo/.venv/bin/python")).unwrap();
        let moved = PathMapping { from: vec![dir.join("repo")], to: "/gate".into() };
        assert_eq!(moved.relative_path(&dir.join("link/.venv/bin/python")), Some(".venv/bin/python".into()));
        assert_eq!(moved.relative_path(&dir.join("link")), Some(PathBuf::new()));
        assert_eq!(moved.relative_path(&dir.join("other")), None);
        let value = format!("/bin:{}/link/.venv/bin", dir.display());
        assert_eq!(&*moved.value(OsStr::new(&value)), "/bin:/gate/.venv/bin");
    }
}
