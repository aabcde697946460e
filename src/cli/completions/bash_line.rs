//! Parses a line of bash up to the cursor: its words, and the part of the last word that bash will replace.
//! It must not know what the words mean.

/// A line as it was typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BashLine {
    /// The words before the last, without quotes.
    pub(super) words: Vec<String>,
    /// The last word as far as it is typed, without quotes.
    pub(super) typed: String,
    /// The number of bytes of the last word that bash does not replace: for bash, words also end at `:` and
    /// `=`.
    pub(super) kept: usize,
    /// The quote in which the cursor is.
    pub(super) quote: Option<char>,
}

impl BashLine {
    /// Parses a line; `breaks` is bash's `COMP_WORDBREAKS`.
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
        read.quote = quote;
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, and what it is parsed to.
    type Case = (&'static str, &'static [&'static str], &'static str, usize, Option<char>);

    #[test]
    fn words_are_split_like_bash() {
        const BREAKS: &str = " \t\n\"'><=;|&(:";
        let cases: [Case; 12] = [
            ("", &[], "", 0, None),
            ("xtask", &[], "xtask", 0, None),
            ("xtask ", &["xtask"], "", 0, None),
            ("xtask  run  cl", &["xtask", "run"], "cl", 0, None),
            ("xtask api:te", &["xtask"], "api:te", 4, None),
            ("xtask api:", &["xtask"], "api:", 4, None),
            (r"xtask wheel\[python=3.", &["xtask"], "wheel[python=3.", 13, None),
            ("xtask 'api:te", &["xtask"], "api:te", 0, Some('\'')),
            ("xtask 'a b' \"c\\\"d", &["xtask", "a b"], "c\"d", 0, Some('"')),
            (r"xtask a\ b\:c", &["xtask"], "a b:c", 0, None),
            ("xtask --color=al", &["xtask"], "--color=al", 8, None),
            ("xtask '' x", &["xtask", ""], "x", 0, None),
        ];
        for (line, words, typed, kept, quote) in cases {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            let expected = BashLine { words, typed: typed.to_owned(), kept, quote };
            assert_eq!(BashLine::read(line, BREAKS), expected, "{line}");
        }
    }
}
