//! Scans the paths that `[worktree]` names and makes them again in a private worktree. This module does
//! not know what runs there.
//!
//! Nothing is provided as a symlink into the work tree. A program that runs through such a symlink has
//! its real path in the work tree, so it would find the tracked files there instead of those under test.
//! Therefore folders are created, and files are hard links (`link`) or copies (`copy`). In symlinks and
//! small text files, paths of the work tree are replaced by those of the private worktree. Where that is
//! impossible, for example in an editable install, the path is refused (`installed_packages.rs`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::base::digest::{Digest, FieldHasher};
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::path_mapping::{PathMapping, normalized};
use crate::gate::prepare_worktree::installed_packages::{self, Build};

/// The largest size of a script or settings file, in bytes.
const LARGEST_TEXT: u64 = 64 * 1024;
/// The names of folders with scripts, into which tools write absolute paths.
const SCRIPTS: &[&str] = &["bin", ".bin", "Scripts"];
/// The largest number of folders outside of the work tree that are scanned because a symlink points
/// to them.
const MOST_OUTSIDE: usize = 20_000;

/// How files are provided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProvideMode {
    /// As hard links to the user's files.
    Link,
    /// As copies.
    Copy,
}

/// A file or folder that refers back to the work tree in a way that can't be changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackReference {
    /// The path of `[worktree]` that contains it.
    pub provided: RepoPath,
    /// The path of the file or folder, relative to the work tree or absolute.
    pub entry: PathBuf,
    /// The path of the work tree that it refers to.
    pub target: PathBuf,
    /// What made it.
    pub origin: BackReferenceOrigin,
}

/// The origin of a file or folder that refers back to the work tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BackReferenceOrigin {
    /// An installer of Python packages.
    Python,
    /// A build tool.
    Build(Build),
    /// A symlink in a folder outside of the work tree.
    Outside,
}

/// Why a path can't be provided.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// A file or folder refers back to the work tree.
    #[error("it refers to a path in the work tree")]
    BackReference(BackReference),
    /// A file can't be read or created.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The user's work tree, and what the private worktree gets from it.
pub struct Mirror<'a> {
    /// The real path of the top of the work tree.
    pub root: &'a Path,
    /// The work trees of the repository, and the private worktree that replaces them.
    pub mapping: &'a PathMapping,
    /// Tracked files with more than one hard link, by device and inode.
    pub shared: HashMap<(u64, u64), RepoPath>,
    /// All provided paths, and how each is provided. A path inside another one is handled by its own entry.
    pub provided: BTreeMap<RepoPath, ProvideMode>,
}

/// The entries to create. A folder comes before its content.
#[derive(Default)]
pub struct Mirrored {
    entries: Vec<MirrorEntry>,
    /// The symlinks that point into the tree, each with the path that it points to.
    pub inward_links: Vec<(PathBuf, PathBuf)>,
    outside: BTreeSet<PathBuf>,
}

struct MirrorEntry {
    /// The path relative to the top of the work tree.
    path: PathBuf,
    meta: Metadata,
    kind: EntryKind,
}

enum EntryKind {
    Folder,
    File(ProvideMode),
    Symlink(PathBuf),
    Text(Vec<u8>),
}

impl Mirror<'_> {
    /// Scans the file or folder at `path` of the work tree, and adds the entries to create.
    ///
    /// # Errors
    /// Fails if a file or folder refers back to the work tree in a way that can't be changed, or if it
    /// can't be read.
    pub fn scan(&self, path: &RepoPath, how: ProvideMode, found: &mut Mirrored) -> Result<(), MirrorError> {
        let top = path.as_path().to_owned();
        let mut stack = vec![(top, 0_usize)];
        while let Some((place, depth)) = stack.pop() {
            if depth > 0 && self.provided.contains_key(&RepoPath::from_git(place.as_os_str().as_bytes())) {
                continue;
            }
            let from = self.root.join(&place);
            let meta = from.symlink_metadata().map_err(FileError::context("look at", &from))?;
            let kind = meta.file_type();
            let what = if kind.is_symlink() {
                EntryKind::Symlink(self.symlink(path, &place, found)?)
            } else if kind.is_dir() {
                let list =
                    || fs::read_dir(&from)?.map(|entry| entry.map(|entry| entry.file_name())).collect();
                let names: io::Result<Vec<_>> = list();
                let mut names = names.map_err(FileError::context("list", &from))?;
                names.sort_unstable();
                self.check_build_folder(path, &place, &names)?;
                stack.extend(names.into_iter().rev().map(|name| (place.join(name), depth + 1)));
                EntryKind::Folder
            } else if kind.is_file() {
                match self.text(path, &place, depth, &meta)? {
                    Some(text) => EntryKind::Text(text),
                    None => match self.tracked(&meta) {
                        // It is a hard link to a tracked file. A link to the user's file would provide the
                        // wrong content, so it becomes a symlink to the tracked file of the private worktree.
                        Some(tracked) => EntryKind::Symlink(self.mapping.target(tracked.as_path())),
                        None => EntryKind::File(how),
                    },
                }
            } else {
                continue;
            };
            found.entries.push(MirrorEntry { path: place, meta, kind: what });
        }
        Ok(())
    }

    fn tracked(&self, meta: &Metadata) -> Option<&RepoPath> {
        (meta.nlink() > 1).then(|| self.shared.get(&(meta.dev(), meta.ino())))?
    }

    /// Returns the target that a symlink gets in the private worktree.
    fn symlink(&self, path: &RepoPath, place: &Path, found: &mut Mirrored) -> Result<PathBuf, MirrorError> {
        let from = self.root.join(place);
        let text = fs::read_link(&from).map_err(FileError::context("read", &from))?;
        let folder = from.parent().unwrap_or(&from);
        let folder = folder.canonicalize().map_err(FileError::context("find", folder))?;
        let unresolved = normalized(&folder.join(&text));
        let real = from.canonicalize().ok();
        // The target is first compared unresolved, because it may itself be a symlink that also exists
        // in the private worktree.
        let inside = self.mapping.strip_root(&unresolved);
        let inside = inside.or_else(|| self.mapping.relative_path(real.as_deref().unwrap_or(&unresolved)));
        let Some(inside) = inside else {
            if let Some(real) = real.filter(|real| real.is_dir()) {
                self.scan_outside(path, real, found)?;
            }
            return Ok(if text.is_absolute() { text } else { unresolved });
        };
        let target = self.mapping.target(&inside);
        let own = self.mapping.to.join(place);
        let kept_target = normalized(&own.parent().unwrap_or(&own).join(&text));
        // A relative target is kept if it means the same path in the private worktree.
        let is_unchanged = text.is_relative() && kept_target == target;
        found.inward_links.push((place.to_owned(), inside));
        Ok(if is_unchanged { text } else { target })
    }

    /// Looks in a folder outside of the work tree for symlinks and installed Python packages that refer
    /// back to the work tree, and fails if there are any.
    fn scan_outside(
        &self,
        path: &RepoPath,
        folder: PathBuf,
        found: &mut Mirrored,
    ) -> Result<(), MirrorError> {
        let mut stack = vec![folder];
        while let Some(folder) = stack.pop() {
            if found.outside.len() >= MOST_OUTSIDE || !found.outside.insert(folder.clone()) {
                continue;
            }
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    stack.push(entry.path());
                } else if kind.is_symlink()
                    && let Ok(real) = entry.path().canonicalize()
                {
                    if let Some(place) = self.mapping.relative_path(&real) {
                        return Err(self.back_reference(
                            path,
                            &entry.path(),
                            place,
                            BackReferenceOrigin::Outside,
                        ));
                    }
                    if real.is_dir() {
                        stack.push(real);
                    }
                } else if let Some(place) = installed_packages::record(self.mapping, &entry.path()) {
                    return Err(self.back_reference(path, &entry.path(), place, BackReferenceOrigin::Python));
                }
            }
        }
        Ok(())
    }

    /// Returns the text of a file with the paths of the work tree replaced by those of the private
    /// worktree, or `None` if the file needs no change.
    fn text(
        &self,
        path: &RepoPath,
        place: &Path,
        depth: usize,
        meta: &Metadata,
    ) -> Result<Option<Vec<u8>>, MirrorError> {
        let name = place.file_name().unwrap_or_default();
        let is_record =
            installed_packages::is_record(name) && meta.len() <= installed_packages::LARGEST_RECORD;
        let folder = place.parent().and_then(Path::file_name);
        let is_script = folder.is_some_and(|folder| SCRIPTS.iter().any(|name| folder == *name));
        if !(is_record || ((is_script || depth <= 1) && meta.len() <= LARGEST_TEXT)) {
            return Ok(None);
        }
        let from = self.root.join(place);
        // An unreadable file can still be linked. If it is copied, the copy reports the error.
        let Ok(text) = fs::read(&from) else { return Ok(None) };
        if text.contains(&0) {
            return Ok(None);
        }
        let replaced = self.mapping.text(&text);
        if is_record {
            let places =
                installed_packages::named_targets(self.mapping, name, &text, from.parent().unwrap_or(&from));
            // A path inside the provided folder, such as a checkout in a virtual environment, is
            // provided too.
            if let Some(back) = places.into_iter().find(|place| !place.starts_with(path.as_path())) {
                return Err(self.back_reference(path, place, back, BackReferenceOrigin::Python));
            }
        }
        Ok(replaced)
    }

    /// Fails if the folder `place`, whose entries are `names`, is a build folder for files of the work
    /// tree.
    fn check_build_folder(
        &self,
        path: &RepoPath,
        place: &Path,
        names: &[OsString],
    ) -> Result<(), MirrorError> {
        let from = self.root.join(place);
        match installed_packages::build_folder(names) {
            None => Ok(()),
            Some(build @ Build::Cargo) => {
                // A package with its own `Cargo.toml` inside the provided folder, such as one of
                // `node_modules`, is provided together with its sources.
                let parent = place.parent().unwrap_or(place);
                let is_own = place != path.as_path() && self.root.join(parent).join("Cargo.toml").exists();
                let back =
                    || self.back_reference(path, place, parent.to_owned(), BackReferenceOrigin::Build(build));
                if is_own { Ok(()) } else { Err(back()) }
            }
            Some(build @ Build::Cmake) => {
                let cache = from.join(installed_packages::CMAKE_CACHE);
                let source = fs::read(&cache).ok().and_then(|text| installed_packages::cmake_source(&text));
                let back = source.and_then(|source| self.mapping.relative_path(&source));
                match back.filter(|back| !back.starts_with(path.as_path())) {
                    Some(back) => {
                        Err(self.back_reference(path, &cache, back, BackReferenceOrigin::Build(build)))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    fn back_reference(
        &self,
        provided: &RepoPath,
        entry: &Path,
        place: PathBuf,
        kind: BackReferenceOrigin,
    ) -> MirrorError {
        let entry = entry.strip_prefix(self.root).unwrap_or(entry).to_owned();
        MirrorError::BackReference(BackReference {
            provided: provided.clone(),
            entry,
            target: place,
            origin: kind,
        })
    }
}

impl Mirrored {
    /// Returns a digest of all entries and of the files that they are made from.
    pub fn digest(&self) -> Digest {
        let mut fields = FieldHasher::new("taskgate mirror 1");
        for entry in &self.entries {
            fields.add(entry.path.as_os_str().as_bytes());
            fields.number(u64::from(entry.meta.mode()));
            let file = |fields: &mut FieldHasher| {
                fields.number(entry.meta.dev()).number(entry.meta.ino()).number(entry.meta.len());
                fields.add(&entry.meta.mtime().to_le_bytes()).add(&entry.meta.mtime_nsec().to_le_bytes());
            };
            match &entry.kind {
                EntryKind::Folder => fields.add(b"folder"),
                EntryKind::Symlink(target) => fields.add(b"symlink").add(target.as_os_str().as_bytes()),
                EntryKind::Text(text) => fields.add(b"text").add(text),
                EntryKind::File(ProvideMode::Link) => {
                    file(&mut fields);
                    fields.add(b"link")
                }
                EntryKind::File(ProvideMode::Copy) => {
                    file(&mut fields);
                    // Only for copies: creating a hard link changes the ctime of the file.
                    fields.add(&entry.meta.ctime().to_le_bytes()).add(&entry.meta.ctime_nsec().to_le_bytes());
                    fields.add(b"copy")
                }
            };
        }
        fields.digest()
    }

    /// Returns whether all entries exist below `to`, unchanged.
    pub fn exists_below(&self, to: &Path) -> bool {
        self.entries.par_iter().all(|entry| {
            let place = to.join(&entry.path);
            let Ok(meta) = place.symlink_metadata() else { return false };
            match &entry.kind {
                EntryKind::Folder => meta.is_dir(),
                EntryKind::Symlink(target) => fs::read_link(&place).is_ok_and(|link| link == *target),
                EntryKind::Text(text) => meta.is_file() && fs::read(&place).is_ok_and(|found| found == *text),
                EntryKind::File(how) => {
                    let is_same = (meta.dev(), meta.ino()) == (entry.meta.dev(), entry.meta.ino());
                    let is_alike = meta.len() == entry.meta.len() && times(&meta) == times(&entry.meta);
                    meta.is_file() && (is_same || is_alike) && (*how == ProvideMode::Link || !is_same)
                }
            }
        })
    }

    /// Creates all entries below `to`. None of them may exist there.
    ///
    /// # Errors
    /// Fails if a file can't be read, or if an entry can't be created.
    pub fn create(&self, root: &Path, to: &Path) -> Result<(), FileError> {
        let folders = || self.entries.iter().filter(|entry| matches!(entry.kind, EntryKind::Folder));
        for folder in folders() {
            let place = to.join(&folder.path);
            fs::create_dir_all(&place).map_err(FileError::context("make the folder", &place))?;
        }
        self.entries.par_iter().try_for_each(|entry| {
            let (from, place) = (root.join(&entry.path), to.join(&entry.path));
            let made = match &entry.kind {
                EntryKind::Folder => return Ok(()),
                EntryKind::Symlink(target) => std::os::unix::fs::symlink(target, &place),
                EntryKind::Text(text) => {
                    let mode = fs::Permissions::from_mode(entry.meta.mode() & 0o7777);
                    let file = File::options().write(true).create_new(true).open(&place);
                    let written = file.and_then(|mut file| file.write_all(text));
                    written.and_then(|()| fs::set_permissions(&place, mode))
                }
                EntryKind::File(ProvideMode::Link) => {
                    // A hard link fails across disks, and may fail for files of other users.
                    fs::hard_link(&from, &place).or_else(|_| copy(&from, &place, &entry.meta))
                }
                EntryKind::File(ProvideMode::Copy) => copy(&from, &place, &entry.meta),
            };
            made.map_err(FileError::context("provide", &from))
        })?;
        // The modes are set last, from the innermost folder to the outermost, because nothing can be
        // created in a read-only folder.
        for folder in self.entries.iter().rev().filter(|entry| matches!(entry.kind, EntryKind::Folder)) {
            let place = to.join(&folder.path);
            let mode = fs::Permissions::from_mode(folder.meta.mode() & 0o7777);
            fs::set_permissions(&place, mode).map_err(FileError::context("set the mode of", &place))?;
        }
        Ok(())
    }
}

fn times(meta: &Metadata) -> (i64, i64) {
    (meta.mtime(), meta.mtime_nsec())
}

/// Copies a file with its mode and modification time, which Python compares to see whether a compiled
/// file is current. Fails if `to` exists, because it may be a hard link to the user's file.
fn copy(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut file = File::options().write(true).create_new(true).open(to)?;
    io::copy(&mut source, &mut file)?;
    file.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    if let Ok(modified) = meta.modified() {
        file.set_times(FileTimes::new().set_modified(modified))?;
    }
    Ok(())
}
