//! Random bytes from the operating system. This module must not know what they are for.

use std::io;

/// Returns random bytes that can't be guessed.
///
/// # Errors
/// The operating system can't provide any.
pub fn bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn random_names_are_unique() {
        assert_ne!(super::bytes().unwrap(), super::bytes().unwrap());
    }
}
