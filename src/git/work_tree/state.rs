//! A work tree as it is looked at: its open top folder, a picture of the index, and the rules that
//! stand outside of it. It must not know how the tree is walked.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::digest::Fields;
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::stat::Stat;
use crate::git::error::GitError;
use crate::git::index::{Index, Standing};
use crate::git::repository::Repository;
use crate::git::rules::attributes::{ATTRIBUTES, Attributes, Macros};
use crate::git::rules::glob::Case;
use crate::git::rules::ignore::IgnoreRules;
use crate::git::rules::{outer_attribute_files, read_if_present};
use crate::git::settings::Settings;
use crate::git::snapshot::{Entry, Mode};
use crate::git::work_tree::content_cache::Memory;
use crate::git::work_tree::folder::Folder;

/// What all looks at a work tree share.
#[derive(Debug)]
pub(crate) struct WorkTree {
    pub(crate) dir: PathBuf,
    pub(crate) top: Folder,
    /// The device on which a folder's stat tells whether its names changed; `None` if on none.
    pub(crate) dated: Option<u64>,
    pub(crate) index: Index,
    /// What a sparse checkout leaves out of the working directory, as the index has it.
    pub(crate) absent: Vec<Entry>,
    pub(crate) settings: Settings,
    pub(crate) memory: Memory,
    /// `info/exclude` and `core.excludesFile`.
    pub(crate) ignores: Arc<IgnoreRules>,
    /// The attribute files of the machine, the user and the repository.
    attributes: Vec<Vec<u8>>,
    /// Attribute files whose staged version differs from the one on disk.
    staged_attributes: HashMap<RepoPath, Vec<u8>>,
    /// Git's own folders, where they lie in the work tree under another name than `.git`.
    own: Vec<RepoPath>,
}

impl WorkTree {
    /// The work tree of a repository.
    pub(crate) fn of(repository: &Repository, state_dir: Option<&Path>) -> Result<Self, GitError> {
        let dir = repository.work_dir().to_owned();
        let settings = repository.settings().clone();
        let info = repository.common_dir().join("info");
        let mut ignores = IgnoreRules::none(settings.case);
        // The user's rules count less than the repository's.
        for path in settings.excludes.iter().chain([&info.join("exclude")]) {
            ignores = ignores.with_file(&RepoPath::top(), &read_if_present(path)?);
        }
        let attributes = outer_attribute_files(repository)?;
        let own = [repository.git_dir(), repository.common_dir()]
            .iter()
            .filter_map(|own| own.strip_prefix(&dir).ok())
            .map(|own| RepoPath::from_git(own.as_os_str().as_encoded_bytes()))
            .collect();
        let top = Folder::open(&dir).map_err(FileError::of("open", &dir))?;
        let dated = if top.dates_names() { top.stat().ok().map(|stat| stat.device) } else { None };
        let mut tree = Self {
            top,
            dated,
            index: repository.index()?,
            absent: Vec::new(),
            memory: Memory::open(state_dir, &dir),
            staged_attributes: HashMap::new(),
            dir,
            settings,
            ignores,
            attributes,
            own,
        };
        let files = tree.tracked_attribute_files();
        tree.index.distrusted = tree.memory.distrusted(tree.filters(&files));
        tree.staged_attributes = tree.read_staged_attributes(&files, repository)?;
        tree.absent = tree.skipped(&files, repository)?;
        Ok(tree)
    }

    /// A folder that is no repository.
    pub(crate) fn plain(dir: &Path) -> Result<Self, GitError> {
        Ok(Self {
            dir: dir.to_owned(),
            top: Folder::open(dir).map_err(FileError::of("open", dir))?,
            dated: None,
            index: Index::default(),
            absent: Vec::new(),
            settings: Settings::plain(),
            memory: Memory::default(),
            ignores: IgnoreRules::none(Case::Counts),
            attributes: Vec::new(),
            staged_attributes: HashMap::new(),
            own: Vec::new(),
        })
    }

    /// Whether a folder is git's own.
    pub(crate) fn is_own(&self, folder: &RepoPath) -> bool {
        self.own.contains(folder)
    }

    /// The attributes that hold above all folders, and the macros for the folders' files.
    pub(crate) fn outer_attributes(&self) -> io::Result<Arc<Attributes>> {
        let top = self.top.at().text(ATTRIBUTES)?;
        let staged = self.staged_attributes(&RepoPath::top());
        let texts = self.attributes.iter().chain(&top).map(Vec::as_slice).chain(staged);
        let none = Attributes::none(Macros::of(texts), self.settings.case);
        let files = self.attributes.iter();
        Ok(files.fold(none, |all, text| all.with_file(&RepoPath::top(), text)))
    }

    /// The staged attribute file of a folder, where it is not the one on disk. Git may have written
    /// the folder's files by it.
    pub(crate) fn staged_attributes(&self, folder: &RepoPath) -> Option<&[u8]> {
        self.staged_attributes.get(folder).map(Vec::as_slice)
    }

    /// The rows of attribute files.
    fn tracked_attribute_files(&self) -> Vec<usize> {
        let is_one = |row: &usize| match self.index.path(*row).strip_suffix(ATTRIBUTES) {
            Some([] | [.., b'/']) => !matches!(self.index.row(*row).kind(), None | Some(Mode::Submodule)),
            _ => false,
        };
        (0..self.index.len()).filter(is_one).collect()
    }

    /// The rows that git leaves out of the working directory, with the content that a checkout would
    /// write. `files` are the rows of attribute files.
    fn skipped(&self, files: &[usize], repository: &Repository) -> Result<Vec<Entry>, GitError> {
        if self.index.skipped().is_empty() {
            return Ok(Vec::new());
        }
        let entry = |at: &usize| {
            let row = self.index.row(*at);
            let path = RepoPath::from_git(self.index.path(*at));
            let mode = row.kind().filter(|_| row.standing == Standing::Staged)?;
            Some(Entry { path, mode, id: row.id, stat: None, tracked: true, absent: true })
        };
        let skipped: Vec<Entry> = self.index.skipped().iter().filter_map(entry).collect();
        let attributes = files.iter().filter(|at| self.index.skipped().binary_search(at).is_err());
        let all = skipped.iter().cloned().chain(attributes.filter_map(entry)).collect();
        match repository.as_checked_out(all, repository.opener().permitted()) {
            Ok(all) => Ok(skipped
                .into_iter()
                .map(|entry| Entry { id: all.get(&entry.path).map_or(entry.id, |found| found.id), ..entry })
                .collect()),
            // Where a driver is not permitted, not knowing costs a hit, not its truth.
            Err(GitError::Filter { .. }) => Ok(skipped),
            Err(error) => Err(error),
        }
    }

    /// A digest of all that says how git changes bytes.
    fn filters(&self, files: &[usize]) -> [u8; 20] {
        let mut fields = Fields::new("taskgate filters 1");
        fields.number(self.settings.on_add.bits().into()).number(self.settings.at_checkout.bits().into());
        for text in &self.attributes {
            fields.add(text);
        }
        for row in files {
            fields.add(self.index.path(*row)).add(&self.index.row(*row).id.0);
        }
        let mut short = [0; 20];
        short.copy_from_slice(&fields.digest().bytes()[..20]);
        short
    }

    fn read_staged_attributes(
        &self,
        files: &[usize],
        repository: &Repository,
    ) -> Result<HashMap<RepoPath, Vec<u8>>, GitError> {
        let mut staged = HashMap::new();
        for at in files {
            let row = self.index.row(*at);
            let path = RepoPath::from_git(self.index.path(*at));
            let on_disk = path.under(&self.dir).symlink_metadata().ok();
            if !on_disk.is_some_and(|meta| self.index.vouches(&row, &Stat::of(&meta))) {
                staged.insert(path.parent().unwrap_or_default(), repository.read_blob(&row.id)?);
            }
        }
        Ok(staged)
    }
}
