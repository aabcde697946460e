//! Makes `xtask ci` mean `xtask run ci`: finds the first word of a command line that is no option, and puts
//! `run` in front of it if it is not a command.

use std::ffi::OsString;
use std::path::PathBuf;

/// The global options that take a value.
const GLOBAL_OPTIONS: &[&str] = &["--color", "--directory", "-C"];

/// A word that is a command only if an action follows, as in `xtask ci init`.
pub const CI: &str = "ci";

/// Puts `run` in front of the first word if that is no command. As a cargo subcommand, the program gets its
/// own name as the first argument, which is removed.
pub fn insert_run(mut words: Vec<OsString>, commands: &[String]) -> Vec<OsString> {
    let program = words.first().map(PathBuf::from).unwrap_or_default();
    if program.file_stem().is_some_and(|name| name == "cargo-xtask")
        && words.get(1).is_some_and(|w| w == "xtask")
    {
        words.remove(1);
    }
    let mut at = 1;
    while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
        let global = GLOBAL_OPTIONS.contains(&word);
        let joined = word.starts_with("--color=") || word.starts_with("--directory=");
        let joined = joined || word.starts_with("-C") && word.len() > 2;
        if !global && !joined {
            break;
        }
        at += if global { 2 } else { 1 };
    }
    let known = |word: &str| commands.iter().any(|name| name == word);
    let is_global = |word: &str| ["-h", "--help", "-V", "--version"].contains(&word);
    // Most repositories have a task `ci`, so the word alone means the task.
    let is_of_files = words.get(at + 1).is_some_and(|next| next == "init" || next == "check");
    let is_task = |word: &str| word == CI && !is_of_files;
    if let Some(word) = words.get(at)
        && !word.to_str().is_some_and(|word| known(word) && !is_task(word) || is_global(word))
    {
        words.insert(at, "run".into());
    }
    words
}

/// Returns the first name of a command line to which [`insert_run`] added `run`; `None` if it did not.
pub fn implicit_task(typed: &[OsString], words: &[OsString]) -> Option<String> {
    let at = words.iter().position(|word| word == "run")?;
    let rest = &words[at + 1..];
    let before = typed.len().checked_sub(rest.len() + 1)?;
    let is_made = typed.ends_with(rest) && typed[before] != "run";
    rest.first().filter(|_| is_made)?.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_that_is_not_a_command_is_run() {
        let commands = ["run".to_owned(), "plan".to_owned(), "ci".to_owned()];
        let cases = [
            ("xtask", "xtask"),
            ("xtask ci -k", "xtask run ci -k"),
            ("xtask --jobs 2 ci", "xtask run --jobs 2 ci"),
            ("xtask plan ci", "xtask plan ci"),
            ("xtask -C dir ci", "xtask -C dir run ci"),
            ("xtask --color=never plan", "xtask --color=never plan"),
            ("xtask --version", "xtask --version"),
            ("xtask ci", "xtask run ci"),
            ("xtask ci lint", "xtask run ci lint"),
            ("xtask ci --help", "xtask run ci --help"),
            ("xtask ci init", "xtask ci init"),
            ("xtask -C dir ci check", "xtask -C dir ci check"),
            ("xtask run ci init", "xtask run ci init"),
            ("cargo-xtask xtask ci", "cargo-xtask run ci"),
            ("/bin/cargo-xtask xtask", "/bin/cargo-xtask"),
            ("cargo-xtask ci", "cargo-xtask run ci"),
        ];
        for (line, expected) in cases {
            let words = line.split(' ').map(Into::into).collect();
            let got: Vec<String> =
                insert_run(words, &commands).into_iter().map(|word| word.into_string().unwrap()).collect();
            assert_eq!(got.join(" "), expected, "{line}");
        }
    }

    #[test]
    fn clap_accepts_the_command_line() {
        use clap::CommandFactory as _;
        crate::cli::Cli::command().debug_assert();
    }
}
