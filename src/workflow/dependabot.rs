//! The configuration of Dependabot. It must not know how packages are found.

use super::ecosystem::Ecosystems;
use super::handwritten::Sections;
use super::{Draft, HEADER, OverwritePolicy, rows};
use crate::base::yaml::scalar;

/// Where GitHub looks for it.
pub const PATH: &str = ".github/dependabot.yml";

/// Configuration files of another bot that does the same.
const OTHERS: [&str; 5] =
    ["renovate.json", "renovate.json5", ".renovaterc", ".renovaterc.json", ".github/renovate.json"];

/// Returns whether another bot updates the packages.
pub fn has_other<'p>(mut paths: impl Iterator<Item = &'p str>) -> bool {
    paths.any(|path| OTHERS.contains(&path))
}

/// Writes the configuration.
pub fn draft(mut ecosystems: Ecosystems) -> Draft {
    // The workflow itself uses actions.
    ecosystems.entry("github-actions").or_default().insert("/".to_owned());
    let updates = rows(ecosystems.iter().map(|(ecosystem, folders)| {
        let folders = rows(folders.iter().map(|folder| format!("\n      - {}", scalar(folder))));
        format!(
            "
  - package-ecosystem: {ecosystem}
    directories:{folders}
    schedule:
      interval: weekly
    cooldown:
      default-days: 7
    groups:
      {ecosystem}:
        patterns: [\"*\"]
"
        )
    }));
    let text = format!(
        "\
# {HEADER}; `xtask ci check` shows where it differs.
# The lines between \"begin\" and \"end\" are yours and are kept.
#
# A malicious release is usually found within days, so updates wait for `cooldown`.
version: 2
updates:{updates}
  # Your own entries:
  # xtask: begin updates
  # xtask: end updates
"
    );
    Draft { path: PATH.to_owned(), text, first: Sections::default(), policy: OverwritePolicy::Optional }
}
