//! Workflows: the files that tell CI systems to make the same run, as texts, and how what is there
//! differs from them. It must not know the file system, git or the network: facts go in.
//!
//! [`Site`] holds what the texts follow from. A text is a template with [`handwritten`] parts, so
//! what people wrote is put into the new text before the two are compared, and never compared itself.

pub mod additions;
pub mod badges;
pub mod dependabot;
pub mod differ;
pub mod ecosystem;
pub mod github;
pub mod gitlab;
pub mod handwritten;
pub mod pin;
pub mod request;
pub mod site;
#[cfg(test)]
mod tests;
pub mod tree;

pub use differ::Difference;
pub use site::Site;

/// The first words of each generated file, behind what makes a line a comment.
pub const HEADER: &str = "Written by `xtask ci init` from tasks.toml";

/// What a file is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its path from the top of the repository.
    pub path: &'static str,
    /// Its text, with empty parts for what people write.
    pub text: String,
    /// What becomes of one that people wrote.
    pub manners: Manners,
}

/// What becomes of a file of this name that people wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// It is in the way.
    Needed,
    /// It is as good.
    Optional,
    /// It is as good, and nothing is compared: its text is for people.
    Prose,
}

/// Whether a file was generated, as its first line says.
pub fn is_generated(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.trim_start_matches(['#', '<', '!', '-', ' ']).starts_with(HEADER)
}

/// Lines as one text.
fn rows(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<String>>().concat()
}

/// A text as YAML reads it: as it is where that is the same, between quotes where not.
fn scalar(text: &str) -> String {
    let is_same = tree::read(&format!("- {text}\n")).is_ok_and(|node| {
        matches!(node.list(), [one] if one.text() == Some(text)) && !text.contains(['\n', '\r'])
    });
    if is_same { text.to_owned() } else { tree::quoted(text) }
}
