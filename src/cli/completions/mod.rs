//! `xtask completions SHELL`: prints a script that makes the shell ask `xtask __complete` for candidates.
//!
//! Read `cursor` (what the cursor is at), `candidates` (the candidates) and `shell_format` (how each shell
//! reads them); `bash_line` splits a line as bash does. Completion must not start anything and must not
//! fail: if tasks.toml is invalid, it prints nothing.

mod bash_line;
mod candidates;
mod cursor;
mod shell_format;

use std::ffi::OsString;

use clap::{Args, Command, ValueEnum};

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use bash_line::BashLine;
use candidates::Completions;
use cursor::Cursor;

/// Arguments of `completions`.
#[derive(Args, Debug, Clone, Copy)]
pub struct CompletionsArgs {
    /// The shell that will read the script
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Arguments of `__complete`.
#[derive(Args, Debug, Clone)]
pub struct CompleteArgs {
    /// The shell that asks.
    #[arg(value_enum)]
    pub shell: Shell,
    /// The words up to the cursor, including the unfinished one; for bash, the line up to the cursor and
    /// `COMP_WORDBREAKS`.
    #[arg(last = true)]
    pub words: Vec<OsString>,
}

/// A shell with completions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shell {
    /// Bash 3.2 or newer.
    Bash,
    /// Zsh with `compinit`.
    Zsh,
    /// Fish 3 or newer.
    Fish,
}

/// Prints the script of a shell.
///
/// # Errors
/// Standard output can't be written to.
pub fn run(session: &Session, args: CompletionsArgs) -> Result<End, Failure> {
    session.print(match args.shell {
        Shell::Bash => include_str!("xtask.bash"),
        Shell::Zsh => include_str!("xtask.zsh"),
        Shell::Fish => include_str!("xtask.fish"),
    })?;
    Ok(End::Passed)
}

/// Prints the candidates for the cursor.
///
/// # Errors
/// Standard output can't be written to.
pub fn print_candidates(session: &Session, args: CompleteArgs, mut command: Command) -> Result<End, Failure> {
    let words: Vec<String> = args.words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    command.build();
    let text = if args.shell == Shell::Bash {
        let (line, breaks) = (words.first(), words.get(1));
        let line = BashLine::read(line.map_or("", String::as_str), breaks.map_or("", String::as_str));
        let cursor = Cursor::find(&command, &line.words, &line.typed);
        shell_format::bash(&Completions::for_cursor(session, &cursor), &line)
    } else {
        let (typed, before) =
            words.split_last().map_or((String::new(), &[][..]), |(typed, before)| (typed.clone(), before));
        let cursor = Cursor::find(&command, before, &typed);
        let completions = Completions::for_cursor(session, &cursor);
        if args.shell == Shell::Zsh {
            shell_format::zsh(&completions)
        } else {
            shell_format::fish(&completions)
        }
    };
    session.print(&text)?;
    Ok(End::Passed)
}
