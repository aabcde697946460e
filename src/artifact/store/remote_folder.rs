//! A store in a folder of another machine, by ssh. It must not know which artifacts are needed.

use std::collections::BTreeSet;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::artifact::archive::PackedArtifact;
use crate::artifact::store::download::{Copy, Downloads};
use crate::artifact::store::error::StoreError;
use crate::artifact::store::object::{check_packed, object_name};
use crate::base::file::FileError;
use crate::config::deploy::Connection;
use crate::deploy::release::ArtifactDigest;
use crate::target::connection::{Call, Connector};
use crate::target::variables::quote;

/// The program that runs on the other machine.
const PROGRAM: &str = include_str!("remote_folder.sh");
/// How long a call may take: an artifact is large, and a connection may be slow.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// How much of an object one call returns, in MiB. The answer of a call is in memory.
const PART: u64 = 16;

/// A store in a folder of another machine.
#[derive(Debug)]
pub(crate) struct RemoteFolderStore {
    connector: Arc<Connector>,
    on: Connection,
    folder: String,
    /// The name of the store in messages.
    name: String,
    downloads: Downloads,
}

impl RemoteFolderStore {
    pub(crate) fn new(connector: &Arc<Connector>, on: Connection, folder: &str, temp: PathBuf) -> Self {
        let name = match &on {
            Connection::Local => folder.to_owned(),
            Connection::Ssh(destination) => {
                let port = destination.port.map_or_else(String::new, |port| format!(":{port}"));
                format!("ssh://{}{port}{folder}", destination.host)
            }
        };
        let downloads = Downloads::new(temp);
        Self { connector: Arc::clone(connector), on, folder: folder.to_owned(), name, downloads }
    }

    pub(crate) fn has(&self, digest: &ArtifactDigest) -> Result<bool, StoreError> {
        match self.call("has", Some(digest), Box::new(io::empty())) {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn put(&self, packed: &PackedArtifact) -> Result<(), StoreError> {
        check_packed(packed)?;
        self.call("put", Some(packed.digest()), Box::new(packed.open()?)).map(drop)
    }

    pub(crate) fn read(&self, digest: &ArtifactDigest) -> Result<Copy, StoreError> {
        let object = format!("{}/{}", self.name, object_name(digest)?);
        self.downloads.open(digest, &object, |file| {
            let mut skip = 0;
            loop {
                let command = format!("skip={skip} count={PART}; get");
                let part = self.call(&command, Some(digest), Box::new(io::empty()))?;
                file.write_all(&part).map_err(FileError::context("write", object.as_ref()))?;
                if (part.len() as u64) < PART << 20 {
                    return Ok(());
                }
                skip += PART;
            }
        })
    }

    pub(crate) fn retain(
        &self,
        keep: &BTreeSet<ArtifactDigest>,
        min_age: Duration,
    ) -> Result<Vec<ArtifactDigest>, StoreError> {
        let command = format!("minutes={}; retain", min_age.as_secs() / 60);
        let lines = keep.iter().map(ArtifactDigest::hex).collect::<Vec<_>>().join("\n");
        let printed = self.call(&command, None, Box::new(io::Cursor::new(lines)))?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let mut removed: Vec<_> =
            printed.lines().map(|hex| ArtifactDigest(format!("sha256:{hex}"))).collect();
        removed.sort_unstable();
        Ok(removed)
    }

    /// Runs a command of the program and returns what it prints.
    fn call(
        &self,
        command: &str,
        digest: Option<&ArtifactDigest>,
        input: Box<dyn Read + Send>,
    ) -> Result<Vec<u8>, StoreError> {
        let name = digest.map(object_name).transpose()?.unwrap_or_default();
        let hex = digest.map(ArtifactDigest::hex).unwrap_or_default();
        let folder = quote(&self.folder);
        let program = format!("folder={folder} hex={hex}\n{PROGRAM}\n{command}\n");
        let call = Call { program: &program, input, timeout: TIMEOUT, is_stopped: &|| false };
        let failed = |reason| StoreError::Failed { store: self.name.clone(), reason };
        let reply = self.connector.run(&self.on, call).map_err(|error| failed(error.to_string()))?;
        match (reply.status, digest) {
            (0, _) => Ok(reply.stdout),
            (71, Some(digest)) => {
                Err(StoreError::Missing { store: self.name.clone(), digest: digest.clone() })
            }
            (72, _) => Err(StoreError::Damaged {
                object: format!("{}/{name}", self.name),
                damage: "its content has another digest".to_owned(),
            }),
            (status, _) => {
                let line = reply.stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
                Err(failed(line.map_or_else(|| format!("exit status {status}"), str::to_owned)))
            }
        }
    }
}
