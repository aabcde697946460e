//! Finds, reads and writes manifests by what is typed: a file, a run's id or a part of it, `last`, `last~1`.
//! It must not know what is done with them.

use std::path::Path;

use crate::base::file::{self, Durability, FileError};
use crate::cli::ci::service::make_report_folder;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::git::Repository;
use crate::history::runs::{Runs, RunsError};
use crate::run_manifest::{Keys, Manifest};

/// Returns the manifest of a file or of a recorded run.
///
/// # Errors
/// There is no such manifest, or it can't be read.
pub fn find(session: &Session, name: &str) -> Result<Manifest, Failure> {
    let path = session.resolve(Path::new(name));
    if path.is_file() {
        return load_file(&path);
    }
    let Some(repository) = Repository::discover(&session.dir, &session.env)? else {
        return load_file(&path);
    };
    let runs = Runs::new(&repository.common_dir().join("xtask"));
    let id = match runs_back(name) {
        Some(number) => runs.before_last(number)?,
        None => runs.find(name)?,
    };
    load_run(&runs, &id)
}

/// Reads the manifest of a recorded run.
fn load_run(runs: &Runs, id: &str) -> Result<Manifest, Failure> {
    let name = format!("the manifest of {id}");
    let mut manifest = decode(&runs.manifest(id)?, Path::new(&name))?;
    if let Some(keys) = &manifest.keys_file {
        let bytes = runs.keys(keys)?.ok_or_else(|| RunsError::NoManifest(id.to_owned()))?;
        let content = |error| Failure::Content { path: name.into(), source: Box::new(error) };
        manifest.add_keys(Keys::decode(&bytes).map_err(content)?);
    }
    Ok(manifest)
}

/// Reads the manifest of a file.
///
/// # Errors
/// The file is missing or is no manifest.
pub fn load_file(path: &Path) -> Result<Manifest, Failure> {
    let missing = || FileError::context("read", path)(std::io::ErrorKind::NotFound.into());
    let bytes = file::read(path)?.ok_or_else(missing)?;
    decode(&bytes, path)
}

fn decode(bytes: &[u8], path: &Path) -> Result<Manifest, Failure> {
    let content = |error| Failure::Content { path: path.to_owned(), source: Box::new(error) };
    Manifest::decode(bytes).map_err(content)
}

/// Returns the number in `last~2`, and 0 for `last`.
fn runs_back(name: &str) -> Option<usize> {
    match name.strip_prefix("last")? {
        "" => Some(0),
        rest => rest.strip_prefix('~')?.parse().ok(),
    }
}

/// Copies the manifest of a run to a file, as uncompressed JSON.
///
/// # Errors
/// The run has no manifest, or the file can't be written.
pub fn copy(session: &Session, state: &Path, run: &str, path: &Path) -> Result<(), Failure> {
    write(session, path, &load_run(&Runs::new(state), run)?.encode())
}

/// Writes a manifest to a file that the caller named, and creates its folder.
///
/// # Errors
/// The file can't be written.
pub fn write(session: &Session, path: &Path, json: &[u8]) -> Result<(), Failure> {
    let path = session.resolve(path);
    let folder = path.parent().unwrap_or(Path::new("."));
    make_report_folder(folder)?;
    let mut bytes = json.to_vec();
    bytes.push(b'\n');
    Ok(file::write(&path, &bytes, folder, Durability::Relaxed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_of_last_runs_are_resolved() {
        let cases =
            [("last", Some(0)), ("last~0", Some(0)), ("last~3", Some(3)), ("last~x", None), ("2026", None)];
        for (name, expected) in cases {
            assert_eq!(runs_back(name), expected, "{name}");
        }
    }
}
