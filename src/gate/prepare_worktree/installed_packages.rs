//! Detects files that installers and build tools write into ignored folders and that only work in the
//! user's work tree, such as editable installs and build folders. This module does not know which paths
//! are provided.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode;

use crate::base::path_mapping::{PathMapping, normalized};

/// A tool that keeps its build results in its own folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Build {
    /// Cargo's `target`.
    Cargo,
    /// A folder configured by `CMake`.
    Cmake,
}

/// The file in which `CMake` stores its settings.
pub(super) const CMAKE_CACHE: &str = "CMakeCache.txt";

/// Returns the source folder that the text of a [`CMAKE_CACHE`] names.
pub(super) fn cmake_source(text: &[u8]) -> Option<PathBuf> {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let source = lines.find_map(|line| line.strip_prefix(b"CMAKE_HOME_DIRECTORY:INTERNAL="))?;
    Some(PathBuf::from(OsStr::from_bytes(source)))
}

/// Returns the tool whose build folder contains entries with these names. The build results in it were
/// made from files of the work tree and contain their absolute paths.
pub(super) fn build_folder(names: &[OsString]) -> Option<Build> {
    let has = |name: &str| names.iter().any(|known| known == name);
    if has(".rustc_info.json") {
        Some(Build::Cargo)
    } else if has(CMAKE_CACHE) {
        Some(Build::Cmake)
    } else {
        None
    }
}

/// Returns whether files with this name record where an installed Python package is.
pub(super) fn is_record(name: &OsStr) -> bool {
    ends_with(name, ".pth")
        || ends_with(name, ".egg-link")
        || name == "direct_url.json"
        // `__editable___name_finder.py` of setuptools, `_name_editable_loader.py` of meson-python.
        || (ends_with(name, ".py") && name.to_string_lossy().contains("_editable_"))
        || (ends_with(name, ".py") && ends_with(name, "_editable.py"))
}

/// The largest size of a record, in bytes. Larger `.pth` files are usually trained models.
pub(super) const LARGEST_RECORD: u64 = 1024 * 1024;

/// Returns the path of a work tree that the file at `path` names, if it is a record of an installed
/// package.
pub(super) fn record(mapping: &PathMapping, path: &Path) -> Option<PathBuf> {
    let name = path.file_name().filter(|name| is_record(name))?;
    let is_small = path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST_RECORD);
    let text = if is_small { fs::read(path).ok()? } else { return None };
    named_targets(mapping, name, &text, path.parent()?).into_iter().next()
}

/// Returns the symlinks and editable installs that refer to a work tree, each with the path that it
/// refers to. Looks in the folders of `PATH` and in Python's package folders next to them and in `home`.
pub(super) fn reached_by_path(
    mapping: &PathMapping,
    path: &OsStr,
    home: Option<&OsStr>,
) -> Vec<(PathBuf, PathBuf)> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    let folders: BTreeSet<PathBuf> = std::env::split_paths(path).filter(|path| path.is_absolute()).collect();
    for folder in &folders {
        let links = entries(folder).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
        for link in links.map(|entry| entry.path()) {
            let target = link.canonicalize().ok().and_then(|real| mapping.strip_root(&real));
            found.extend(target.map(|target| (link, target)));
        }
    }
    let libraries_beside = folders.iter().filter_map(|folder| Some(folder.parent()?.join("lib")));
    let user_libraries = home.map(|home| Path::new(home).join(".local/lib"));
    let libraries: BTreeSet<PathBuf> =
        libraries_beside.chain(user_libraries).filter_map(|lib| lib.canonicalize().ok()).collect();
    let is_python = |entry: &fs::DirEntry| entry.file_name().as_bytes().starts_with(b"python");
    for python in libraries.iter().flat_map(|lib| entries(lib).filter(is_python)) {
        for packages in ["site-packages", "dist-packages"].map(|name| python.path().join(name)) {
            let records = entries(&packages).map(|entry| entry.path());
            found.extend(records.filter_map(|path| record(mapping, &path).map(|target| (path, target))));
        }
    }
    found
}

/// Returns the paths of work trees that a record named `name` in `folder` contains.
pub(super) fn named_targets(mapping: &PathMapping, name: &OsStr, text: &[u8], folder: &Path) -> Vec<PathBuf> {
    let decoded: Vec<u8> =
        if name == "direct_url.json" { percent_decode(text).collect() } else { text.to_vec() };
    let mut named_targets: Vec<PathBuf> =
        mapping.find_in(&decoded).into_iter().map(|(_, target)| target).collect();
    if ends_with(name, ".pth") || ends_with(name, ".egg-link") {
        // Each line is a whole path, which may contain characters that end a path in other files. A
        // relative path stays inside the private worktree, unless it first leaves the work tree.
        let lines = decoded.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with(b"import")) {
            let path = Path::new(OsStr::from_bytes(line));
            if path.is_absolute() {
                named_targets.extend(mapping.relative_path(path));
            } else if is_climbing(mapping, folder, path) {
                named_targets.extend(mapping.relative_path(&normalized(&folder.join(path))));
            }
        }
    }
    named_targets
}

/// Returns whether one of the steps of a relative path is outside of the work tree.
fn is_climbing(mapping: &PathMapping, folder: &Path, path: &Path) -> bool {
    let mut at = folder.to_owned();
    path.components().any(|part| {
        at = normalized(&at.join(part));
        !mapping.from.iter().any(|top| at.starts_with(top))
    })
}

/// Returns whether a name has this ending.
fn ends_with(name: &OsStr, ending: &str) -> bool {
    name.as_bytes().ends_with(ending.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_editable_installs_name_the_work_tree() {
        let mapping = PathMapping { from: vec!["/work/my repo".into()], to: "/gate".into() };
        let site = Path::new("/work/my repo/.venv/lib/python3/site-packages");
        for (name, text, expected) in [
            ("a.pth", "/work/my repo/src\n", Some("src")),
            ("a.pth", "import _virtualenv\n", None),
            ("a.pth", "import sys; sys.path.insert(0, '/work/my repo/src')\n", Some("src")),
            ("a.pth", "../../../../src\n", None),
            ("a.pth", "../../../../../my repo/src\n", Some("src")),
            ("__editable__.a-1.pth", "/work/my repo", Some("")),
            ("__editable___a_finder.py", "MAPPING = {'a': '/work/my repo/src/a'}", Some("src/a")),
            ("_a_editable_loader.py", "install('/work/my repo/src/a')", Some("src/a")),
            ("_a_editable.py", "x = \"/work/my repo/src/a\"", Some("src/a")),
            ("a.egg-link", "/work/my repo/lib\n.", Some("lib")),
            ("direct_url.json", r#"{"url": "file:///work/my%20repo", "dir_info": {}}"#, Some("")),
            ("direct_url.json", r#"{"url": "https://example.com/work/my%20repo"}"#, None),
        ] {
            assert!(is_record(OsStr::new(name)));
            let found = named_targets(&mapping, OsStr::new(name), text.as_bytes(), site);
            assert_eq!(found.first().map(|target| target.to_str().unwrap()), expected, "{name} {text}");
        }
        assert!(!is_record(OsStr::new("METADATA")));
    }
}
