//! The search for secrets in content that is read in pieces. It does not know the secrets, only a
//! function that does.

/// Finds the values of secrets, which must not be stored.
#[derive(Clone, Copy)]
pub struct SecretMatcher<'a> {
    /// Returns whether bytes contain the value of a secret.
    pub contains: &'a (dyn Fn(&[u8]) -> bool + Sync),
    /// The length of the longest value in bytes.
    pub longest: usize,
}

impl std::fmt::Debug for SecretMatcher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretMatcher").field("longest", &self.longest).finish_non_exhaustive()
    }
}

/// A search through one content that comes in pieces.
#[derive(Debug)]
pub(super) struct SecretSearch<'a> {
    forbidden: Option<&'a SecretMatcher<'a>>,
    /// The end of the previous pieces, because a value may span several pieces.
    tail: Vec<u8>,
}

impl<'a> SecretSearch<'a> {
    pub(super) fn new(forbidden: Option<&'a SecretMatcher<'a>>) -> Self {
        Self { forbidden, tail: Vec::new() }
    }

    /// Returns whether a value ends in this piece.
    pub(super) fn finds_in(&mut self, piece: &[u8]) -> bool {
        let Some(forbidden) = self.forbidden else { return false };
        let overlap = forbidden.longest.saturating_sub(1);
        if self.tail.is_empty() {
            self.tail.extend_from_slice(&piece[piece.len().saturating_sub(overlap)..]);
            return (forbidden.contains)(piece);
        }
        self.tail.extend_from_slice(piece);
        let found = (forbidden.contains)(&self.tail);
        let kept = self.tail.len().saturating_sub(overlap);
        self.tail.drain(..kept);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_found_wherever_the_chunks_are_split() {
        let contains = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"secret");
        let forbidden = SecretMatcher { contains: &contains, longest: 6 };
        let text = b"here is a secret value";
        for size in 1..=text.len() {
            let mut search = SecretSearch::new(Some(&forbidden));
            assert!(text.chunks(size).any(|piece| search.finds_in(piece)), "pieces of {size}");
            let mut search = SecretSearch::new(Some(&forbidden));
            assert!(!b"here is a secre, t value".chunks(size).any(|piece| search.finds_in(piece)));
        }
        assert!(!SecretSearch::new(None).finds_in(b"secret"));
    }
}
