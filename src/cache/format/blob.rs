//! A blob: one content in a file named by its digest. It must not know who refers to it.
//!
//! The file is `MAGIC`, the digest of all that follows, then encoding, content digest, content
//! length and the content. So a flipped byte anywhere is found without decompressing, and a file
//! under a wrong name as well.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::stat::Stat;
use crate::cache::format::compression::{self, Encoding, LEVEL};
use crate::cache::secret::Search;

const MAGIC: &[u8; 8] = b"tgblob1\n";
const HEADER: usize = 1 + Digest::LEN + 8;
const CHUNK: usize = 256 << 10;

/// A content's name and length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    pub(crate) digest: Digest,
    pub(crate) len: u64,
}

impl Name {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), len: bytes.len() as u64 }
    }
}

/// A blob that is written and flushed but has no name yet.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) temp: TempPath,
    /// Bytes on disk.
    pub(crate) size: u64,
}

/// Why a content was not staged.
#[derive(Debug)]
pub(crate) enum StageError {
    /// It could not be written.
    File(FileError),
    /// It could not be read.
    Read(io::Error),
    /// It is not what its name says.
    Changed,
    /// It holds what must not be stored.
    Secret,
}

/// Writes the content of `source`, which should be `name`'s, to a temporary file in `temp`.
pub(crate) fn stage(
    source: &mut dyn Read,
    name: Name,
    temp: &Path,
    search: &mut Search<'_>,
) -> Result<Staged, StageError> {
    let mut first = vec![0; CHUNK];
    let filled = fill(source, &mut first).map_err(StageError::Read)?;
    first.truncate(filled);
    let encoding = if compression::pays(&first) { Encoding::Zstd } else { Encoding::Raw };
    let mut file = NamedTempFile::new_in(temp).map_err(FileError::of("make a temporary file in", temp))?;
    let mut pump = Pump { source, first, name, search, failed: None };
    let size = fill_file(file.as_file_mut(), encoding, &mut pump);
    if let Some(failed) = pump.failed {
        return Err(failed);
    }
    let size = size.map_err(FileError::of("write to", temp))?;
    file.as_file().sync_data().map_err(FileError::of("write to", temp))?;
    Ok(Staged { temp: file.into_temp_path(), size })
}

/// Writes header and content and says how many bytes they are.
fn fill_file(file: &mut File, encoding: Encoding, pump: &mut Pump<'_, '_>) -> io::Result<u64> {
    file.write_all(MAGIC)?;
    file.write_all(&[0; Digest::LEN])?;
    let mut sink = Checked { inner: &mut *file, hasher: blake3::Hasher::new(), bytes: 0 };
    sink.write_all(&[encoding.byte()])?;
    sink.write_all(pump.name.digest.bytes())?;
    sink.write_all(&pump.name.len.to_le_bytes())?;
    match encoding {
        Encoding::Raw => pump.run(&mut sink)?,
        Encoding::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(&mut sink, LEVEL)?;
            pump.run(&mut encoder)?;
            encoder.finish()?;
        }
    }
    let (check, bytes) = (sink.hasher.finalize(), sink.bytes);
    file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
    file.write_all(check.as_bytes())?;
    Ok(bytes + (MAGIC.len() + Digest::LEN) as u64)
}

/// The way of a content from its source into a blob, watched.
struct Pump<'a, 's> {
    source: &'a mut dyn Read,
    first: Vec<u8>,
    name: Name,
    search: &'a mut Search<'s>,
    failed: Option<StageError>,
}

impl Pump<'_, '_> {
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
            match fill(self.source, &mut chunk) {
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
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
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

/// Hashes and counts what passes.
struct Checked<T> {
    inner: T,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<T: Write> Write for Checked<T> {
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

impl<T: Read> Read for Checked<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// What is wrong with a file of the cache. Each text follows the file's name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("missing")]
    Missing,
    #[error("can't be read: {0}")]
    Unreadable(io::Error),
    #[error("cut short")]
    CutShort,
    #[error("does not begin as it should")]
    Magic,
    #[error("its bytes are not those that were written")]
    Check,
    #[error("content does not match its name")]
    Name,
}

impl Flaw {
    /// Whether the file is there, and not for this user.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::UnexpectedEof => Self::CutShort,
            _ => Self::Unreadable(error),
        }
    }
}

/// How far a blob is read to be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Depth {
    /// The bytes on disk are those that were written.
    Stored,
    /// And the content that they stand for has the digest of the name.
    Content,
}

/// Reads a blob through and gives the stat that it had before.
pub(crate) fn verify(path: &Path, digest: &Digest, depth: Depth) -> Result<Stat, Flaw> {
    let mut open = Open::of(path, digest)?;
    match depth {
        Depth::Stored => open.drain()?,
        Depth::Content => open.unpack(&mut io::sink()).map_err(UnpackError::flaw)?,
    }
    Ok(open.stat)
}

/// The content of a blob, verified.
pub(crate) fn read(path: &Path, digest: &Digest) -> Result<Vec<u8>, Flaw> {
    let mut open = Open::of(path, digest)?;
    // The length is believed up to here only: the bytes are verified behind the reading.
    let mut content = Vec::with_capacity(usize::try_from(open.len).unwrap_or(0).min(16 << 20));
    open.unpack(&mut content).map_err(UnpackError::flaw)?;
    Ok(content)
}

/// Writes the content of a blob to `out`; it is verified only when this returned.
pub(crate) fn unpack(path: &Path, digest: &Digest, out: &mut dyn Write) -> Result<(), UnpackError> {
    Open::of(path, digest)?.unpack(out)
}

/// Why a blob's content did not arrive.
#[derive(Debug)]
pub(crate) enum UnpackError {
    /// The blob is at fault.
    Blob(Flaw),
    /// The place where it was written.
    Out(io::Error),
}

impl UnpackError {
    fn flaw(self) -> Flaw {
        match self {
            Self::Blob(flaw) => flaw,
            Self::Out(error) => Flaw::Unreadable(error),
        }
    }
}

impl From<Flaw> for UnpackError {
    fn from(flaw: Flaw) -> Self {
        Self::Blob(flaw)
    }
}

impl From<FileError> for StageError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// A blob whose header was read.
struct Open {
    rest: BufReader<Checked<File>>,
    check: Digest,
    name: Digest,
    encoding: Encoding,
    len: u64,
    stat: Stat,
}

impl Open {
    fn of(path: &Path, digest: &Digest) -> Result<Self, Flaw> {
        let mut file = File::open(path)?;
        let stat = Stat::of(&file.metadata()?);
        let (mut magic, mut check, mut header) = ([0; MAGIC.len()], [0; Digest::LEN], [0; HEADER]);
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(Flaw::Magic);
        }
        file.read_exact(&mut check)?;
        let mut rest = Checked { inner: file, hasher: blake3::Hasher::new(), bytes: 0 };
        rest.read_exact(&mut header)?;
        let [encoding, header @ ..] = header;
        let (name, len) = header.split_at(Digest::LEN);
        if name != digest.bytes() {
            return Err(Flaw::Name);
        }
        Ok(Self {
            rest: BufReader::with_capacity(CHUNK, rest),
            check: Digest::from_bytes(check),
            name: *digest,
            encoding: Encoding::of(encoding).ok_or(Flaw::Check)?,
            len: u64::from_le_bytes(len.try_into().map_err(|_| Flaw::CutShort)?),
            stat,
        })
    }

    /// Reads what is left and compares the digest of all that was read.
    fn drain(&mut self) -> Result<(), Flaw> {
        io::copy(&mut self.rest, &mut io::sink())?;
        let check = self.rest.get_ref().hasher.finalize();
        if check == *self.check.bytes() { Ok(()) } else { Err(Flaw::Check) }
    }

    fn unpack(&mut self, out: &mut dyn Write) -> Result<(), UnpackError> {
        let mut hasher = blake3::Hasher::new();
        let decoded = match self.encoding {
            Encoding::Raw => copy(&mut self.rest, self.len, &mut hasher, out),
            Encoding::Zstd => match zstd::stream::read::Decoder::with_buffer(&mut self.rest) {
                Ok(decoder) => copy(&mut decoder.single_frame(), self.len, &mut hasher, out),
                Err(error) => Err(UnpackError::Blob(Flaw::Unreadable(error))),
            },
        };
        if let Err(UnpackError::Out(error)) = decoded {
            return Err(UnpackError::Out(error));
        }
        // A decoder's complaint says less than the check of the bytes on disk.
        self.drain()?;
        decoded?;
        if hasher.finalize() == *self.name.bytes() { Ok(()) } else { Err(Flaw::Name.into()) }
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
        let filled = fill(from, &mut chunk).map_err(Flaw::from)?;
        if filled == 0 {
            return if left == 0 { Ok(()) } else { Err(Flaw::CutShort.into()) };
        }
        left = left.checked_sub(filled as u64).ok_or(Flaw::Name)?;
        hasher.update(&chunk[..filled]);
        out.write_all(&chunk[..filled]).map_err(UnpackError::Out)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(content: &[u8], dir: &Path) -> (std::path::PathBuf, Digest) {
        let name = Name::of(content);
        let staged = stage(&mut &*content, name, dir, &mut Search::new(None)).unwrap();
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
    fn content_survives_packed_or_not() {
        let dir = tempfile::tempdir().unwrap();
        for content in [vec![], b"x".to_vec(), vec![7; 3 * CHUNK + 5], noise(2 * CHUNK + 1), noise(CHUNK)] {
            let (path, digest) = stored(&content, dir.path());
            assert_eq!(read(&path, &digest).unwrap(), content);
            verify(&path, &digest, Depth::Stored).unwrap();
            verify(&path, &digest, Depth::Content).unwrap();
        }
    }

    #[test]
    fn each_flipped_or_missing_byte_is_found() {
        let dir = tempfile::tempdir().unwrap();
        for content in [noise(300), vec![7; 1000], vec![]] {
            let (path, digest) = stored(&content, dir.path());
            let good = std::fs::read(&path).unwrap();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x10;
                std::fs::write(&path, &bad).unwrap();
                assert!(verify(&path, &digest, Depth::Stored).is_err(), "byte {at}");
                assert!(read(&path, &digest).is_err(), "byte {at}");
                std::fs::write(&path, &good[..at]).unwrap();
                assert!(verify(&path, &digest, Depth::Stored).is_err(), "cut at {at}");
                assert!(read(&path, &digest).is_err(), "cut at {at}");
            }
            std::fs::write(&path, [&good[..], b"x"].concat()).unwrap();
            assert!(verify(&path, &digest, Depth::Stored).is_err());
        }
    }

    #[test]
    fn a_content_that_is_not_its_name_is_not_staged() {
        let dir = tempfile::tempdir().unwrap();
        let name = Name::of(b"content");
        for other in [&b"contenT"[..], b"conten", b"content+", b""] {
            let staged = stage(&mut &*other, name, dir.path(), &mut Search::new(None));
            assert!(matches!(staged, Err(StageError::Changed)), "{other:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "temporary files are removed");
    }
}
