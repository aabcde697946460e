//! A line of bash up to the cursor: its words, and which part of the last one bash will replace. It
//! must not know what the words mean.

/// What was typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BashLine {
    /// The finished words, without quotes.
    pub(super) words: Vec<String>,
    /// The last one, as far as it is typed, without quotes.
    pub(super) typed: String,
    /// How many bytes of it stand in front of what bash replaces: bash ends words also at `:` and `=`.
    pub(super) kept: usize,
    /// Whether the cursor is within quotes, where bash writes a name as it is.
    pub(super) is_quoted: bool,
}

impl BashLine {
    /// Reads a line; `breaks` is bash's `COMP_WORDBREAKS`.
    pub(super) fn read(line: &str, breaks: &str) -> Self {
        let mut read = Self::default();
        let mut quote = None;
        let mut begun = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (Some(open), _) if open == c => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(c);
                    begun = true;
                }
                (Some('"'), '\\') if chars.peek().is_none_or(|next| !"$`\"\\".contains(*next)) => {
                    read.typed.push(c);
                }
                (None | Some('"'), '\\') => {
                    read.typed.extend(chars.next());
                    begun = true;
                }
                (None, _) if c.is_whitespace() => {
                    if begun {
                        read.words.push(std::mem::take(&mut read.typed));
                    }
                    (begun, read.kept) = (false, 0);
                }
                _ => {
                    read.typed.push(c);
                    begun = true;
                    if quote.is_none() && breaks.contains(c) {
                        read.kept = read.typed.len();
                    }
                }
            }
        }
        read.is_quoted = quote.is_some();
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_as_bash_does() {
        const BREAKS: &str = " \t\n\"'><=;|&(:";
        let cases: [(&str, &[&str], &str, usize, bool); 12] = [
            ("", &[], "", 0, false),
            ("xtask", &[], "xtask", 0, false),
            ("xtask ", &["xtask"], "", 0, false),
            ("xtask  run  cl", &["xtask", "run"], "cl", 0, false),
            ("xtask api:te", &["xtask"], "api:te", 4, false),
            ("xtask api:", &["xtask"], "api:", 4, false),
            (r"xtask wheel\[python=3.", &["xtask"], "wheel[python=3.", 13, false),
            ("xtask 'api:te", &["xtask"], "api:te", 0, true),
            ("xtask 'a b' \"c\\\"d", &["xtask", "a b"], "c\"d", 0, true),
            (r"xtask a\ b\:c", &["xtask"], "a b:c", 0, false),
            ("xtask --color=al", &["xtask"], "--color=al", 8, false),
            ("xtask '' x", &["xtask", ""], "x", 0, false),
        ];
        for (line, words, typed, kept, is_quoted) in cases {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            let expected = BashLine { words, typed: typed.to_owned(), kept, is_quoted };
            assert_eq!(BashLine::read(line, BREAKS), expected, "{line}");
        }
    }
}
