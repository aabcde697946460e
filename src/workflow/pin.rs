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

/// Restores and stores a cache.
pub const CACHE: Pin = Pin { name: "actions/cache", ..RESTORE };
/// Installs Node.js.
pub const NODE: Pin =
    Pin { name: "actions/setup-node", commit: "48b55a011bda9f5d6aeb4c2d9c7362e8dae4041e", version: "v6.4.0" };
/// Installs pnpm.
pub const PNPM: Pin =
    Pin { name: "pnpm/action-setup", commit: "0e279bb959325dab635dd2c09392533439d90093", version: "v6.0.8" };
/// Installs bun.
pub const BUN: Pin =
    Pin { name: "oven-sh/setup-bun", commit: "0c5077e51419868618aeaa5fe8019c62421857d6", version: "v2.2.0" };
/// Installs Python.
pub const PYTHON: Pin = Pin {
    name: "actions/setup-python",
    commit: "a309ff8b426b58ec0e2a45f0f869d46889d02405",
    version: "v6.2.0",
};
/// Installs uv.
pub const UV: Pin =
    Pin { name: "astral-sh/setup-uv", commit: "fac544c07dec837d0ccb6301d7b5580bf5edae39", version: "v8.2.0" };
/// Installs Go.
pub const GO: Pin =
    Pin { name: "actions/setup-go", commit: "4dc6199c7b1a012772edbd06daecab0f50c9053c", version: "v6.1.0" };
/// Installs Java.
pub const JAVA: Pin =
    Pin { name: "actions/setup-java", commit: "03ad4de0992f5dab5e18fcb136590ce7c4a0ac95", version: "v5.6.0" };
/// Installs the tools that mise's configuration names.
pub const MISE: Pin =
    Pin { name: "jdx/mise-action", commit: "7e36c90d9ab29c415a2384db3006f3ec8a8cc654", version: "v4.2.4" };
/// Installs tools that are released as binaries.
pub const TOOLS: Pin = Pin {
    name: "taiki-e/install-action",
    commit: "1ed3272338f573e042a2e6bca3893aa19f43b47a",
    version: "v2.71.3",
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
        let steps = [CHECKOUT, RESTORE, SAVE, UPLOAD, DOWNLOAD, CACHE];
        let setup = [NODE, PNPM, BUN, PYTHON, UV, GO, JAVA, MISE, TOOLS];
        for pin in steps.into_iter().chain(setup) {
            assert!(pin.commit.len() == 40 && pin.commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(pin.version.starts_with('v'));
        }
    }
}
