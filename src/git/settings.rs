//! The part of git's configuration that changes what is in a tree. It must not know where the
//! values are used.

use std::path::{Path, PathBuf};

use crate::git::rules::attributes::Effects;
use crate::git::rules::glob::Case;

/// How git is configured for one repository.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// `core.fileMode`.
    pub(super) executable_bit: Source,
    /// `core.symlinks`.
    pub(super) symlinks: Source,
    /// `core.ignoreCase`.
    pub(super) case: Case,
    /// What is done to each file that no attribute speaks of, when it is read from disk.
    pub(super) on_add: Effects,
    /// The effects that can make a checked-out file differ from its blob.
    pub(super) at_checkout: Effects,
    /// Whether a checkout can change each file that no attribute speaks of.
    pub(super) converts_all: bool,
    /// `core.excludesFile`, or its default.
    pub(super) excludes: Option<PathBuf>,
    /// `core.attributesFile`, or its default.
    pub(super) attributes: Option<PathBuf>,
}

/// What decides on a property of a tracked file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// The file on disk.
    Disk,
    /// The index, as the disk can't hold it.
    Index,
}

impl Settings {
    /// Of a folder that is no repository.
    pub(super) fn plain() -> Self {
        Self {
            executable_bit: Source::Disk,
            symlinks: Source::Disk,
            case: Case::Counts,
            on_add: Effects::NONE,
            at_checkout: Effects::NONE,
            converts_all: false,
            excludes: None,
            attributes: None,
        }
    }

    /// Reads them. `home` is the folder of the user's configuration files, such as `~/.config`.
    pub(super) fn read(config: &git2::Config, work_dir: &Path, home: Option<&Path>) -> Self {
        let text = |name: &str| config.get_string(name).unwrap_or_default();
        let source = |name: &str| match config.get_bool(name) {
            Ok(false) => Source::Index,
            _ => Source::Disk,
        };
        let autocrlf = text("core.autocrlf");
        let converts_all = git2::Config::parse_bool(autocrlf.as_str()).unwrap_or(false);
        let on_add = converts_all || autocrlf.eq_ignore_ascii_case("input");
        let crlf = converts_all
            || text("core.eol").eq_ignore_ascii_case("crlf")
            || (cfg!(windows) && !text("core.eol").eq_ignore_ascii_case("lf"));
        let named = Effects::EOL.and(Effects::IDENT).and(Effects::FILTER).and(Effects::ENCODING);
        let file = |name: &str, default: &str| match config.get_path(name) {
            Ok(path) if path.as_os_str().is_empty() => None,
            Ok(path) => Some(work_dir.join(path)),
            Err(_) => home.map(|home| home.join("git").join(default)),
        };
        Self {
            executable_bit: source("core.filemode"),
            symlinks: source("core.symlinks"),
            case: if config.get_bool("core.ignorecase").unwrap_or(false) {
                Case::Ignored
            } else {
                Case::Counts
            },
            on_add: if on_add { Effects::ALL } else { Effects::NONE },
            at_checkout: if crlf { named.and(Effects::TEXT) } else { named },
            converts_all,
            excludes: file("core.excludesfile", "ignore"),
            attributes: file("core.attributesfile", "attributes"),
        }
    }
}
