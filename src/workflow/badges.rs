//! Status badges for the README. It must not know the other text in it.

use crate::config::model::Provider;

/// The line before the badges.
const BEGIN: &str = "<!-- xtask: badges -->";
/// The line after the badges.
const END: &str = "<!-- xtask: end badges -->";

/// Where a repository is hosted.
#[derive(Clone, Copy, Debug)]
pub struct HostedRepo<'a> {
    /// The host.
    pub host: &'a str,
    /// `owner/name`.
    pub slug: &'a str,
    /// The branch whose status the badges show.
    pub branch: &'a str,
    /// The file name of GitHub's workflow.
    pub workflow: &'a str,
}

/// Whether badges are added to a README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadgePolicy {
    /// Only if it has the lines for them already.
    ReplaceOnly,
    /// Also without these lines: after the first heading.
    InsertOrReplace,
}

/// Returns the badge of a CI system.
pub fn badge(provider: Provider, home: HostedRepo<'_>) -> String {
    let HostedRepo { host, slug, branch, workflow } = home;
    match provider {
        Provider::GitHub => {
            let page = format!("https://{host}/{slug}/actions/workflows/{workflow}");
            let name = workflow.split('.').next().unwrap_or(workflow);
            format!("[![{name}]({page}/badge.svg?branch={branch})]({page}?query=branch%3A{branch})")
        }
        Provider::GitLab => {
            let page = format!("https://{host}/{slug}");
            format!("[![pipeline]({page}/badges/{branch}/pipeline.svg)]({page}/-/pipelines?ref={branch})")
        }
    }
}

/// Returns a README with badges; `None` if it has no place for them.
pub fn write(readme: &str, badges: &[String], ask: BadgePolicy) -> Option<String> {
    let block = format!("{BEGIN}\n{}\n{END}", badges.join("\n"));
    if let Some((before, rest)) = readme.split_once(BEGIN) {
        let (_, after) = rest.split_once(END)?;
        return Some(format!("{before}{block}{after}"));
    }
    if ask == BadgePolicy::ReplaceOnly {
        return None;
    }
    let at = readme.lines().position(|line| line.starts_with("# "))?;
    let mut lines: Vec<&str> = readme.lines().collect();
    lines.insert(at + 1, &block);
    lines.insert(at + 1, "");
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_is_changed_only_between_markers_or_on_request() {
        let badges = ["B".to_owned()];
        let block = format!("{BEGIN}\nB\n{END}");
        let marked = format!("x\n{BEGIN}\nold\n{END}\ny\n");
        let new = format!("x\n{block}\ny\n");
        for ask in [BadgePolicy::ReplaceOnly, BadgePolicy::InsertOrReplace] {
            assert_eq!(write(&marked, &badges, ask), Some(new.clone()));
            assert_eq!(write(&new, &badges, ask), Some(new.clone()));
            // Without its end marker, the end of the block is unknown.
            assert_eq!(write(&format!("{BEGIN}\nx"), &badges, ask), None);
        }
        assert_eq!(write("# Title\n\ntext\n", &badges, BadgePolicy::ReplaceOnly), None);
        assert_eq!(
            write("# Title\n\ntext\n", &badges, BadgePolicy::InsertOrReplace),
            Some(format!("# Title\n\n{block}\n\ntext\n"))
        );
        assert_eq!(write("text\n", &badges, BadgePolicy::InsertOrReplace), None);
    }

    #[test]
    fn badge_shows_one_branch() {
        let home = HostedRepo { host: "github.com", slug: "a/b", branch: "main", workflow: "ci.yml" };
        assert_eq!(
            badge(Provider::GitHub, home),
            "[![ci](https://github.com/a/b/actions/workflows/ci.yml/badge.svg?branch=main)](https://github.com/a/b/actions/workflows/ci.yml?query=branch%3Amain)"
        );
        let home = HostedRepo { host: "gitlab.com", ..home };
        assert_eq!(
            badge(Provider::GitLab, home),
            "[![pipeline](https://gitlab.com/a/b/badges/main/pipeline.svg)](https://gitlab.com/a/b/-/pipelines?ref=main)"
        );
    }
}
