//! Records of commands on environments: for each a file of events in `<state>/deploys/`. It does not know how a
//! deploy is displayed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::file::{self, FileError};
use crate::deploy::event::{DeployEvent, DeployNews};
use crate::history::runs::{RunFile, RunsError, create_record, is_kept, record_ids};

/// The records of commands on environments.
#[derive(Clone, Debug)]
pub struct DeployRecords {
    folder: PathBuf,
}

/// The first and the last event of a record, for lists.
#[derive(Clone, Debug)]
pub struct DeployHead {
    /// The id of the record.
    pub id: String,
    /// The first event.
    pub started: DeployNews,
    /// The release that it makes current, if it got so far.
    pub begun: Option<DeployNews>,
    /// The last event; `None` if the process was killed or is still running.
    pub ended: Option<DeployNews>,
}

impl DeployRecords {
    /// Returns the records in a state directory.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("deploys") }
    }

    /// Creates a record.
    ///
    /// # Errors
    /// The file can't be created.
    pub fn create(&self, id: &str) -> Result<RunFile, FileError> {
        file::make_dir(&self.folder)?;
        create_record(&self.path(id))
    }

    /// Returns the ids of all records, newest first.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn ids(&self) -> Result<Vec<String>, FileError> {
        record_ids(&self.folder)
    }

    /// Returns all events of a record. A line that a kill cut off, or that this version does not know, is
    /// skipped.
    ///
    /// # Errors
    /// There is no such record, or it can't be read.
    pub fn events(&self, id: &str) -> Result<Vec<DeployEvent>, RunsError> {
        let path = self.path(id);
        let file = File::open(&path).map_err(FileError::context("open", &path))?;
        let lines = BufReader::new(file).lines();
        Ok(lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect())
    }

    /// Returns what a list shows of a record; `None` if it has no first event.
    ///
    /// # Errors
    /// There is no such record, or it can't be read.
    pub fn head(&self, id: &str) -> Result<Option<DeployHead>, RunsError> {
        let mut events = self.events(id)?.into_iter().map(|event| event.what);
        let Some(started @ DeployNews::CommandStarted { .. }) = events.next() else { return Ok(None) };
        let mut head = DeployHead { id: id.to_owned(), started, begun: None, ended: None };
        for news in events {
            match news {
                DeployNews::Begun { .. } | DeployNews::TakenOver { .. } => head.begun = Some(news),
                DeployNews::Ended { .. }
                | DeployNews::Unchanged { .. }
                | DeployNews::Left { .. }
                | DeployNews::Refused { .. } => head.ended = Some(news),
                _ => {}
            }
        }
        Ok(Some(head))
    }

    /// Returns when a record was last written to; `None` if that is unknown.
    pub fn modified(&self, id: &str) -> Option<SystemTime> {
        std::fs::metadata(self.path(id)).and_then(|meta| meta.modified()).ok()
    }

    /// Removes the oldest records beyond those that are kept, of which there are as many as of runs. Errors are
    /// ignored.
    pub fn prune(&self) {
        let mut bytes = 0;
        for (i, id) in self.ids().unwrap_or_default().iter().enumerate() {
            let path = self.path(id);
            bytes += std::fs::metadata(&path).map_or(0, |meta| meta.len());
            if !is_kept(i, bytes) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.jsonl"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::deploy::event::{Command, VERSION};

    #[test]
    fn old_records_are_pruned_and_lines_that_were_cut_off_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let records = DeployRecords::new(dir.path());
        assert_eq!(records.ids().unwrap(), [""; 0]);
        for i in 0..101 {
            records.create(&format!("20260101-{i:06}")).unwrap();
        }
        records.prune();
        let ids = records.ids().unwrap();
        assert_eq!((ids.len(), &*ids[0]), (100, "20260101-000100"));
        let started = DeployNews::CommandStarted {
            version: VERSION,
            id: "new".to_owned(),
            command: Command::Deploy,
            environment: "prod".to_owned(),
            started: Timestamp(0),
        };
        let line = serde_json::to_string(&DeployEvent { at: 1, what: started }).unwrap();
        let mut file = records.create("new").unwrap();
        file.write_all(format!("{line}\n{{\"at\":2,\"event\":\"from-the-future\"}}\n{{\"at\":3,").as_bytes())
            .unwrap();
        assert_eq!(records.events("new").unwrap().len(), 1);
        assert!(records.head("new").unwrap().unwrap().ended.is_none());
        assert!(records.head("20260101-000100").unwrap().is_none());
    }
}
