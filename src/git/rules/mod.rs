//! The rules by which git ignores files and converts bytes between its objects and the disk.
//!
//! `ignore` parses ignore files and `attributes` attribute files; both match their patterns with
//! `glob`. `filters` finds the filter drivers that a checkout would run. This file has a digest of
//! all rules of conversion: if it changes, files that the index takes for unchanged may not be what a
//! checkout would write now.

pub(super) mod attributes;
pub(super) mod filters;
pub(super) mod glob;
pub(super) mod ignore;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::digest::{Digest, FieldHasher};
use crate::base::file::{self, FileError};
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::repository::Repository;
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::rules::glob::CaseSensitivity;
use crate::git::snapshot::Snapshot;

impl Repository {
    /// Returns a digest of all that decides how git converts the files of a tree at checkout, with
    /// `filters` as the permitted filter drivers.
    ///
    /// # Errors
    /// An attribute file can't be read.
    pub(crate) fn conversion_digest(&self, tree: &Snapshot, filters: &[String]) -> Result<Digest, GitError> {
        let mut fields = FieldHasher::new("taskgate rules 2");
        let settings = self.settings();
        fields
            .number(settings.conversions_on_add.bits().into())
            .number(settings.conversions_on_checkout.bits().into());
        fields.number(settings.converts_all_files.into());
        self.add_common_rules(&mut fields)?;
        for entry in tree.entries().iter().filter(|entry| entry.path.bytes().ends_with(ATTRIBUTES)) {
            fields.add(entry.path.bytes()).add(&entry.id.0);
        }
        for (name, value) in self.filter_drivers() {
            fields.add(&name).add(&value);
        }
        for filter in filters {
            fields.add(filter.as_bytes());
        }
        Ok(fields.digest())
    }

    /// Returns a digest of all that decides how git converts files at checkout, apart from filter drivers.
    /// `files` are the attribute files of the tree, by folder.
    ///
    /// # Errors
    /// An attribute file can't be read.
    pub(crate) fn checkout_rules(&self, files: &BTreeMap<RepoPath, Vec<u8>>) -> Result<Digest, GitError> {
        let mut fields = FieldHasher::new("taskgate checkout rules 2");
        let settings = self.settings();
        fields
            .number(settings.conversions_on_checkout.bits().into())
            .number(settings.converts_all_files.into());
        self.add_common_rules(&mut fields)?;
        for (folder, text) in files {
            fields.add(folder.bytes()).add(text);
        }
        Ok(fields.digest())
    }

    /// Adds the settings and attribute files that are not part of a tree. `attr.tree` may name a branch, so its
    /// tree counts.
    fn add_common_rules(&self, fields: &mut FieldHasher) -> Result<(), GitError> {
        fields.number((self.settings().case == CaseSensitivity::Insensitive).into());
        {
            let inner = self.lock();
            let config = inner.config().and_then(|mut config| config.snapshot()).ok();
            let text = |name: &str| config.as_ref()?.get_string(name).ok();
            for name in ["core.autocrlf", "core.eol"] {
                fields.add(text(name).unwrap_or_default().as_bytes());
            }
            let tree = text("attr.tree").and_then(|name| inner.revparse_single(&name).ok());
            let tree = tree.and_then(|object| object.peel_to_tree().ok());
            fields.add(tree.map(|tree| tree.id()).as_ref().map_or(&[], git2::Oid::as_bytes));
        }
        for text in outer_attribute_files(self)? {
            fields.add(&text);
        }
        Ok(())
    }

    /// Returns the configuration of all filter drivers.
    fn filter_drivers(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
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

/// Returns the attribute files of the machine, the user and the repository; each is empty if it is
/// missing.
pub(crate) fn outer_attribute_files(repository: &Repository) -> Result<Vec<Vec<u8>>, GitError> {
    let system = PathBuf::from("/etc/gitattributes");
    let own = repository.common_dir().join("info/attributes");
    let files = [Some(&system), repository.settings().attributes_file.as_ref(), Some(&own)];
    files.into_iter().flatten().map(|path| read_if_present(path).map_err(GitError::from)).collect()
}

/// Reads a file; a missing file is empty.
pub(crate) fn read_if_present(path: &Path) -> Result<Vec<u8>, FileError> {
    match file::read(path) {
        Err(error) if error.source.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        read => read.map(Option::unwrap_or_default),
    }
}
