//! The actions that generated workflows use, each pinned to the commit of a release. It must not know
//! where they are used.

/// An action and the release of it that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    name: &'static str,
    commit: &'static str,
    version: &'static str,
}

/// Checks out the repository.
pub const CHECKOUT: Pin =
    Pin { name: "actions/checkout", commit: "de0fac2e4500dabe0009e67214ff5f5447ce83dd", version: "v6.0.2" };
/// Restores a cache.
pub const RESTORE: Pin = Pin {
    name: "actions/cache/restore",
    commit: "cdf6c1fa76f9f475f3d7449005a359c84ca0f306",
    version: "v5.0.3",
};
/// Stores a cache.
pub const SAVE: Pin = Pin { name: "actions/cache/save", ..RESTORE };
/// Stores files for other jobs.
pub const UPLOAD: Pin = Pin {
    name: "actions/upload-artifact",
    commit: "b7c566a772e6b6bfb58ed0dc250532a479d7789f",
    version: "v6.0.0",
};
/// Downloads the files of other jobs.
pub const DOWNLOAD: Pin = Pin {
    name: "actions/download-artifact",
    commit: "37930b1c2abaa49bbe596cd826c3c89aef350131",
    version: "v7.0.0",
};

impl Pin {
    /// Returns the value of `uses:`.
    pub fn uses(self) -> String {
        format!("{}@{} # {}", self.name, self.commit, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pin_is_a_full_commit_id() {
        for pin in [CHECKOUT, RESTORE, SAVE, UPLOAD, DOWNLOAD] {
            assert!(pin.commit.len() == 40 && pin.commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(pin.version.starts_with('v'));
        }
    }
}
