//! BLAKE3 digests, and a writer that digests fields with their lengths. This module must not know
//! what is digested, nor why.

use std::fmt;

/// A BLAKE3 digest of 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; Self::LEN]);

impl Digest {
    /// The length of a digest in bytes.
    pub const LEN: usize = 32;

    /// Returns the plain BLAKE3 digest of `bytes`.
    pub fn hash(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Returns the digest with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Returns the digest as 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Returns the first 12 hexadecimal digits, which are enough for people to distinguish two
    /// digests.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Parses 64 hexadecimal digits. Returns `None` if `hex` is something else.
    pub fn parse(hex: &str) -> Option<Self> {
        blake3::Hash::from_hex(hex).ok().map(|hash| Self(*hash.as_bytes()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// Digests a list of fields. Each field is written after its length, so two different lists never have the
/// same bytes.
#[derive(Clone)]
pub struct FieldHasher(blake3::Hasher);

impl FieldHasher {
    /// Starts a digest for one purpose. The same fields have a different digest for each purpose.
    pub fn new(purpose: &str) -> Self {
        let mut fields = Self(blake3::Hasher::new());
        fields.add(purpose.as_bytes());
        fields
    }

    /// Adds a field.
    pub fn add(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number as a field of eight bytes.
    pub fn number(&mut self, value: u64) -> &mut Self {
        self.add(&value.to_le_bytes())
    }

    /// Returns the digest of all fields so far.
    pub fn digest(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[&str]) -> Digest {
        let mut fields = FieldHasher::new("test");
        for field in list {
            fields.add(field.as_bytes());
        }
        fields.digest()
    }

    #[test]
    fn field_boundaries_change_the_digest() {
        let cases = [vec!["ab", "c"], vec!["a", "bc"], vec!["abc"], vec!["abc", ""], vec!["c", "ab"]];
        for (i, one) in cases.iter().enumerate() {
            for other in &cases[i + 1..] {
                assert_ne!(fields(one), fields(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn hex_round_trips() {
        let digest = Digest::hash(b"x");
        assert_eq!(Digest::parse(&digest.hex()), Some(digest));
        assert_eq!(Digest::parse("12"), None);
        assert!(digest.hex().starts_with(&digest.short()));
    }
}
