//! The template of pull requests and merge requests. It must not know about tasks.

use super::ci_facts::CiFacts;
use super::handwritten::Sections;
use super::{Draft, HEADER, OverwritePolicy};
use crate::config::model::Provider;

/// Where GitHub looks for it.
const GITHUB: &str = ".github/pull_request_template.md";
/// Where GitLab looks for it.
const GITLAB: &str = ".gitlab/merge_request_templates/Default.md";

/// Returns whether there is another template, by any name that GitHub knows.
pub fn has_other<'p>(mut paths: impl Iterator<Item = &'p str>, provider: Provider) -> bool {
    match provider {
        Provider::GitLab => false,
        Provider::GitHub => paths.any(|path| {
            let path_lower = path.to_ascii_lowercase();
            let name = path_lower.trim_start_matches(".github/").trim_start_matches("docs/");
            let is_one = ["pull_request_template.md", "pull_request_template.txt"].contains(&name);
            path != GITHUB && (is_one || name.starts_with("pull_request_template/"))
        }),
    }
}

/// Writes the template.
pub fn draft(facts: &CiFacts, provider: Provider) -> Draft {
    let run = format!("{} {}", facts.call, facts.run);
    let text = format!(
        "\
<!-- {HEADER}. The lines between \"begin\" and \"end\" are yours and are kept. -->
## What changes, and why

## How it was checked

- [ ] `{run}` passes. CI runs the same tasks on the same tree.
<!-- xtask: begin more -->
<!-- xtask: end more -->
"
    );
    let path = match provider {
        Provider::GitHub => GITHUB,
        Provider::GitLab => GITLAB,
    };
    Draft { path: path.to_owned(), text, first: Sections::default(), policy: OverwritePolicy::Unchecked }
}
