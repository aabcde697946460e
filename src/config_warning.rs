//! Warnings: declarations in tasks.toml that have no effect, with the likely reason, as data with a one-line
//! text. It must not know how the reason is found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many warnings are listed; the others are only counted.
pub const LISTED: usize = 10;

/// A declaration in tasks.toml that has no effect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Warning {
    /// The file of the declaration, as messages name it.
    pub file: String,
    /// Its path in the tree.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The declaration as it is written, such as `"!docs/**"` or `@rust`.
    pub declared: String,
    /// What is wrong with it.
    #[serde(flatten)]
    pub problem: Problem,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The first tasks that use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<String>,
}

/// Why a declaration has no effect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// A pattern matches no file.
    NoFile {
        /// The likely reason.
        reason: NoFile,
    },
    /// An exclusion excludes nothing.
    ExcludesNothing {
        /// The likely reason.
        reason: NoEffect,
    },
    /// A pattern matches only a symlink, and not the files in the folder that it leads to.
    LinkAlone {
        /// That folder.
        to: String,
    },
    /// Nothing uses it.
    Unused {
        /// What it is: `set`, `tool`, `service`.
        what: String,
    },
}

/// The likely reason why a pattern matches no file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NoFile {
    /// There is no such file or folder.
    Missing {
        /// The first part of the path that is missing.
        path: String,
    },
    /// The folder exists, but nothing in it matches.
    NoMatch {
        /// The folder; empty for the top of the repository.
        folder: String,
    },
    /// Git ignores the file.
    Ignored {
        /// The ignored path.
        path: String,
    },
    /// A folder in the path is a symlink.
    Symlink {
        /// The symlink.
        path: String,
    },
    /// It begins or ends with a space.
    Blank,
    /// It is several patterns in one text.
    List,
    /// A `\` is used instead of a `/`.
    Backslash,
    /// `[`, `{` or `?` is meant as a character of a name.
    Special,
    /// `@(a|b)` and the like have no meaning here.
    ExtendedGlob,
    /// `~` is not expanded.
    Home,
    /// Variables are not expanded.
    Variable,
    /// It is an absolute path.
    Absolute,
    /// It is a path with a drive.
    Drive,
    /// A file exists whose name differs only by case.
    Case {
        /// The existing file.
        path: String,
    },
    /// A file exists whose name has other characters that look the same.
    Unicode {
        /// The existing file.
        path: String,
    },
    /// A task writes the file, but is not needed.
    NotNeeded {
        /// That task.
        task: String,
    },
}

/// The likely reason why an exclusion has no effect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NoEffect {
    /// It matches no file.
    NoFile {
        /// The likely reason.
        reason: NoFile,
    },
    /// No pattern before it includes what it matches.
    NotIncluded,
    /// A later pattern includes everything that it excludes.
    IncludedLater {
        /// That pattern.
        by: String,
    },
}

impl Warning {
    /// Returns its place, such as `tasks.toml:12`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// Formats the warning in one line, without its place.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.declared, self.problem)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile { reason } => write!(f, "matches no file: {reason}"),
            Self::ExcludesNothing { reason: NoEffect::NoFile { reason } } => {
                write!(f, "excludes nothing: {reason}")
            }
            Self::ExcludesNothing { reason } => write!(f, "excludes nothing: {reason}"),
            Self::LinkAlone { to } => {
                write!(f, "matches only a symlink, and nothing in {to}, which it points to")
            }
            Self::Unused { what } => write!(f, "is an unused {what}"),
        }
    }
}

impl fmt::Display for NoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "{path} does not exist"),
            Self::NoMatch { folder } if folder.is_empty() => f.write_str("nothing here matches it"),
            Self::NoMatch { folder } => write!(f, "nothing in {folder} matches it"),
            Self::Ignored { path } => write!(f, "git ignores {path}"),
            Self::Symlink { path } => {
                write!(f, "{path} is a symlink, and git has nothing below a symlink")
            }
            Self::Blank => f.write_str("it begins or ends with a space"),
            Self::List => f.write_str("it is one pattern, not a list"),
            Self::Backslash => f.write_str("a `\\` does not separate folders"),
            Self::Special => f.write_str("`[`, `{` and `?` are wildcards"),
            Self::ExtendedGlob => f.write_str("`(…)` has no meaning in patterns"),
            Self::Home => f.write_str("`~` is not expanded"),
            Self::Variable => f.write_str("variables are not expanded"),
            Self::Absolute => f.write_str("a leading `/` means the folder of tasks.toml"),
            Self::Drive => f.write_str("it has a drive, and paths are relative to tasks.toml"),
            Self::Case { path } => write!(f, "{path} exists, which differs only by case"),
            Self::Unicode { path } => {
                write!(f, "{path} exists, which is written with other characters that look the same")
            }
            Self::NotNeeded { task } => write!(f, "{task} writes it, but is not in `needs`"),
        }
    }
}

impl fmt::Display for NoEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile { reason } => reason.fmt(f),
            Self::NotIncluded => f.write_str("no pattern before it includes what it matches"),
            Self::IncludedLater { by } => write!(f, "{by} after it includes the same files again"),
        }
    }
}
