//! The colours of a house style, made of a list that designers edit.

pub mod colors;

#[cfg(test)]
mod tests {
    use super::colors;

    #[test]
    fn paper_is_lighter_than_ink() {
        assert!(colors::PAPER > colors::INK);
    }
}
