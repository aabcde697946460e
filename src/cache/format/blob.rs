//! A blob: one content in a file named by its digest. It does not know which entries refer to it.
//!
//! The file is `MAGIC`, the digest of all that follows, then the encoding, the digest and the length
//! of the content, and the content. So a flipped byte is found without decompression, and so is a
//! file with a wrong name.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::stat::Stat;
use crate::cache::format::compression::{self, Encoding, LEVEL};
use crate::cache::secret_search::SecretSearch;

const MAGIC: &[u8; 8] = b"tgblob1\n";
const HEADER: usize = 1 + Digest::LEN + 8;
const CHUNK: usize = 256 << 10;

/// The digest and the length of a content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlobName {
    pub(crate) digest: Digest,
    pub(crate) len: u64,
}

impl BlobName {
    pub(crate) fn from_content(bytes: &[u8]) -> Self {
        Self { digest: Digest::hash(bytes), len: bytes.len() as u64 }
    }
}

/// A blob that is written and flushed but not yet named.
#[derive(Debug)]
pub(crate) struct StagedBlob {
    pub(crate) temp: TempPath,
    /// The bytes on disk.
    pub(crate) size: u64,
}

/// Why a content was not staged.
#[derive(Debug)]
pub(crate) enum StageError {
    /// The blob can't be written.
    File(FileError),
    /// The content can't be read.
    Read(io::Error),
    /// The content does not have the expected digest or length.
    Changed,
    /// The content contains a secret.
    Secret,
}

/// Writes the content of `source`, which should have the digest and length of `name`, to a temporary
/// file in `temp`.
pub(crate) fn stage(
    source: &mut dyn Read,
    name: BlobName,
    temp: &Path,
    search: &mut SecretSearch<'_>,
) -> Result<StagedBlob, StageError> {
    let mut first = vec![0; CHUNK];
    let filled = read_full(source, &mut first).map_err(StageError::Read)?;
    first.truncate(filled);
    let encoding = if compression::is_compressible(&first) { Encoding::Zstd } else { Encoding::Raw };
    let mut file =
        NamedTempFile::new_in(temp).map_err(FileError::context("make a temporary file in", temp))?;
    let mut content = ContentCopy { source, first, name, search, failed: None };
    let size = fill_file(file.as_file_mut(), encoding, &mut content);
    if let Some(failed) = content.failed {
        return Err(failed);
    }
    let size = size.map_err(FileError::context("write to", temp))?;
    file.as_file().sync_data().map_err(FileError::context("write to", temp))?;
    Ok(StagedBlob { temp: file.into_temp_path(), size })
}

/// Writes the header and the content, and returns the number of bytes.
fn fill_file(file: &mut File, encoding: Encoding, content: &mut ContentCopy<'_, '_>) -> io::Result<u64> {
    file.write_all(MAGIC)?;
    file.write_all(&[0; Digest::LEN])?;
    let mut sink = HashingStream { inner: &mut *file, hasher: blake3::Hasher::new(), bytes: 0 };
    sink.write_all(&[encoding.to_byte()])?;
    sink.write_all(content.name.digest.bytes())?;
    sink.write_all(&content.name.len.to_le_bytes())?;
    match encoding {
        Encoding::Raw => content.run(&mut sink)?,
        Encoding::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(&mut sink, LEVEL)?;
            content.run(&mut encoder)?;
            encoder.finish()?;
        }
    }
    let (check, bytes) = (sink.hasher.finalize(), sink.bytes);
    file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
    file.write_all(check.as_bytes())?;
    Ok(bytes + (MAGIC.len() + Digest::LEN) as u64)
}

/// Copies a content from its source into a blob, and checks it for secrets and for its digest.
struct ContentCopy<'a, 's> {
    source: &'a mut dyn Read,
    first: Vec<u8>,
    name: BlobName,
    search: &'a mut SecretSearch<'s>,
    failed: Option<StageError>,
}

impl ContentCopy<'_, '_> {
    fn run(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut hasher = blake3::Hasher::new();
        let mut chunk = std::mem::take(&mut self.first);
        let mut len = 0;
        while !chunk.is_empty() {
            len += chunk.len() as u64;
            if len > self.name.len {
                break;
            }
            if self.search.finds_in(&chunk) {
                self.failed = Some(StageError::Secret);
                return Ok(());
            }
            hasher.update(&chunk);
            out.write_all(&chunk)?;
            chunk.resize(CHUNK, 0);
            match read_full(self.source, &mut chunk) {
                Ok(filled) => chunk.truncate(filled),
                Err(error) => {
                    self.failed = Some(StageError::Read(error));
                    return Ok(());
                }
            }
        }
        if len != self.name.len || hasher.finalize() != *self.name.digest.bytes() {
            self.failed = Some(StageError::Changed);
        }
        Ok(())
    }
}

/// Reads until the buffer is full or the source ends.
fn read_full(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Hashes and counts the bytes that pass through it.
struct HashingStream<T> {
    inner: T,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<T: Write> Write for HashingStream<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for HashingStream<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// What is wrong with a file of the cache. Each message follows the file's name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheFileError {
    #[error("missing")]
    Missing,
    #[error("can't be read: {0}")]
    Unreadable(io::Error),
    #[error("cut short")]
    CutShort,
    #[error("its header is unknown")]
    WrongMagic,
    #[error("its checksum is wrong")]
    WrongChecksum,
    #[error("content does not match its name")]
    WrongName,
}

impl CacheFileError {
    /// Returns whether this user may not read the file.
    pub(crate) fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

impl From<io::Error> for CacheFileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::UnexpectedEof => Self::CutShort,
            _ => Self::Unreadable(error),
        }
    }
}

/// How thoroughly a blob is verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum VerifyDepth {
    /// The bytes on disk are those that were written.
    StoredBytes,
    /// The decompressed content also has the digest of the blob's name.
    Content,
}

/// Verifies a blob and returns the stat that it had before.
pub(crate) fn verify(path: &Path, digest: &Digest, depth: VerifyDepth) -> Result<Stat, CacheFileError> {
    let mut open = BlobReader::open(path, digest)?;
    match depth {
        VerifyDepth::StoredBytes => open.drain()?,
        VerifyDepth::Content => open.unpack(&mut io::sink()).map_err(UnpackError::into_file_error)?,
    }
    Ok(open.stat)
}

/// Returns the verified content of a blob.
pub(crate) fn read(path: &Path, digest: &Digest) -> Result<Vec<u8>, CacheFileError> {
    let mut open = BlobReader::open(path, digest)?;
    // Only this much of the length is trusted before the bytes are verified.
    let mut content = Vec::with_capacity(usize::try_from(open.len).unwrap_or(0).min(16 << 20));
    open.unpack(&mut content).map_err(UnpackError::into_file_error)?;
    Ok(content)
}

/// Writes the content of a blob to `out`. It is verified only once this returns `Ok`.
pub(crate) fn unpack(path: &Path, digest: &Digest, out: &mut dyn Write) -> Result<(), UnpackError> {
    BlobReader::open(path, digest)?.unpack(out)
}

/// Why the content of a blob could not be unpacked.
#[derive(Debug)]
pub(crate) enum UnpackError {
    /// The blob is damaged.
    Blob(CacheFileError),
    /// The content could not be written.
    Out(io::Error),
}

impl UnpackError {
    fn into_file_error(self) -> CacheFileError {
        match self {
            Self::Blob(error) => error,
            Self::Out(error) => CacheFileError::Unreadable(error),
        }
    }
}

impl From<CacheFileError> for UnpackError {
    fn from(error: CacheFileError) -> Self {
        Self::Blob(error)
    }
}

impl From<FileError> for StageError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// An open blob whose header was read.
struct BlobReader {
    rest: BufReader<HashingStream<File>>,
    check: Digest,
    name: Digest,
    encoding: Encoding,
    len: u64,
    stat: Stat,
}

impl BlobReader {
    fn open(path: &Path, digest: &Digest) -> Result<Self, CacheFileError> {
        let mut file = File::open(path)?;
        let stat = Stat::new(&file.metadata()?);
        let (mut magic, mut check, mut header) = ([0; MAGIC.len()], [0; Digest::LEN], [0; HEADER]);
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(CacheFileError::WrongMagic);
        }
        file.read_exact(&mut check)?;
        let mut rest = HashingStream { inner: file, hasher: blake3::Hasher::new(), bytes: 0 };
        rest.read_exact(&mut header)?;
        let [encoding, header @ ..] = header;
        let (name, len) = header.split_at(Digest::LEN);
        if name != digest.bytes() {
            return Err(CacheFileError::WrongName);
        }
        Ok(Self {
            rest: BufReader::with_capacity(CHUNK, rest),
            check: Digest::from_bytes(check),
            name: *digest,
            encoding: Encoding::from_byte(encoding).ok_or(CacheFileError::WrongChecksum)?,
            len: u64::from_le_bytes(len.try_into().map_err(|_| CacheFileError::CutShort)?),
            stat,
        })
    }

    /// Reads the rest and compares the digest of everything read.
    fn drain(&mut self) -> Result<(), CacheFileError> {
        io::copy(&mut self.rest, &mut io::sink())?;
        let check = self.rest.get_ref().hasher.finalize();
        if check == *self.check.bytes() { Ok(()) } else { Err(CacheFileError::WrongChecksum) }
    }

    fn unpack(&mut self, out: &mut dyn Write) -> Result<(), UnpackError> {
        let mut hasher = blake3::Hasher::new();
        let decoded = match self.encoding {
            Encoding::Raw => copy(&mut self.rest, self.len, &mut hasher, out),
            Encoding::Zstd => match zstd::stream::read::Decoder::with_buffer(&mut self.rest) {
                Ok(decoder) => copy(&mut decoder.single_frame(), self.len, &mut hasher, out),
                Err(error) => Err(UnpackError::Blob(CacheFileError::Unreadable(error))),
            },
        };
        if let Err(UnpackError::Out(error)) = decoded {
            return Err(UnpackError::Out(error));
        }
        // The checksum says more than an error of the decoder.
        self.drain()?;
        decoded?;
        if hasher.finalize() == *self.name.bytes() { Ok(()) } else { Err(CacheFileError::WrongName.into()) }
    }
}

/// Copies at most `len` bytes, so that a damaged blob can't fill a disk.
fn copy(
    from: &mut dyn Read,
    len: u64,
    hasher: &mut blake3::Hasher,
    out: &mut dyn Write,
) -> Result<(), UnpackError> {
    let mut chunk = vec![0; CHUNK.min(usize::try_from(len).unwrap_or(CHUNK)).max(1)];
    let mut left = len;
    loop {
        let filled = read_full(from, &mut chunk).map_err(CacheFileError::from)?;
        if filled == 0 {
            return if left == 0 { Ok(()) } else { Err(CacheFileError::CutShort.into()) };
        }
        left = left.checked_sub(filled as u64).ok_or(CacheFileError::WrongName)?;
        hasher.update(&chunk[..filled]);
        out.write_all(&chunk[..filled]).map_err(UnpackError::Out)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(content: &[u8], dir: &Path) -> (std::path::PathBuf, Digest) {
        let name = BlobName::from_content(content);
        let staged = stage(&mut &*content, name, dir, &mut SecretSearch::new(None)).unwrap();
        let path = dir.join(name.digest.hex());
        staged.temp.persist(&path).unwrap();
        assert_eq!(path.metadata().unwrap().len(), staged.size);
        (path, name.digest)
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn content_round_trips_compressed_or_not() {
        let dir = tempfile::tempdir().unwrap();
        for content in [vec![], b"x".to_vec(), vec![7; 3 * CHUNK + 5], noise(2 * CHUNK + 1), noise(CHUNK)] {
            let (path, digest) = stored(&content, dir.path());
            assert_eq!(read(&path, &digest).unwrap(), content);
            verify(&path, &digest, VerifyDepth::StoredBytes).unwrap();
            verify(&path, &digest, VerifyDepth::Content).unwrap();
        }
    }

    #[test]
    fn each_flipped_or_missing_byte_is_detected() {
        let dir = tempfile::tempdir().unwrap();
        for content in [noise(300), vec![7; 1000], vec![]] {
            let (path, digest) = stored(&content, dir.path());
            let good = std::fs::read(&path).unwrap();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x10;
                std::fs::write(&path, &bad).unwrap();
                assert!(verify(&path, &digest, VerifyDepth::StoredBytes).is_err(), "byte {at}");
                assert!(read(&path, &digest).is_err(), "byte {at}");
                std::fs::write(&path, &good[..at]).unwrap();
                assert!(verify(&path, &digest, VerifyDepth::StoredBytes).is_err(), "cut at {at}");
                assert!(read(&path, &digest).is_err(), "cut at {at}");
            }
            std::fs::write(&path, [&good[..], b"x"].concat()).unwrap();
            assert!(verify(&path, &digest, VerifyDepth::StoredBytes).is_err());
        }
    }

    #[test]
    fn content_that_does_not_match_its_digest_is_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let name = BlobName::from_content(b"content");
        for other in [&b"contenT"[..], b"conten", b"content+", b""] {
            let staged = stage(&mut &*other, name, dir.path(), &mut SecretSearch::new(None));
            assert!(matches!(staged, Err(StageError::Changed)), "{other:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "temporary files are removed");
    }
}
