//! Bytes as they lie in the cache: compressed if that pays. It must not know where they lie.

use std::borrow::Cow;

/// The zstd level: speed matters more than the last percent.
pub(crate) const LEVEL: i32 = 1;

/// What is smaller than this is never worth compressing.
const SMALL: usize = 256;

/// How bytes are written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Encoding {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
        }
    }

    pub(crate) fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Compresses `raw` if that saves a tenth of it.
pub(crate) fn pack(raw: &[u8]) -> (Encoding, Cow<'_, [u8]>) {
    if raw.len() >= SMALL
        && let Ok(packed) = zstd::bulk::compress(raw, LEVEL)
        && packed.len() < raw.len() / 10 * 9
    {
        return (Encoding::Zstd, Cow::Owned(packed));
    }
    (Encoding::Raw, Cow::Borrowed(raw))
}

/// The `len` bytes that [`pack`] was given; `None` if these are not they.
pub(crate) fn unpack(encoding: Encoding, bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    let raw = match encoding {
        Encoding::Raw => bytes.to_vec(),
        Encoding::Zstd => zstd::bulk::decompress(bytes, len).ok()?,
    };
    (raw.len() == len).then_some(raw)
}

/// Whether compressing bytes that begin like this pays.
pub(crate) fn pays(sample: &[u8]) -> bool {
    pack(sample).0 == Encoding::Zstd
}
