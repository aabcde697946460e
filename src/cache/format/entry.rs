//! An entry: what the cache stores under a key, and its file format. It does not know where the file
//! is, nor the format of blobs.
//!
//! The file is `MAGIC`, the digest of all that follows, then the fields, then the sections that are
//! small enough to be in the file. Every reader checks the digest.

use std::borrow::Cow;
use std::ops::Range;

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::cache::format::blob::{BlobName, CacheFileError};
use crate::cache::format::compression::{self, Encoding};
use crate::cache::format::wire;
use crate::cache::outputs::output_set::{Output, OutputContent};

const MAGIC: &[u8; 8] = b"tgentry2";
/// The magic bytes of earlier versions. Their entries stay until they are replaced or collected.
const OLD_MAGICS: [&[u8; 8]; 1] = [b"tgentry1"];

/// The stored result of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(crate) key: Digest,
    pub(crate) task: String,
    pub(crate) took: u64,
    pub(crate) passed_at: Timestamp,
    pub(crate) output_digest: Digest,
    pub(crate) outputs: Vec<StoredOutput>,
    /// The concatenated contents of small files.
    pub(crate) packs: Vec<Section>,
    pub(crate) log: Section,
    pub(crate) explanation: Section,
    /// The whole file, in which the ranges of the sections are.
    pub(crate) bytes: Vec<u8>,
}

/// An output and the place of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredOutput {
    pub(crate) output: Output,
    /// For a file, its position in a pack, or `None` if it has its own blob.
    pub(crate) packed: Option<PackPosition>,
}

/// A position in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackPosition {
    /// The index of the pack.
    pub(crate) pack: u32,
    /// The offset in the pack's uncompressed bytes.
    pub(crate) offset: u64,
}

/// Bytes that belong to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// The uncompressed length.
    pub(crate) len: u64,
    pub(crate) location: SectionLocation,
}

/// Where a section is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SectionLocation {
    Inline(Encoding, Range<usize>),
    Blob(Digest),
}

/// A section to be written.
#[derive(Clone, Debug)]
pub(crate) enum NewSection<'a> {
    Inline { raw_len: u64, encoding: Encoding, bytes: Cow<'a, [u8]> },
    Blob(BlobName),
}

impl<'a> NewSection<'a> {
    pub(crate) fn inline(raw: &'a [u8]) -> Self {
        let (encoding, bytes) = compression::compress(raw);
        Self::Inline { raw_len: raw.len() as u64, encoding, bytes }
    }

    /// Returns a copy that does not borrow.
    pub(crate) fn into_owned(self) -> NewSection<'static> {
        match self {
            Self::Inline { raw_len, encoding, bytes } => {
                NewSection::Inline { raw_len, encoding, bytes: Cow::Owned(bytes.into_owned()) }
            }
            Self::Blob(name) => NewSection::Blob(name),
        }
    }
}

/// An entry to be written.
#[derive(Clone, Debug)]
pub(crate) struct EntryDraft<'a> {
    pub(crate) key: Digest,
    pub(crate) task: &'a str,
    pub(crate) took: u64,
    pub(crate) at: Timestamp,
    pub(crate) output_digest: Digest,
    pub(crate) outputs: Vec<StoredOutput>,
    pub(crate) packs: Vec<NewSection<'a>>,
    pub(crate) log: NewSection<'a>,
    pub(crate) explanation: NewSection<'a>,
}

impl Entry {
    /// Returns the digest of the outputs; for a task without outputs, that of an empty set.
    pub fn output_digest(&self) -> Digest {
        self.output_digest
    }

    /// Returns the outputs, sorted by path.
    pub fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().map(|stored| &stored.output)
    }

    /// Returns the key.
    pub fn key(&self) -> Digest {
        self.key
    }

    /// Returns the task's name.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Returns how long the stored run took, in milliseconds.
    pub fn took(&self) -> u64 {
        self.took
    }

    /// Returns when the stored run passed.
    pub fn passed_at(&self) -> Timestamp {
        self.passed_at
    }

    /// Returns the blobs that it needs, possibly with duplicates.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = Digest> {
        let sections = self.packs.iter().chain([&self.log, &self.explanation]);
        own_blobs(&self.outputs).chain(sections.filter_map(|section| match section.location {
            SectionLocation::Blob(digest) => Some(digest),
            SectionLocation::Inline(..) => None,
        }))
    }

    /// Returns the size of the file in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Decodes the bytes of a file.
    pub(crate) fn decode(bytes: Vec<u8>, key: &Digest) -> Result<Self, CacheFileError> {
        let start = MAGIC.len() + Digest::LEN;
        if bytes.len() < start {
            return Err(CacheFileError::CutShort);
        }
        if OLD_MAGICS.iter().any(|former| bytes.starts_with(*former)) {
            return Err(CacheFileError::Missing);
        }
        if bytes[..MAGIC.len()] != *MAGIC {
            return Err(CacheFileError::WrongMagic);
        }
        if bytes[MAGIC.len()..start] != *Digest::hash(&bytes[start..]).bytes() {
            return Err(CacheFileError::WrongChecksum);
        }
        let mut entry = decode_fields(&bytes).ok_or(CacheFileError::WrongChecksum)?;
        if entry.key != *key {
            return Err(CacheFileError::WrongName);
        }
        entry.bytes = bytes;
        Ok(entry)
    }
}

impl EntryDraft<'_> {
    /// Returns the blobs that the entry needs, possibly with duplicates.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = Digest> {
        let sections = self.packs.iter().chain([&self.log, &self.explanation]);
        own_blobs(&self.outputs).chain(sections.filter_map(|section| match section {
            NewSection::Blob(name) => Some(name.digest),
            NewSection::Inline { .. } => None,
        }))
    }

    /// Returns the bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = wire::Encoder::default();
        out.raw(MAGIC);
        out.raw(&[0; Digest::LEN]);
        out.raw(self.key.bytes());
        out.u64(self.took);
        out.u64(self.at.0);
        out.raw(self.output_digest.bytes());
        out.string(self.task.as_bytes());
        out.u64(self.outputs.len() as u64);
        for stored in &self.outputs {
            write_stored(&mut out, stored);
        }
        out.u64(self.packs.len() as u64);
        let sections = || self.packs.iter().chain([&self.log, &self.explanation]);
        for section in sections() {
            write_section(&mut out, section);
        }
        for section in sections() {
            if let NewSection::Inline { bytes, .. } = section {
                out.raw(bytes);
            }
        }
        let start = MAGIC.len() + Digest::LEN;
        let check = Digest::hash(&out.0[start..]);
        out.0[MAGIC.len()..start].copy_from_slice(check.bytes());
        out.0
    }
}

pub(crate) fn write_stored(out: &mut wire::Encoder, stored: &StoredOutput) {
    out.string(stored.output.path.bytes());
    match (&stored.output.content, stored.packed) {
        (OutputContent::Folder { mode, is_empty }, _) => {
            out.byte(0);
            out.byte(u8::from(*is_empty));
            out.u32(*mode);
        }
        (OutputContent::Symlink { target }, _) => {
            out.byte(1);
            out.string(target);
        }
        (OutputContent::File { mode, size, digest }, packed) => {
            out.byte(if packed.is_some() { 2 } else { 3 });
            out.u32(*mode);
            out.u64(*size);
            out.raw(digest.bytes());
            if let Some(packed) = packed {
                out.u32(packed.pack);
                out.u64(packed.offset);
            }
        }
    }
}

/// Returns the blobs of files that are not in a pack.
fn own_blobs(outputs: &[StoredOutput]) -> impl Iterator<Item = Digest> {
    outputs.iter().filter_map(|stored| match stored {
        StoredOutput { output: Output { content: OutputContent::File { digest, .. }, .. }, packed: None } => {
            Some(*digest)
        }
        _ => None,
    })
}

fn write_section(out: &mut wire::Encoder, section: &NewSection<'_>) {
    match section {
        NewSection::Inline { raw_len, encoding, bytes } => {
            out.byte(encoding.to_byte());
            out.u64(*raw_len);
            out.u64(bytes.len() as u64);
        }
        NewSection::Blob(name) => {
            out.byte(IN_BLOB);
            out.u64(name.len);
            out.raw(name.digest.bytes());
        }
    }
}

/// Written in place of an inline section's encoding.
const IN_BLOB: u8 = 2;

fn decode_fields(bytes: &[u8]) -> Option<Entry> {
    let mut from = wire::Decoder(bytes.get(MAGIC.len() + Digest::LEN..)?);
    let key = Digest::from_bytes(from.array()?);
    let took = from.u64()?;
    let at = Timestamp(from.u64()?);
    let output_digest = Digest::from_bytes(from.array()?);
    let task = String::from_utf8(from.string()?.to_vec()).ok()?;
    let mut outputs = Vec::new();
    for _ in 0..from.u64()? {
        outputs.push(read_stored(&mut from)?);
    }
    let mut packs = Vec::new();
    for _ in 0..from.u64()? {
        packs.push(read_section(&mut from)?);
    }
    let mut log = read_section(&mut from)?;
    let mut explanation = read_section(&mut from)?;
    let mut end = bytes.len() - from.0.len();
    for section in packs.iter_mut().chain([&mut log, &mut explanation]) {
        if let SectionLocation::Inline(_, range) = &mut section.location {
            let len = range.len();
            from.take(len)?;
            *range = end..end + len;
            end += len;
        }
    }
    let fits = |stored: &StoredOutput| {
        let Some(packed) = stored.packed else { return true };
        let pack = usize::try_from(packed.pack).ok().and_then(|pack| packs.get(pack));
        let end = packed.offset.checked_add(stored.output.size());
        pack.is_some_and(|pack| end.is_some_and(|end| end <= pack.len))
    };
    let sound = from.is_at_end() && outputs.iter().all(fits);
    sound.then_some(Entry {
        key,
        task,
        took,
        passed_at: at,
        output_digest,
        outputs,
        packs,
        log,
        explanation,
        bytes: Vec::new(),
    })
}

pub(crate) fn read_stored(from: &mut wire::Decoder<'_>) -> Option<StoredOutput> {
    let path = RepoPath::from_git(from.string()?);
    let kind = from.byte()?;
    let mut packed = None;
    let content = match kind {
        0 => {
            let is_empty = match from.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            OutputContent::Folder { mode: from.u32()?, is_empty }
        }
        1 => OutputContent::Symlink { target: from.string()?.into() },
        2 | 3 => {
            let (mode, size) = (from.u32()?, from.u64()?);
            let digest = Digest::from_bytes(from.array()?);
            if kind == 2 {
                packed = Some(PackPosition { pack: from.u32()?, offset: from.u64()? });
            }
            OutputContent::File { mode, size, digest }
        }
        _ => return None,
    };
    Some(StoredOutput { output: Output { path, content }, packed })
}

/// The range of an inline section has only the right length until its position is known.
fn read_section(from: &mut wire::Decoder<'_>) -> Option<Section> {
    let (kind, len) = (from.byte()?, from.u64()?);
    let location = if kind == IN_BLOB {
        SectionLocation::Blob(Digest::from_bytes(from.array()?))
    } else {
        SectionLocation::Inline(Encoding::from_byte(kind)?, 0..usize::try_from(from.u64()?).ok()?)
    };
    Some(Section { len, location })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn output() -> impl Strategy<Value = StoredOutput> {
        let content = prop_oneof![
            (any::<u32>(), any::<bool>())
                .prop_map(|(mode, is_empty)| OutputContent::Folder { mode, is_empty }),
            any::<Vec<u8>>().prop_map(|target| OutputContent::Symlink { target: target.into() }),
            (any::<u32>(), 0u64..100, any::<[u8; 32]>()).prop_map(|(mode, size, digest)| {
                OutputContent::File { mode, size, digest: Digest::from_bytes(digest) }
            }),
        ];
        (any::<Vec<u8>>(), content, any::<bool>()).prop_map(|(path, content, packed)| {
            let is_file = matches!(content, OutputContent::File { .. });
            StoredOutput {
                output: Output { path: RepoPath::from_git(path), content },
                packed: (is_file && packed).then_some(PackPosition { pack: 0, offset: 3 }),
            }
        })
    }

    /// Task, log, explanation, outputs, and whether the log is a blob.
    type Parts = (String, Vec<u8>, Vec<u8>, Vec<StoredOutput>, bool);

    fn parts() -> impl Strategy<Value = Parts> {
        let bytes = || prop_oneof![any::<Vec<u8>>(), Just(vec![b'x'; 3000])];
        (any::<String>(), bytes(), bytes(), proptest::collection::vec(output(), 0..5), any::<bool>())
    }

    fn encoded((task, log, explanation, outputs, spilled): &Parts, pack: &[u8]) -> Vec<u8> {
        let log =
            if *spilled { NewSection::Blob(BlobName::from_content(log)) } else { NewSection::inline(log) };
        EntryDraft {
            key: Digest::hash(b"key"),
            task,
            took: 17,
            at: Timestamp(18),
            output_digest: Digest::hash(b"outputs"),
            outputs: outputs.clone(),
            packs: vec![NewSection::inline(pack), NewSection::Blob(BlobName::from_content(b"pack"))],
            log,
            explanation: NewSection::inline(explanation),
        }
        .encode()
    }

    fn raw(entry: &Entry, section: &Section) -> Option<Vec<u8>> {
        let SectionLocation::Inline(encoding, range) = &section.location else { return None };
        compression::decompress(*encoding, &entry.bytes[range.clone()], usize::try_from(section.len).unwrap())
    }

    proptest! {
        #[test]
        fn entry_round_trips(parts in parts()) {
            let pack = vec![5; 400];
            let entry = Entry::decode(encoded(&parts, &pack), &Digest::hash(b"key")).unwrap();
            prop_assert_eq!((entry.task(), entry.took(), entry.passed_at()), (&*parts.0, 17, Timestamp(18)));
            prop_assert_eq!(entry.output_digest(), Digest::hash(b"outputs"));
            prop_assert_eq!(&entry.outputs, &parts.3);
            prop_assert_eq!(raw(&entry, &entry.packs[0]), Some(pack));
            prop_assert_eq!(raw(&entry, &entry.explanation), Some(parts.2));
            prop_assert_eq!(raw(&entry, &entry.log), (!parts.4).then_some(parts.1));
            prop_assert!(entry.blobs().any(|blob| blob == Digest::hash(b"pack")));
        }

        #[test]
        fn flipped_byte_or_truncation_is_detected(parts in parts(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let good = encoded(&parts, b"pack");
            let at = at.index(good.len());
            let mut bad = good.clone();
            bad[at] ^= 1u8 << bit;
            prop_assert!(Entry::decode(bad, &Digest::hash(b"key")).is_err());
            prop_assert!(Entry::decode(good[..at].to_vec(), &Digest::hash(b"key")).is_err());
            prop_assert!(Entry::decode([&good[..], b"x"].concat(), &Digest::hash(b"key")).is_err());
            prop_assert!(Entry::decode(good, &Digest::hash(b"other")).is_err());
        }
    }

    #[test]
    fn offset_beyond_the_pack_is_refused() {
        let file = OutputContent::File { mode: 0o644, size: 3, digest: Digest::hash(b"abc") };
        let output = Output { path: RepoPath::from_git(&b"a"[..]), content: file };
        for (pack, offset, sound) in [(0, 2, true), (0, 3, false), (0, u64::MAX, false), (2, 0, false)] {
            let stored = StoredOutput { output: output.clone(), packed: Some(PackPosition { pack, offset }) };
            let parts = (String::new(), Vec::new(), Vec::new(), vec![stored], false);
            let entry = Entry::decode(encoded(&parts, b"12345"), &Digest::hash(b"key"));
            assert_eq!(entry.is_ok(), sound, "{pack} {offset}");
        }
    }
}
