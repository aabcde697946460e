//! How each shell is told what to offer: a choice a line, or a word of our own for files and folders,
//! which no choice begins like. It must not know what the choices are.

use super::bash_line::BashLine;
use super::offer::{Choice, Offer};

/// For bash: the part of each choice that takes the place of what bash thinks is the word, with its
/// special characters escaped.
pub(super) fn bash(offer: &Offer, line: &BashLine) -> String {
    lines(offer, |choice| {
        let rest = choice.text.strip_prefix(&line.typed[..line.kept])?;
        let fits = choice.text.starts_with(&line.typed);
        fits.then(|| if line.is_quoted { rest.to_owned() } else { escaped(rest) })
    })
}

/// For zsh's `_describe`, which chooses and quotes itself.
pub(super) fn zsh(offer: &Offer) -> String {
    lines(offer, |choice| {
        let text = choice.text.replace('\\', "\\\\").replace(':', "\\:");
        Some(format!("{text}:{}", line(&choice.about)))
    })
}

/// For fish, which chooses and quotes itself.
pub(super) fn fish(offer: &Offer) -> String {
    lines(offer, |choice| Some(format!("{}\t{}", choice.text, line(&choice.about))))
}

fn lines(offer: &Offer, spelled: impl Fn(&Choice) -> Option<String>) -> String {
    match offer {
        Offer::Files => "!files\n".to_owned(),
        Offer::Folders => "!folders\n".to_owned(),
        Offer::Choices(choices) => choices.iter().filter_map(spelled).map(|text| text + "\n").collect(),
    }
}

/// The first line, without control characters.
fn line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

/// A word that bash reads as this text.
fn escaped(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for c in text.chars() {
        if !(c.is_alphanumeric() || "_-.:/=,@%+".contains(c)) {
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

    fn offer() -> Offer {
        let choice = |text: &str| Choice { text: text.to_owned(), about: "a: b\nc".to_owned() };
        Offer::Choices(["api:test", "wheel[py=3.11]", "--color=always"].map(choice).into())
    }

    #[test]
    fn bash_gets_the_part_that_it_replaces() {
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
            assert_eq!(bash(&offer(), &BashLine::read(typed, BREAKS)), expected, "{typed}");
        }
    }

    #[test]
    fn zsh_and_fish_get_all_with_descriptions() {
        assert_eq!(zsh(&offer()), "api\\:test:a: b\nwheel[py=3.11]:a: b\n--color=always:a: b\n");
        assert_eq!(fish(&offer()), "api:test\ta: b\nwheel[py=3.11]\ta: b\n--color=always\ta: b\n");
        assert_eq!(zsh(&Offer::Files), "!files\n");
    }
}
