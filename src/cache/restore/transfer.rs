//! Transferring: what a task left in one folder takes its place in another, exactly as if it were
//! restored there. It must not know what the folders are.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::cache::Cache;
use crate::cache::format::entry::Stored;
use crate::cache::outputs::output_set::Content;
use crate::cache::outputs::table::Table;
use crate::cache::restore::Restored;
use crate::cache::restore::fetch::{Contents, Disks, check_space};
use crate::cache::restore::install::Installer;
use crate::cache::restore::plan::{Ground, Plan, RestoreError};

impl Cache {
    /// Makes what lies within `patterns` below `root` what lies there below `source`: bytes,
    /// permission bits, symlinks, empty folders, and nothing beside them. Files are moved, so
    /// `source` is used up.
    ///
    /// # Errors
    /// As of [`Cache::restore`], or an output is of a kind that can't be stored. Unless the error is
    /// [`RestoreError::Partly`], nothing was changed below `root`.
    pub fn transfer(
        &self,
        source: &Path,
        root: &Path,
        patterns: &Patterns,
        is_tracked: &dyn Fn(&RepoPath) -> bool,
    ) -> Result<Restored, RestoreError> {
        // The source is there only once, so nothing is worth remembering of it.
        let collected = self.collect_with(source, patterns, &Table::load(PathBuf::new()))?;
        let whole = |output: &crate::cache::Output| Stored { output: output.clone(), packed: None };
        let outputs: Vec<Stored> = collected.outputs().iter().map(whole).collect();
        let ground = Ground { root, patterns, is_tracked };
        let temp = self.place.temp();
        let plan = Plan::make(&ground, &outputs, &self.table(root), &temp)?;
        let disk =
            |path: &Path| path.metadata().map(|meta| meta.dev()).map_err(FileError::of("look at", path));
        // What is only renamed takes no space.
        if disk(source)? != disk(root)? {
            check_space(&outputs, &plan, &mut Disks::new(root))?;
        }
        for output in outputs.iter().map(|stored| &stored.output) {
            // Files are moved out of it, which a read-only folder does not let its owner do.
            if let Content::Folder { mode, .. } = output.content
                && mode & 0o700 != 0o700
            {
                let path = output.path.under(source);
                let open = std::fs::Permissions::from_mode(mode | 0o700);
                std::fs::set_permissions(&path, open).map_err(FileError::of("set the mode of", &path))?;
            }
        }
        let mut contents = Contents::default();
        for write in &plan.writes {
            let output = &outputs[write.index].output;
            if matches!(output.content, Content::File { .. }) {
                let path = output.path.under(source);
                let staged = TempPath::try_from_path(&path).map_err(FileError::of("find", &path))?;
                contents.large.insert(write.index, staged);
            }
        }
        let installer = Installer::new(root, self.place.scratch().as_deref())?;
        installer.run(&outputs, &plan, &mut contents).map_err(RestoreError::Partly)?;
        Ok(Restored { written: plan.writes.len(), removed: plan.remove.len() })
    }
}
