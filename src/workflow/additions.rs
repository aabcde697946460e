//! What hand-written parts do to the file around them: each may add to what it stands in, and change
//! nothing else. It must not know which files there are, nor what is good to add.

use super::differ::{self, Difference};
use super::handwritten::Parts;
use super::tree;

/// What is written where a part stands, to see where that is: an entry of a list, or of a map.
const PROBES: [&str; 2] = ["- xtask-probe", "xtask-probe: 1"];

/// What `parts` do to a draft besides adding to what they stand in. Nothing is told of what can't be read
/// as YAML.
pub fn bent(draft: &str, parts: &Parts) -> Vec<Difference> {
    let (Ok(empty), Ok(filled)) = (tree::read(draft), tree::read(&parts.fill(draft))) else {
        return Vec::new();
    };
    let homes: Vec<String> = Parts::places(draft)
        .into_iter()
        .filter_map(|(name, indent)| {
            let home = |probe: &&str| {
                let probed = Parts::one(name, format!("{indent}{probe}")).fill(draft);
                match &*differ::compare(&empty, &tree::read(&probed).ok()?) {
                    [one] if one.is_surplus => Some(above(&one.path).to_owned()),
                    _ => None,
                }
            };
            PROBES.iter().find_map(home)
        })
        .collect();
    let is_at_home = |one: &Difference| one.is_surplus && homes.iter().any(|home| home == above(&one.path));
    differ::compare(&empty, &filled).into_iter().filter(|one| !is_at_home(one)).collect()
}

/// The path of what holds the node at a path.
fn above(path: &str) -> &str {
    path.rfind(['.', '[']).map_or("", |at| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAFT: &str = "\
on: push
jobs:
  ci:
    steps:
      - uses: one
      # xtask: begin setup
      # xtask: end setup
      - run: two
  # xtask: begin jobs
  # xtask: end jobs
";

    fn told(name: &str, lines: &str) -> Vec<String> {
        bent(DRAFT, &Parts::one(name, lines.to_owned())).into_iter().map(|one| one.path).collect()
    }

    #[test]
    fn parts_may_only_add_to_what_they_stand_in() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("setup", "", &[]),
            ("setup", "      - run: make\n      - run: more", &[]),
            ("jobs", "  more:\n    steps: []", &[]),
            // The steps that follow belong to another job.
            ("setup", "      - run: 'true'\n  never:\n    if: false\n    steps:", &["jobs.ci.steps[1].run"]),
            ("setup", "    other:", &["jobs.ci.steps[1]", "jobs.ci.other"]),
            // They are a text.
            ("setup", "      - run: |\n         echo\n        \\", &[]),
            ("jobs", "    if: false", &["jobs.ci.if"]),
            ("jobs", "      - run: 'true'", &[]),
            ("jobs", "permissions: write-all", &["permissions"]),
        ];
        for (name, lines, expected) in cases {
            assert_eq!(told(name, lines), *expected, "{name}: {lines}");
        }
    }
}
