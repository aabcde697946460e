//! The compression of bytes in the cache. It does not know where they are stored.

use std::borrow::Cow;
use std::cell::RefCell;

use zstd::bulk::Compressor;

/// The zstd level: speed matters more than the last percent.
pub(crate) const LEVEL: i32 = 1;

/// Fewer bytes are never compressed.
const SMALL: usize = 256;

/// How bytes are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// Uncompressed.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Encoding {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Compresses `raw` if that saves a tenth of it.
pub(crate) fn compress(raw: &[u8]) -> (Encoding, Cow<'_, [u8]>) {
    if raw.len() >= SMALL
        && let Some(packed) = packed(raw)
        && packed.len() < raw.len() / 10 * 9
    {
        return (Encoding::Zstd, Cow::Owned(packed));
    }
    (Encoding::Raw, Cow::Borrowed(raw))
}

/// Returns the bytes as a zstd frame; `None` if there is no memory for it.
fn packed(raw: &[u8]) -> Option<Vec<u8>> {
    thread_local! {
        // To make one takes longer than to compress a short log.
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(LEVEL).ok());
    }
    COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(raw).ok())
}

/// Returns the `len` bytes that [`compress`] was given; `None` if the bytes are damaged.
pub(crate) fn decompress(encoding: Encoding, bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    let raw = match encoding {
        Encoding::Raw => bytes.to_vec(),
        Encoding::Zstd => zstd::bulk::decompress(bytes, len).ok()?,
    };
    (raw.len() == len).then_some(raw)
}

/// Returns whether it pays to compress bytes that begin like this.
pub(crate) fn is_compressible(sample: &[u8]) -> bool {
    compress(sample).0 == Encoding::Zstd
}
