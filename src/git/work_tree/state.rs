//! What all walks of a work tree share: its open top folder, the index, and the rules from outside of
//! it. It does not know how the tree is walked.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::digest::FieldHasher;
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::stat::Stat;
use crate::git::error::GitError;
use crate::git::index::{EntryState, Index};
use crate::git::repository::Repository;
use crate::git::rules::attributes::{ATTRIBUTES, Attributes, Macros};
use crate::git::rules::glob::CaseSensitivity;
use crate::git::rules::ignore::IgnoreRules;
use crate::git::rules::{outer_attribute_files, read_if_present};
use crate::git::settings::GitSettings;
use crate::git::snapshot::{Mode, SnapshotEntry};
use crate::git::work_tree::content_cache::{CacheFiles, ContentCache};
use crate::git::work_tree::folder::OpenFolder;
use crate::git::work_tree::verified_rows::VerifiedRows;

/// What all walks of a work tree share.
#[derive(Debug)]
pub(crate) struct WorkTreeState {
    pub(crate) dir: PathBuf,
    pub(crate) top: OpenFolder,
    /// The device on which the stat of a folder shows whether its names have changed; `None` if there
    /// is none.
    pub(crate) dated_device: Option<u64>,
    pub(crate) index: Arc<Index>,
    /// The files that have the bytes of their rows although git may convert them.
    pub(crate) verified: VerifiedRows,
    /// The entries that a sparse checkout leaves out of the work tree, from the index.
    pub(crate) not_checked_out: Vec<SnapshotEntry>,
    pub(crate) settings: GitSettings,
    pub(crate) cache: ContentCache,
    /// The rules of `info/exclude` and `core.excludesFile`.
    pub(crate) ignores: Arc<IgnoreRules>,
    /// The attribute files of the machine, the user and the repository.
    attributes: Vec<Vec<u8>>,
    /// Attribute files whose staged version differs from the file on disk.
    staged_attributes: HashMap<RepoPath, Vec<u8>>,
    /// Git's own folders, if they are in the work tree under another name than `.git`.
    git_dirs: Vec<RepoPath>,
}

impl WorkTreeState {
    /// Loads the state of a repository's work tree.
    pub(crate) fn load(repository: &Repository, state_dir: Option<&Path>) -> Result<Self, GitError> {
        let dir = repository.work_dir().to_owned();
        let settings = repository.settings().clone();
        let info = repository.common_dir().join("info");
        let mut ignores = IgnoreRules::empty(settings.case);
        // The repository's rules take precedence over the user's.
        for path in settings.excludes_file.iter().chain([&info.join("exclude")]) {
            ignores = ignores.with_file(&RepoPath::top(), &read_if_present(path)?);
        }
        let attributes = outer_attribute_files(repository)?;
        let own = [repository.git_dir(), repository.common_dir()]
            .iter()
            .filter_map(|own| own.strip_prefix(&dir).ok())
            .map(|own| RepoPath::from_git(own.as_os_str().as_encoded_bytes()))
            .collect();
        let top = OpenFolder::open(&dir).map_err(FileError::context("open", &dir))?;
        let dated = if top.has_reliable_times() { top.stat().ok().map(|stat| stat.device) } else { None };
        let files = state_dir.map(|state_dir| CacheFiles::new(state_dir, &dir));
        let rows = files.as_ref().map(|files| files.file("rows"));
        let cache = ContentCache::open(files);
        let mut index = repository.index()?;
        let conversions = conversion_settings_digest(&settings, &attributes, &index);
        index.distrusted_until = cache.distrusted_until(conversions);
        let mut tree = Self {
            top,
            dated_device: dated,
            verified: VerifiedRows::load(rows, &index),
            index: Arc::new(index),
            not_checked_out: Vec::new(),
            cache,
            staged_attributes: HashMap::new(),
            dir,
            settings,
            ignores,
            attributes,
            git_dirs: own,
        };
        tree.staged_attributes = tree.read_staged_attributes(repository)?;
        tree.not_checked_out = tree.find_not_checked_out(repository)?;
        Ok(tree)
    }

    /// Returns the state of a folder that is not a repository.
    pub(crate) fn without_repository(dir: &Path) -> Result<Self, GitError> {
        Ok(Self {
            dir: dir.to_owned(),
            top: OpenFolder::open(dir).map_err(FileError::context("open", dir))?,
            dated_device: None,
            verified: VerifiedRows::default(),
            index: Arc::default(),
            not_checked_out: Vec::new(),
            settings: GitSettings::defaults(),
            cache: ContentCache::default(),
            ignores: IgnoreRules::empty(CaseSensitivity::Sensitive),
            attributes: Vec::new(),
            staged_attributes: HashMap::new(),
            git_dirs: Vec::new(),
        })
    }

    /// Returns whether a folder is one of git's own.
    pub(crate) fn is_git_dir(&self, folder: &RepoPath) -> bool {
        self.git_dirs.contains(folder)
    }

    /// Returns the attributes from outside the work tree, with the macros for the attribute files
    /// inside it.
    pub(crate) fn outer_attributes(&self) -> io::Result<Arc<Attributes>> {
        let top = self.top.as_ref().read_file(ATTRIBUTES)?;
        let staged = self.staged_attributes(&RepoPath::top());
        let texts = self.attributes.iter().chain(&top).map(Vec::as_slice).chain(staged);
        let none = Attributes::empty(Macros::parse(texts), self.settings.case);
        let files = self.attributes.iter();
        Ok(files.fold(none, |all, text| all.with_file(&RepoPath::top(), text)))
    }

    /// Returns the staged attribute file of a folder if it differs from the one on disk. Git may have
    /// written the folder's files with it.
    pub(crate) fn staged_attributes(&self, folder: &RepoPath) -> Option<&[u8]> {
        self.staged_attributes.get(folder).map(Vec::as_slice)
    }

    /// Returns the index entries of attribute files.
    fn attribute_files(&self) -> impl Iterator<Item = &usize> {
        attribute_files(&self.index)
    }

    /// Returns the entries that git does not check out, with the content that a checkout would write.
    fn find_not_checked_out(&self, repository: &Repository) -> Result<Vec<SnapshotEntry>, GitError> {
        if self.index.skip_worktree().is_empty() {
            return Ok(Vec::new());
        }
        let entry = |at: &usize| {
            let row = self.index.entry(*at);
            let path = RepoPath::from_git(self.index.path(*at));
            let mode = row.mode().filter(|_| row.state == EntryState::Staged)?;
            Some(SnapshotEntry { path, mode, id: row.id, stat: None, tracked: true, not_checked_out: true })
        };
        let skipped: Vec<SnapshotEntry> = self.index.skip_worktree().iter().filter_map(entry).collect();
        let attributes =
            self.attribute_files().filter(|at| self.index.skip_worktree().binary_search(at).is_err());
        let all = skipped.iter().cloned().chain(attributes.filter_map(entry)).collect();
        match repository.convert_as_checked_out(all, repository.opener().permitted_filters()) {
            Ok(all) => Ok(skipped
                .into_iter()
                .map(|entry| SnapshotEntry {
                    id: all.get(&entry.path).map_or(entry.id, |found| found.id),
                    ..entry
                })
                .collect()),
            // If a driver is not permitted, the unknown content costs a hit at worst.
            Err(GitError::Filter { .. }) => Ok(skipped),
            Err(error) => Err(error),
        }
    }

    fn read_staged_attributes(
        &self,
        repository: &Repository,
    ) -> Result<HashMap<RepoPath, Vec<u8>>, GitError> {
        let mut staged = HashMap::new();
        for at in self.attribute_files() {
            let row = self.index.entry(*at);
            let path = RepoPath::from_git(self.index.path(*at));
            let on_disk = path.under(&self.dir).symlink_metadata().ok();
            if !on_disk.is_some_and(|meta| self.index.is_up_to_date(&row, &Stat::new(&meta))) {
                staged.insert(path.parent().unwrap_or_default(), repository.read_blob(&row.id)?);
            }
        }
        Ok(staged)
    }
}

/// Returns the index entries of attribute files.
fn attribute_files(index: &Index) -> impl Iterator<Item = &usize> {
    let is_file = |row: &&usize| !matches!(index.entry(**row).mode(), None | Some(Mode::Submodule));
    index.attribute_files().iter().filter(is_file)
}

/// Returns a digest of everything that decides how git converts bytes. `outer` are the attribute files outside
/// of the work tree.
fn conversion_settings_digest(settings: &GitSettings, outer: &[Vec<u8>], index: &Index) -> [u8; 20] {
    let mut fields = FieldHasher::new("taskgate filters 1");
    fields
        .number(settings.conversions_on_add.bits().into())
        .number(settings.conversions_on_checkout.bits().into());
    for text in outer {
        fields.add(text);
    }
    for row in attribute_files(index) {
        fields.add(index.path(*row)).add(&index.entry(*row).id.0);
    }
    let mut short = [0; 20];
    short.copy_from_slice(&fields.digest().bytes()[..20]);
    short
}
