//! Workflows: the files that make CI systems run the same tasks, and how an existing file differs from
//! them. It must not know the file system, git or the network.
//!
//! Start with [`ci_facts`], which the texts follow from, and [`github`] or [`gitlab`], which write them;
//! [`pr_template`], [`dependabot`] and [`badges`] write smaller texts. People add their own lines in
//! sections ([`handwritten`]); [`outside_changes`] finds what differs outside of them. [`setup`] writes the
//! first lines of one; it reads what an [`existing`] workflow does.

pub mod badges;
pub mod ci_facts;
pub mod commands;
pub mod dependabot;
pub mod ecosystem;
pub mod existing;
pub mod github;
pub mod gitlab;
pub mod handwritten;
pub mod location;
pub mod outside_changes;
pub mod pin;
pub mod pr_template;
pub mod runner;
pub mod setup;
pub mod step;
#[cfg(test)]
mod tests;

pub use ci_facts::CiFacts;

use handwritten::Sections;

/// The first words of each generated file, after the characters that make the line a comment.
pub const HEADER: &str = "Written by `xtask ci init` from tasks.toml";

/// A file that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The path from the top of the repository.
    pub path: String,
    /// The text, with empty hand-written sections.
    pub text: String,
    /// The sections of a file that is written for the first time.
    pub first: Sections,
    /// What happens to an existing file.
    pub policy: OverwritePolicy,
}

/// What happens to an existing file that was not generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverwritePolicy {
    /// It is an error: only a generated file makes the right run.
    Required,
    /// It is left alone.
    Optional,
    /// It is left alone, and a generated one is not checked either: people edit its text.
    Unchecked,
}

/// Returns whether a file was generated, as its first line says.
pub fn is_generated(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.trim_start_matches(['#', '<', '!', '-', ' ']).starts_with(HEADER)
}

/// Returns the name of a file without its folder and ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

fn rows(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<String>>().concat()
}
