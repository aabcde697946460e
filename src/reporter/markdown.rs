//! Makes Markdown from untrusted text: names, reasons and logs can't become markup, HTML, links or mentions.
//! It must not know what is written.

use crate::reporter::run_state::cut;
use crate::reporter::text::{Keep, safe};

/// The maximum number of characters of a cell.
const CELL: usize = 300;

/// Returns `text` as inline code on one line.
pub fn code(text: &str) -> String {
    let text = safe(text, Keep::Nothing);
    let text: String = cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), CELL);
    if text.is_empty() {
        return text;
    }
    let quote = "`".repeat(longest_run(&text) + 1);
    let blank = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{quote}{blank}{text}{blank}{quote}")
}

/// Returns `text` as inline code for a cell of a table.
pub fn cell(text: &str) -> String {
    // A backslash in front of the added one would escape it.
    code(text).replace("\\|", "\\ |").replace('|', "\\|")
}

/// Returns a row of a table.
pub fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Returns the first two lines of a table: the names of the columns and the separator.
pub fn table_header(names: &[&str]) -> String {
    format!("| {} |\n|{}\n", names.join(" | "), " --- |".repeat(names.len()))
}

/// Returns `text` as a code block.
pub fn block(text: &str) -> String {
    let text = safe(text, Keep::Nothing);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

/// Returns the length of the longest sequence of backquotes.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_quoted_unchanged() {
        let cases = [
            ("", ""),
            ("unit", "`unit`"),
            ("a\n b", "`a b`"),
            ("<b>@you</b> https://x", "`<b>@you</b> https://x`"),
            ("a`b", "``a`b``"),
            ("`", "`` ` ``"),
            ("a|b", "`a\\|b`"),
            ("a\\|b", "`a\\ \\|b`"),
        ];
        for (text, expected) in cases {
            assert_eq!(cell(text), expected, "{text:?}");
        }
        assert_eq!(block("a\n```\nb\n"), "````text\na\n```\nb\n````\n");
        assert_eq!(table_header(&["a", "b"]), "| a | b |\n| --- | --- |\n");
    }

    proptest! {
        #[test]
        fn row_keeps_its_number_of_cells(text in r"[`|\\ a\n]{0,20}") {
            let row = row(&[cell(&text), "x".to_owned()]);
            prop_assert_eq!(row.matches('\n').count(), 1);
            // Counts pipes as a Markdown table does: a pipe after a backslash does not separate cells.
            let mut pipes = 0;
            let mut chars = row.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => drop(chars.next()),
                    '|' => pipes += 1,
                    _ => {}
                }
            }
            prop_assert_eq!(pipes, 3, "{}", row);
        }
    }
}
