//! Formats numbers and lists for messages.

use std::fmt::Display;

/// Formats a number with its noun, such as `1 task` or `2 tasks`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Formats the first `most` items and the number of further ones, such as `a, b and 3 more`.
pub fn first_of(items: impl IntoIterator<Item = impl Display>, most: usize) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(most).map(|item| item.to_string()).collect();
    match items.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_list_is_cut_and_counted() {
        for (most, expected) in [(1, "a and 2 more"), (2, "a, b and 1 more"), (3, "a, b, c"), (9, "a, b, c")]
        {
            assert_eq!(first_of(["a", "b", "c"], most), expected);
        }
        assert_eq!(first_of([""; 0], 2), "");
        assert_eq!((count(1, "task"), count(2, "task")), ("1 task".to_owned(), "2 tasks".to_owned()));
    }
}
