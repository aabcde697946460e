//! Remembers the content ids of blobs that git has converted, so that a tree with few changes is read without
//! converting all others again. It must not know how they are converted.
//!
//! The file has the digest of the rest, the digest of the rules by which it was made, and a row for each blob:
//! a hash of its path and id, and its content id after the conversion. A file that is damaged or was made by
//! other rules counts as empty.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::base::digest::{Digest, FieldHasher};
use crate::base::file::{self, Durability};
use crate::git::snapshot::ContentId;
use crate::git::snapshot::checked_out::CheckoutBlob;

/// The name of the file in the state directory.
const FILE: &str = "conversions";
/// The length of a digest as text.
const HEX: usize = 64;
/// The length of a blob's hash, and of a content id.
const ID: usize = 20;

/// The known results of conversions by certain rules.
pub(crate) struct KnownConversions {
    path: PathBuf,
    rules: Digest,
    known: HashMap<[u8; ID], ContentId>,
}

impl KnownConversions {
    /// Reads the results that were made by these rules.
    pub(crate) fn load(state: &Path, rules: Digest) -> Self {
        let path = state.join(FILE);
        // What can't be read is converted again.
        let bytes = file::read(&path).ok().flatten().unwrap_or_default();
        let known = parse(&bytes, rules).unwrap_or_default();
        Self { path, rules, known }
    }

    /// Returns the content id of a blob after its conversion, if it is known.
    pub(crate) fn get(&self, blob: &CheckoutBlob<'_>) -> Option<ContentId> {
        self.known.get(&row(blob)).copied()
    }

    /// Replaces the file by one with these results. Failing to do so only costs time.
    pub(crate) fn save<'b>(&self, results: impl Iterator<Item = (&'b CheckoutBlob<'b>, ContentId)>) {
        let mut rest = self.rules.hex().into_bytes();
        for (blob, id) in results {
            rest.extend_from_slice(&row(blob));
            rest.extend_from_slice(&id.0);
        }
        let bytes = [Digest::hash(&rest).hex().as_bytes(), &rest].concat();
        if let Some(folder) = self.path.parent() {
            let _ = file::write(&self.path, &bytes, folder, Durability::Relaxed);
        }
    }
}

/// Parses a file; `None` if it is damaged or was made by other rules.
fn parse(bytes: &[u8], rules: Digest) -> Option<HashMap<[u8; ID], ContentId>> {
    let (digest, rest) = bytes.split_at_checked(HEX)?;
    let (made_by, rows) = rest.split_at_checked(HEX)?;
    if digest != Digest::hash(rest).hex().as_bytes() || made_by != rules.hex().as_bytes() {
        return None;
    }
    let rows = rows.as_chunks::<{ 2 * ID }>().0.iter();
    rows.map(|row| {
        let (blob, id) = row.split_at(ID);
        Some((blob.try_into().ok()?, ContentId(id.try_into().ok()?)))
    })
    .collect()
}

/// Returns the hash of a blob's path and id.
fn row(blob: &CheckoutBlob<'_>) -> [u8; ID] {
    let digest = FieldHasher::new("taskgate conversion 1").add(blob.path.bytes()).add(&blob.id.0).digest();
    std::array::from_fn(|at| digest.bytes()[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::path::RepoPath;

    #[test]
    fn results_are_known_for_the_same_path_blob_and_rules_until_the_file_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let (rules, path, other) =
            (Digest::hash(b"rules"), RepoPath::from_git(&b"a"[..]), RepoPath::from_git(&b"b"[..]));
        let blob = CheckoutBlob { id: ContentId([1; 20]), path: &path, has_filter: false };
        KnownConversions::load(dir.path(), rules).save([(&blob, ContentId([2; 20]))].into_iter());
        let get = |rules, blob: &CheckoutBlob<'_>| KnownConversions::load(dir.path(), rules).get(blob);
        assert_eq!(get(rules, &blob), Some(ContentId([2; 20])));
        assert_eq!(get(rules, &CheckoutBlob { path: &other, ..blob }), None);
        assert_eq!(get(rules, &CheckoutBlob { id: ContentId([3; 20]), ..blob }), None);
        assert_eq!(get(Digest::hash(b"others"), &blob), None);
        let file = dir.path().join(FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(get(rules, &blob), None);
    }
}
