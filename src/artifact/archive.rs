//! Gzipped archives and their digests: the sha256 of the uncompressed bytes. It must not know what is in an
//! archive, nor where it is kept.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::base::file::FileError;
use crate::deploy::release::ArtifactDigest;

/// A packed artifact in a temporary file, which is removed when this is dropped.
#[derive(Debug)]
pub struct PackedArtifact {
    digest: ArtifactDigest,
    size: u64,
    file: NamedTempFile,
}

impl PackedArtifact {
    /// Returns the digest of the uncompressed archive.
    pub fn digest(&self) -> &ArtifactDigest {
        &self.digest
    }

    /// Returns the length of the uncompressed archive in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Opens the gzipped archive.
    ///
    /// # Errors
    /// The temporary file was removed.
    pub fn open(&self) -> Result<File, FileError> {
        self.file.reopen().map_err(FileError::context("read", self.file.path()))
    }

    /// Returns the path of the gzipped archive.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// Compresses an archive into a temporary file and computes its digest.
pub(crate) struct ArchiveWriter {
    gzip: GzEncoder<NamedTempFile>,
    hasher: Sha256,
    size: u64,
}

impl ArchiveWriter {
    pub(crate) fn new(file: NamedTempFile) -> Self {
        Self { gzip: GzEncoder::new(file, Compression::default()), hasher: Sha256::new(), size: 0 }
    }

    pub(crate) fn finish(self) -> io::Result<PackedArtifact> {
        let mut file = self.gzip.finish()?;
        file.flush()?;
        Ok(PackedArtifact { digest: digest(self.hasher), size: self.size, file })
    }
}

impl Write for ArchiveWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.gzip.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.gzip.flush()
    }
}

fn digest(hasher: Sha256) -> ArtifactDigest {
    let mut text = "sha256:".to_owned();
    for byte in hasher.finalize() {
        text.push_str(&format!("{byte:02x}"));
    }
    ArtifactDigest(text)
}

/// Returns the digest of all bytes of a stream.
pub(crate) fn sha256(mut stream: impl Read) -> io::Result<ArtifactDigest> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(digest(hasher)),
            Ok(length) => hasher.update(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns the digest of the archive that a gzipped stream contains. The stream must contain nothing else.
///
/// # Errors
/// The stream can't be read, is cut off or is not gzipped.
pub(crate) fn digest_of_gzipped(stream: impl Read) -> io::Result<ArtifactDigest> {
    let mut gzip = GzDecoder::new(BufReader::with_capacity(1 << 16, stream));
    let digest = sha256(&mut gzip)?;
    if !gzip.into_inner().fill_buf()?.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive is followed by other bytes"));
    }
    Ok(digest)
}

/// Returns what is wrong with a gzipped archive that should have this digest, or `None`.
///
/// # Errors
/// The stream can't be read. Invalid content is no error.
pub(crate) fn find_damage(stream: impl Read, expected: &ArtifactDigest) -> io::Result<Option<String>> {
    match digest_of_gzipped(stream) {
        Ok(digest) if digest == *expected => Ok(None),
        Ok(digest) => Ok(Some(format!("its content has the digest {digest}"))),
        Err(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(Some("it is cut off".to_owned())),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Ok(Some(error.to_string())),
            _ => Err(error),
        },
    }
}
