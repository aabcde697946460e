//! The part of git's configuration that affects which files a tree has and what they contain.

use std::path::{Path, PathBuf};

use crate::git::rules::attributes::Conversions;
use crate::git::rules::glob::CaseSensitivity;

/// The configuration of one repository.
#[derive(Clone, Debug)]
pub(super) struct GitSettings {
    /// `core.fileMode`.
    pub(super) executable_bit: PropertySource,
    /// `core.symlinks`.
    pub(super) symlinks: PropertySource,
    /// `core.ignoreCase`.
    pub(super) case: CaseSensitivity,
    /// How `git add` converts files that no attribute matches.
    pub(super) conversions_on_add: Conversions,
    /// The conversions that can make a checked-out file differ from its blob.
    pub(super) conversions_on_checkout: Conversions,
    /// Whether a checkout can convert files that no attribute matches.
    pub(super) converts_all_files: bool,
    /// `core.excludesFile`, or its default.
    pub(super) excludes_file: Option<PathBuf>,
    /// `core.attributesFile`, or its default.
    pub(super) attributes_file: Option<PathBuf>,
}

/// Where a property of a tracked file is read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PropertySource {
    /// The file on disk.
    Disk,
    /// The index, because the file system can't represent it.
    Index,
}

impl GitSettings {
    /// Returns the settings of a folder that is not a repository.
    pub(super) fn defaults() -> Self {
        Self {
            executable_bit: PropertySource::Disk,
            symlinks: PropertySource::Disk,
            case: CaseSensitivity::Sensitive,
            conversions_on_add: Conversions::NONE,
            conversions_on_checkout: Conversions::NONE,
            converts_all_files: false,
            excludes_file: None,
            attributes_file: None,
        }
    }

    /// Reads the settings from git's configuration. `home` is the folder of the user's configuration
    /// files, such as `~/.config`.
    pub(super) fn from_config(config: &git2::Config, work_dir: &Path, home: Option<&Path>) -> Self {
        let text = |name: &str| config.get_string(name).unwrap_or_default();
        let source = |name: &str| match config.get_bool(name) {
            Ok(false) => PropertySource::Index,
            _ => PropertySource::Disk,
        };
        let autocrlf = text("core.autocrlf");
        let converts_all = git2::Config::parse_bool(autocrlf.as_str()).unwrap_or(false);
        let on_add = converts_all || autocrlf.eq_ignore_ascii_case("input");
        let crlf = converts_all
            || text("core.eol").eq_ignore_ascii_case("crlf")
            || (cfg!(windows) && !text("core.eol").eq_ignore_ascii_case("lf"));
        let named = Conversions::EOL
            .union(Conversions::IDENT)
            .union(Conversions::FILTER)
            .union(Conversions::ENCODING);
        let file = |name: &str, default: &str| match config.get_path(name) {
            Ok(path) if path.as_os_str().is_empty() => None,
            Ok(path) => Some(work_dir.join(path)),
            Err(_) => home.map(|home| home.join("git").join(default)),
        };
        Self {
            executable_bit: source("core.filemode"),
            symlinks: source("core.symlinks"),
            case: if config.get_bool("core.ignorecase").unwrap_or(false) {
                CaseSensitivity::Insensitive
            } else {
                CaseSensitivity::Sensitive
            },
            conversions_on_add: if on_add { Conversions::ALL } else { Conversions::NONE },
            conversions_on_checkout: if crlf { named.union(Conversions::TEXT) } else { named },
            converts_all_files: converts_all,
            excludes_file: file("core.excludesfile", "ignore"),
            attributes_file: file("core.attributesfile", "attributes"),
        }
    }
}
