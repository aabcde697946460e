//! Moves the outputs of a task from one folder to another, exactly as if they were restored there. It
//! does not know what the folders are.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::cache::Cache;
use crate::cache::format::entry::StoredOutput;
use crate::cache::outputs::output_set::OutputContent;
use crate::cache::outputs::table::StatTable;
use crate::cache::restore::RestoreCounts;
use crate::cache::restore::fetch::{FetchedContents, TargetDisks, check_space};
use crate::cache::restore::install::Installer;
use crate::cache::restore::plan::{RestoreError, RestorePlan, RestoreTarget};

impl Cache {
    /// Makes what matches `patterns` below `root` equal to what matches below `source`: bytes,
    /// permission bits, symlinks, empty folders, and nothing else. Files are moved, so `source` can't
    /// be used afterwards.
    ///
    /// # Errors
    /// Those of [`Cache::restore`], or an output is of a kind that can't be stored. Unless the error
    /// is [`RestoreError::Partial`], nothing was changed below `root`.
    pub fn transfer(
        &self,
        source: &Path,
        root: &Path,
        patterns: &Patterns,
        is_tracked: &dyn Fn(&RepoPath) -> bool,
    ) -> Result<RestoreCounts, RestoreError> {
        // The source is used only once, so its stats need not be remembered.
        let collected = self.collect_with(source, patterns, &StatTable::load(PathBuf::new()))?;
        let whole = |output: &crate::cache::Output| StoredOutput { output: output.clone(), packed: None };
        let outputs: Vec<StoredOutput> = collected.outputs().iter().map(whole).collect();
        let target = RestoreTarget { root, patterns, is_tracked };
        let temp = self.dirs.temp();
        let plan = RestorePlan::new(&target, &outputs, &self.table(root), &temp)?;
        let disk =
            |path: &Path| path.metadata().map(|meta| meta.dev()).map_err(FileError::context("look at", path));
        // Renamed files take no space.
        if disk(source)? != disk(root)? {
            check_space(&outputs, &plan, &mut TargetDisks::new(root))?;
        }
        for output in outputs.iter().map(|stored| &stored.output) {
            // Files can't be moved out of a read-only folder.
            if let OutputContent::Folder { mode, .. } = output.content
                && mode & 0o700 != 0o700
            {
                let path = output.path.under(source);
                let open = std::fs::Permissions::from_mode(mode | 0o700);
                std::fs::set_permissions(&path, open)
                    .map_err(FileError::context("set the mode of", &path))?;
            }
        }
        let mut contents = FetchedContents::default();
        for write in &plan.writes {
            let output = &outputs[write.index].output;
            if matches!(output.content, OutputContent::File { .. }) {
                let path = output.path.under(source);
                let staged = TempPath::try_from_path(&path).map_err(FileError::context("find", &path))?;
                contents.large.insert(write.index, staged);
            }
        }
        let installer = Installer::new(root, self.dirs.writable_temp().as_deref())?;
        installer.run(&outputs, &plan, &mut contents).map_err(RestoreError::Partial)?;
        Ok(RestoreCounts { written: plan.writes.len(), removed: plan.remove.len() })
    }
}
