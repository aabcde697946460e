//! Writes candidates in the form that each shell reads: one per line, or a word of our own for files and
//! folders that no candidate starts with. It must not know what the candidates are.

use super::bash_line::BashLine;
use super::candidates::{Completion, Completions};

/// Returns the candidates for bash: the part of each that replaces what bash takes for the word, with special
/// characters escaped.
pub(super) fn bash(completions: &Completions, line: &BashLine) -> String {
    lines(completions, |completion| {
        let rest = completion.text.strip_prefix(&line.typed[..line.kept])?;
        let fits = completion.text.starts_with(&line.typed);
        fits.then(|| match line.quote {
            // Nothing can be escaped in single quotes: a quote of the name closes and reopens them.
            Some('\'') => rest.replace('\'', "'\\''"),
            Some(_) => escaped(rest, |c| "$`\"\\".contains(c)),
            None => escaped(rest, |c| !(c.is_alphanumeric() || "_-.:/=,@%+".contains(c))),
        })
    })
}

/// Returns the candidates for zsh's `_describe`, which filters and quotes them itself.
pub(super) fn zsh(completions: &Completions) -> String {
    lines(completions, |completion| {
        let text = completion.text.replace('\\', "\\\\").replace(':', "\\:");
        Some(format!("{text}:{}", line(&completion.about)))
    })
}

/// Returns the candidates for fish, which filters and quotes them itself.
pub(super) fn fish(completions: &Completions) -> String {
    lines(completions, |completion| Some(format!("{}\t{}", completion.text, line(&completion.about))))
}

fn lines(completions: &Completions, spelled: impl Fn(&Completion) -> Option<String>) -> String {
    match completions {
        Completions::Files => "!files\n".to_owned(),
        Completions::Folders => "!folders\n".to_owned(),
        Completions::Choices(choices) => choices.iter().filter_map(spelled).map(|text| text + "\n").collect(),
    }
}

/// Returns the first line, without control characters.
fn line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

/// Puts a `\` before each special character.
fn escaped(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut word = String::with_capacity(text.len());
    for c in text.chars() {
        if is_special(c) {
            word.push('\\');
        }
        word.push(c);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'><=;|&(:";

    fn completions() -> Completions {
        let completion = |text: &str| Completion { text: text.to_owned(), about: "a: b\nc".to_owned() };
        Completions::Choices(["api:test", "wheel[py=3.11]", "--color=always"].map(completion).into())
    }

    #[test]
    fn bash_gets_only_the_part_that_it_replaces() {
        for (typed, expected) in [
            ("xtask a", "api:test\n"),
            ("xtask api:", "test\n"),
            ("xtask 'api:", "api:test\n"),
            ("xtask wh", "wheel\\[py=3.11\\]\n"),
            ("xtask wheel\\[py=3", "3.11\\]\n"),
            ("xtask \"wh", "wheel[py=3.11]\n"),
            ("xtask --color=", "always\n"),
            ("xtask x", ""),
        ] {
            assert_eq!(bash(&completions(), &BashLine::read(typed, BREAKS)), expected, "{typed}");
        }
    }

    #[test]
    fn name_in_an_open_quote_stays_one_word() {
        let text = "w[p=\u{e9}'x\"$y]".to_owned();
        let completions = Completions::Choices(vec![Completion { text, about: String::new() }]);
        for (typed, expected) in [
            ("xtask run 'w[p=", "w[p=\u{e9}'\\''x\"$y]\n"),
            ("xtask run \"w[p=", "w[p=\u{e9}'x\\\"\\$y]\n"),
            ("xtask run w\\[p=", "\u{e9}\\'x\\\"\\$y\\]\n"),
        ] {
            assert_eq!(bash(&completions, &BashLine::read(typed, BREAKS)), expected, "{typed}");
        }
    }

    #[test]
    fn zsh_and_fish_get_whole_words_with_descriptions() {
        assert_eq!(zsh(&completions()), "api\\:test:a: b\nwheel[py=3.11]:a: b\n--color=always:a: b\n");
        assert_eq!(fish(&completions()), "api:test\ta: b\nwheel[py=3.11]\ta: b\n--color=always\ta: b\n");
        assert_eq!(zsh(&Completions::Files), "!files\n");
    }
}
