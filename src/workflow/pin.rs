//! The actions that generated workflows use, each pinned by the commit of a release, and when two
//! pins are of the same action. It must not know where they are used.

/// An action and the release that is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    name: &'static str,
    commit: &'static str,
    version: &'static str,
}

/// Checks the repository out.
pub const CHECKOUT: Pin =
    Pin { name: "actions/checkout", commit: "de0fac2e4500dabe0009e67214ff5f5447ce83dd", version: "v6.0.2" };
/// Brings a cache back.
pub const RESTORE: Pin = Pin {
    name: "actions/cache/restore",
    commit: "cdf6c1fa76f9f475f3d7449005a359c84ca0f306",
    version: "v5.0.3",
};
/// Stores a cache.
pub const SAVE: Pin = Pin { name: "actions/cache/save", ..RESTORE };
/// Hands files on to other jobs.
pub const UPLOAD: Pin = Pin {
    name: "actions/upload-artifact",
    commit: "b7c566a772e6b6bfb58ed0dc250532a479d7789f",
    version: "v6.0.0",
};
/// Takes files of other jobs.
pub const DOWNLOAD: Pin = Pin {
    name: "actions/download-artifact",
    commit: "37930b1c2abaa49bbe596cd826c3c89aef350131",
    version: "v7.0.0",
};

impl Pin {
    /// What stands behind `uses:`.
    pub fn uses(self) -> String {
        format!("{}@{} # {}", self.name, self.commit, self.version)
    }
}

/// How what is used stands to what should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The same action at some commit.
    Same,
    /// The same action, by a name that may mean another commit tomorrow.
    Loose,
    /// Another one.
    Other,
}

/// Compares what stands behind `uses:`. Which commit is left to the bot that updates it.
pub fn compare(expected: &str, found: &str) -> Standing {
    let Some((action, _)) = expected.split_once('@') else { return Standing::Other };
    match found.split_once('@') {
        Some((name, commit)) if name == action => {
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_commit { Standing::Same } else { Standing::Loose }
        }
        _ => Standing::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_commit_of_the_same_action_will_do() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let cases = [
            (format!("a/b@{commit}"), Standing::Same),
            ("a/b@v4".to_owned(), Standing::Loose),
            (format!("a/b@{}", &commit[1..]), Standing::Loose),
            (format!("a/b@{}x", &commit[1..]), Standing::Loose),
            ("a/b".to_owned(), Standing::Other),
            (format!("a/c@{commit}"), Standing::Other),
        ];
        for (found, standing) in cases {
            assert_eq!(compare("a/b@0000000000000000000000000000000000000000", &found), standing, "{found}");
        }
    }

    #[test]
    fn each_pin_is_a_whole_commit() {
        for pin in [CHECKOUT, RESTORE, SAVE, UPLOAD, DOWNLOAD] {
            let uses = pin.uses();
            let (found, version) = uses.split_once(" # v").unwrap();
            assert_eq!(compare(found, found), Standing::Same);
            assert!(version.starts_with(|c: char| c.is_ascii_digit()));
        }
    }
}
