//! Finds what the cursor is at in a command line: a command, an option, or a kind of value. It must not know
//! which values there are.

use std::path::Path;

use clap::{Arg, Command};

use crate::cli::implicit_run;

/// A cursor in a command line.
pub(super) struct Cursor<'c> {
    pub(super) typed: String,
    /// The value of `--directory`.
    pub(super) directory: Option<String>,
    pub(super) position: CursorPosition<'c>,
}

/// What is expected at the cursor.
pub(super) enum CursorPosition<'c> {
    /// An option of one of these commands.
    Option(Vec<&'c Command>),
    /// A subcommand of this command, or a value of this kind.
    Word(&'c Command, ValueKind),
    /// A value of an argument, after this text (`--option=`, or nothing).
    Value(&'c Arg, String),
    /// An argument of a task.
    TaskArgument,
}

/// A kind of value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ValueKind {
    /// One of the values that the argument lists.
    Listed,
    /// A task, a group, or the base of a matrix.
    Names,
    Tasks,
    /// A quality gate.
    Gates,
    Services,
    /// An environment that is deployed to.
    Environments,
    Runs,
    Stages,
    Files,
    Folders,
    /// Another value, for which nothing is suggested.
    Other,
}

impl ValueKind {
    /// Returns the kind of an argument's values by their name in the help; `None` if the name is unknown.
    pub(super) fn from_arg(arg: &Arg) -> Option<Self> {
        if !arg.get_possible_values().is_empty() {
            return Some(Self::Listed);
        }
        let names = arg.get_value_names().unwrap_or_default();
        match names.first().map(clap::builder::Str::as_str)? {
            "NAME" => Some(Self::Names),
            "TASK" => Some(Self::Tasks),
            "GATE" => Some(Self::Gates),
            "SERVICE" => Some(Self::Services),
            "ENV" => Some(Self::Environments),
            "RUN" => Some(Self::Runs),
            "STAGE" => Some(Self::Stages),
            "FILE" => Some(Self::Files),
            "DIR" => Some(Self::Folders),
            "N" | "K/N" | "REV" | "REMOTE" | "TIME" | "BASE" | "ARGS" | "PLAN" | "REASON" => {
                Some(Self::Other)
            }
            _ => None,
        }
    }
}

/// Reads a command line up to the cursor.
struct LineReader<'c> {
    command: &'c Command,
    /// The option that still needs its value.
    open: Option<&'c Arg>,
    /// The number of positional values.
    values: usize,
    /// Whether `--` was read.
    is_beyond: bool,
    /// Whether the last word is a `ci` that is a task, unless the next word makes it a command.
    is_behind_ci: bool,
    directory: Option<String>,
}

impl<'c> Cursor<'c> {
    /// Finds the cursor after `words`, the first of which is the program.
    pub(super) fn find(root: &'c Command, words: &[String], typed: &str) -> Self {
        let names: Vec<String> =
            root.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        let written = words_from_program(words);
        let words = implicit_run::insert_run(written.iter().map(Into::into).collect(), &names);
        let ci = ["run", implicit_run::CI];
        let mut walk = LineReader {
            command: root,
            open: None,
            values: 0,
            is_beyond: false,
            is_behind_ci: words.ends_with(&ci.map(Into::into)) && !written.ends_with(&ci.map(Into::into)),
            directory: None,
        };
        for word in words.iter().skip(1) {
            walk.take(&word.to_string_lossy());
        }
        let position = walk.position(root, typed);
        Self { typed: typed.to_owned(), directory: walk.directory, position }
    }
}

/// Returns the words from the program on: `cargo +nightly xtask ci` becomes `xtask ci`.
fn words_from_program(words: &[String]) -> &[String] {
    let is_cargo =
        words.first().is_some_and(|word| Path::new(word).file_name().is_some_and(|name| name == "cargo"));
    let own = words.iter().position(|word| word == "xtask").filter(|_| is_cargo);
    &words[own.unwrap_or(0)..]
}

impl<'c> LineReader<'c> {
    fn take(&mut self, word: &str) {
        if let Some(option) = self.open.take() {
            self.note(option, word);
        } else if self.is_beyond {
        } else if word == "--" {
            self.is_beyond = true;
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            match (self.long(name), value) {
                (Some(option), Some(value)) => self.note(option, value),
                (option, _) => self.open = option.filter(|option| takes_next_word(option)),
            }
        } else if word.len() > 1 && word.starts_with('-') {
            self.take_short(&word[1..]);
        } else if let Some(command) = self.command.find_subcommand(word).filter(|_| self.values == 0) {
            self.command = command;
        } else {
            self.values += 1;
        }
    }

    /// Reads `-k`, `-kj 2` or `-kj2`.
    fn take_short(&mut self, letters: &str) {
        for (at, letter) in letters.char_indices() {
            let Some(option) = self.options().find(|option| option.get_short() == Some(letter)) else {
                return;
            };
            if takes_next_word(option) {
                match &letters[at + letter.len_utf8()..] {
                    "" => self.open = Some(option),
                    value => self.note(option, value),
                }
                return;
            }
        }
    }

    fn note(&mut self, option: &Arg, value: &str) {
        if option.get_id() == "directory" {
            self.directory = Some(value.to_owned());
        }
    }

    fn options(&self) -> impl Iterator<Item = &'c Arg> + use<'c> {
        self.command.get_arguments().filter(|option| !option.is_positional())
    }

    fn long(&self, name: &str) -> Option<&'c Arg> {
        self.options().find(|option| option.get_long() == Some(name))
    }

    fn position(&self, root: &'c Command, typed: &str) -> CursorPosition<'c> {
        if let Some(option) = self.open {
            return CursorPosition::Value(option, String::new());
        }
        if self.is_beyond {
            return CursorPosition::TaskArgument;
        }
        let is_root = std::ptr::eq(self.command, root);
        let run = root.find_subcommand("run").filter(|_| is_root);
        if typed.starts_with('-') {
            let valued = typed.strip_prefix("--").and_then(|rest| rest.split_once('=')).map(|(name, _)| name);
            let option = valued.and_then(|name| self.long(name));
            return match (option, valued) {
                (Some(option), Some(name)) => CursorPosition::Value(option, format!("--{name}=")),
                // `xtask -k ci` is `xtask run -k ci`.
                _ => CursorPosition::Option(std::iter::once(self.command).chain(run).collect()),
            };
        }
        if let Some(ci) = root.find_subcommand(implicit_run::CI).filter(|_| self.is_behind_ci) {
            return CursorPosition::Word(ci, ValueKind::Names);
        }
        // The first word may be the name of a task.
        let kind = run.map_or_else(|| self.next_value(), |_| ValueKind::Names);
        CursorPosition::Word(self.command, kind)
    }

    /// Returns the kind of the next positional value.
    fn next_value(&self) -> ValueKind {
        let places: Vec<&Arg> = self.command.get_positionals().filter(|arg| !arg.is_last_set()).collect();
        let next = places.get(self.values).or_else(|| places.last().filter(|last| repeats(last)));
        next.and_then(|arg| ValueKind::from_arg(arg)).unwrap_or(ValueKind::Other)
    }
}

/// Returns whether the next word is the option's value.
fn takes_next_word(option: &Arg) -> bool {
    option.get_action().takes_values() && !option.is_require_equals_set()
}

fn repeats(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|count| count.max_values() > 1)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn place(line: &str) -> String {
        let mut root = Cli::command();
        root.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (typed, before) = words.split_last().unwrap();
        let cursor = Cursor::find(&root, before, typed);
        let position = match cursor.position {
            CursorPosition::Option(commands) => {
                format!("options of {}", commands.iter().map(|c| c.get_name()).collect::<Vec<_>>().join(", "))
            }
            CursorPosition::Word(command, kind) => format!("{kind:?} below {}", command.get_name()),
            CursorPosition::Value(arg, front) => format!("{:?} {front}", ValueKind::from_arg(arg).unwrap()),
            CursorPosition::TaskArgument => "beyond".to_owned(),
        };
        cursor.directory.map_or(position.clone(), |dir| format!("{position} in {dir}"))
    }

    #[test]
    fn kind_of_the_word_at_the_cursor_is_found() {
        for (line, expected) in [
            ("xtask ", "Names below xtask"),
            ("xtask cl", "Names below xtask"),
            ("xtask run ", "Names below run"),
            ("xtask run a b c", "Names below run"),
            ("xtask a ", "Names below run"),
            ("xtask a --j", "options of run"),
            ("xtask ci ", "Names below ci"),
            ("xtask ci ch", "Names below ci"),
            ("xtask -C sub ci ", "Names below ci in sub"),
            ("cargo xtask ci ", "Names below ci"),
            ("cargo-xtask xtask ci ", "Names below ci"),
            ("xtask ci --k", "options of run"),
            ("xtask ci a ", "Names below run"),
            ("xtask run ci ", "Names below run"),
            ("xtask -k ci ", "Names below run"),
            ("xtask ci init ", "Other below init"),
            ("xtask ci init --", "options of init"),
            ("xtask -", "options of xtask, run"),
            ("xtask -k ", "Names below run"),
            ("xtask a -j ", "Other "),
            ("xtask a -kj ", "Other "),
            ("xtask a -kj2 ", "Names below run"),
            ("xtask a --jobs=2 ", "Names below run"),
            ("xtask a --affected ", "Names below run"),
            ("xtask a -- ", "beyond"),
            ("xtask --color ", "Listed "),
            ("xtask a --output=", "Listed --output="),
            ("xtask a --no-such=", "options of run"),
            ("xtask -C ", "Folders "),
            ("xtask -C sub ", "Names below xtask in sub"),
            ("xtask -C sub plan ", "Names below plan in sub"),
            ("xtask why ", "Tasks below why"),
            ("xtask why a ", "Other below why"),
            ("xtask log ", "Runs below log"),
            ("xtask log --task ", "Tasks "),
            ("xtask log --service ", "Services "),
            ("xtask deploy --env ", "Environments "),
            ("xtask a --junit ", "Files "),
            ("xtask hooks ", "Other below hooks"),
            ("xtask hook ", "Stages below hook"),
            ("xtask completions ", "Listed below completions"),
            ("cargo xtask ", "Names below xtask"),
            ("cargo +nightly xtask why ", "Tasks below why"),
            ("cargo-xtask xtask why ", "Tasks below why"),
            ("cargo-xtask a ", "Names below run"),
        ] {
            assert_eq!(place(line), expected, "{line}");
        }
    }

    #[test]
    fn each_value_has_a_known_kind() {
        let mut root = Cli::command();
        root.build();
        let mut open = vec![&root];
        while let Some(command) = open.pop() {
            open.extend(command.get_subcommands().filter(|command| !command.is_hide_set()));
            for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let (name, id) = (command.get_name(), arg.get_id());
                assert!(
                    ValueKind::from_arg(arg).is_some(),
                    "the kind of `{id}` of `{name}` is unknown: add it to `Kind::of`"
                );
            }
        }
    }
}
