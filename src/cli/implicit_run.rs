//! `xtask ci` is `xtask run ci`: finds whether the first word of a command line is a command, and puts
//! `run` in front of it if it is not.

use std::ffi::OsString;
use std::path::PathBuf;

/// Global options that take a value, for finding the first word of a command line.
const GLOBAL_OPTIONS: &[&str] = &["--color", "--directory", "-C"];

/// The command that is one only in front of its actions.
pub const CI: &str = "ci";

/// The words of a command line with `run` put in front of the first word if that is no command, so
/// that `xtask ci` is `xtask run ci`. As a cargo subcommand the program gets its own name as the
/// first argument, which is dropped.
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
    // The name that most repositories give what may be pushed stays that of a task.
    let is_of_files = words.get(at + 1).is_some_and(|next| next == "init" || next == "check");
    let is_task = |word: &str| word == CI && !is_of_files;
    if let Some(word) = words.get(at)
        && !word.to_str().is_some_and(|word| known(word) && !is_task(word) || is_global(word))
    {
        words.insert(at, "run".into());
    }
    words
}

/// The first name in words that [`with_run`] made a run of; `None` if they are of a command.
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
    fn names_are_run_and_commands_are_commands() {
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
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        crate::cli::Cli::command().debug_assert();
    }
}
