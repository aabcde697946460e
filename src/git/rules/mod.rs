//! The rules by which git changes bytes between its objects and the disk, as a digest: where they are
//! other ones, files that the index knows by their stat are not what a checkout would write now. It
//! must not know what they do.

pub(super) mod attributes;
pub(super) mod filters;
pub(super) mod glob;
pub(super) mod ignore;

use std::io;
use std::path::{Path, PathBuf};

use crate::base::digest::{Digest, Fields};
use crate::base::file::{self, FileError};
use crate::git::error::GitError;
use crate::git::repository::Repository;
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::snapshot::Snapshot;

impl Repository {
    /// The rules that hold for a tree, of whose filter drivers `filters` may run.
    ///
    /// # Errors
    /// A file of attributes can't be read.
    pub(crate) fn rules(&self, tree: &Snapshot, filters: &[String]) -> Result<Digest, GitError> {
        let mut fields = Fields::new("taskgate rules 1");
        let settings = self.settings();
        fields.number(settings.on_add.bits().into()).number(settings.at_checkout.bits().into());
        fields.number(settings.converts_all.into());
        for text in outer_attribute_files(self)? {
            fields.add(&text);
        }
        for entry in tree.entries().iter().filter(|entry| entry.path.bytes().ends_with(ATTRIBUTES)) {
            fields.add(entry.path.bytes()).add(&entry.id.0);
        }
        for (name, value) in self.drivers() {
            fields.add(&name).add(&value);
        }
        for filter in filters {
            fields.add(filter.as_bytes());
        }
        Ok(fields.digest())
    }

    /// All that is configured of filter drivers.
    fn drivers(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let inner = self.lock();
        let mut found = Vec::new();
        let Ok(config) = inner.config() else { return found };
        let Ok(mut entries) = config.entries(Some("filter\\..*")) else { return found };
        while let Some(Ok(entry)) = entries.next() {
            found.push((entry.name_bytes().to_vec(), entry.value_bytes().to_vec()));
        }
        found
    }
}

/// The attribute files of the machine, the user and the repository; empty where there is none.
pub(crate) fn outer_attribute_files(repository: &Repository) -> Result<Vec<Vec<u8>>, GitError> {
    let system = PathBuf::from("/etc/gitattributes");
    let own = repository.common_dir().join("info/attributes");
    let files = [Some(&system), repository.settings().attributes.as_ref(), Some(&own)];
    files.into_iter().flatten().map(|path| read_if_present(path).map_err(GitError::from)).collect()
}

/// A file that need not be there.
pub(crate) fn read_if_present(path: &Path) -> Result<Vec<u8>, FileError> {
    match file::read(path) {
        Err(error) if error.source.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        read => read.map(Option::unwrap_or_default),
    }
}
