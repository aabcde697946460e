//! The members of a workspace of packages, which of them use which, and which files each reads. It must not
//! know scripts.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use crate::base::path::RepoPath;
use crate::base::pattern::{Pattern, PatternBase};
use crate::base::{tool_files, yaml};
use crate::init::package_scripts::{FILE, Package, parse_package};
use crate::init::proposals::literal;
use crate::init::survey::{Folder, Survey};

/// The most paths outside of a package that its inputs name.
const MOST_PATHS: usize = 8;

/// Returns whether the folder `path` is in the workspace of `root`.
pub(super) fn is_member(root: &Folder, path: &str) -> bool {
    let base = RepoPath::from_git(root.path.as_bytes());
    let path = RepoPath::from_git(path.as_bytes());
    let (mut included, mut excluded) = (false, false);
    for text in patterns(root) {
        let (excludes, text) = text.strip_prefix('!').map_or((false, &*text), |rest| (true, rest));
        let text = text.trim_start_matches("./");
        let pattern = Pattern::parse(text.trim_end_matches('/'), PatternBase { base: &base, anchored: true });
        // A pattern also matches the contents of a folder that it matches, but only the folder itself is a
        // member.
        let exact =
            text.contains("**") || base.parts().count() + text.split('/').count() == path.parts().count();
        if path != base
            && path.is_within(&base)
            && exact
            && pattern.is_ok_and(|pattern| pattern.matches(&path))
        {
            if excludes { excluded = true } else { included = true }
        }
    }
    included && !excluded
}

/// Returns the patterns of the members of a workspace.
fn patterns(root: &Folder) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let manifest = root.text(FILE).and_then(parse_package);
    let listed = manifest.as_ref().and_then(|value| value.get("workspaces"));
    let mut patterns =
        listed.map(|listed| texts(listed.get("packages").unwrap_or(listed))).unwrap_or_default();
    let pnpm = root.text("pnpm-workspace.yaml").and_then(|text| yaml::parse(text).ok());
    patterns.extend(pnpm.iter().flat_map(|value| texts(&value["packages"])));
    patterns
}

/// A workspace: its root and its members.
pub(super) struct Workspace<'s> {
    /// The package at the root.
    pub(super) root: Package<'s>,
    /// The members.
    pub(super) members: Vec<Package<'s>>,
}

impl<'s> Workspace<'s> {
    /// Reads the members of a workspace.
    pub(super) fn read(survey: &'s Survey, root: Package<'s>) -> Self {
        let below = survey.folders().filter(|folder| is_member(root.folder, &folder.path));
        let members = below.filter_map(|folder| Package::read(survey, folder)).collect();
        Self { root, members }
    }

    /// Returns whether a selector such as a name or a path is for this member.
    pub(super) fn selects(&self, selector: Option<&str>, member: &Package<'_>) -> bool {
        let Some(selector) = selector else { return true };
        let selector = selector.trim_start_matches("./").trim_end_matches('/');
        let plain = selector.trim_start_matches("...").trim_end_matches("...");
        let below = member.folder.path.strip_prefix(&self.root.folder.path).unwrap_or_default();
        let below = below.trim_start_matches('/');
        member.name() == Some(plain)
            || below == plain
            || member.name().is_some_and(|name| plain == "*" || name.rsplit('/').next() == Some(plain))
            || plain.split_once('*').is_some_and(|(start, _)| below.starts_with(start))
    }

    /// Returns the members that a package depends on directly.
    pub(super) fn uses(&self, package: &Package<'_>) -> Vec<&Package<'s>> {
        let names = package.dependencies();
        let by_path = |version: &str| {
            let path = ["file:", "link:", "portal:"].iter().find_map(|start| version.strip_prefix(start))?;
            resolve(&package.folder.path, path)
        };
        self.members
            .iter()
            .filter(|member| member.folder.path != package.folder.path)
            .filter(|member| {
                names.iter().any(|(name, version)| {
                    member.name() == Some(*name) || by_path(version).as_ref() == Some(&member.folder.path)
                })
            })
            .collect()
    }

    /// Returns the folders of all members that a package depends on, directly or through others.
    fn used_folders(&self, package: &Package<'_>) -> BTreeSet<String> {
        let mut known = BTreeSet::new();
        let mut next: Vec<&Package<'_>> = self.uses(package);
        // The tools of the root, such as a shared configuration of eslint, are for all members.
        next.extend(self.uses(&self.root));
        while let Some(member) = next.pop() {
            if member.folder.path != package.folder.path && known.insert(member.folder.path.clone()) {
                next.extend(self.uses(member));
            }
        }
        known
    }

    /// Returns the inputs of a member's tasks; empty for the whole tree.
    pub(super) fn inputs(&self, survey: &Survey, package: &Package<'_>) -> Vec<String> {
        let used = self.used_folders(package);
        inputs(survey, package.folder, &used)
    }
}

/// Returns the inputs of a folder whose code uses those in other folders; empty for the whole tree.
pub(super) fn inputs(survey: &Survey, folder: &Folder, used: &BTreeSet<String>) -> Vec<String> {
    if folder.is_top() {
        return Vec::new();
    }
    let mut all = vec![folder.path.clone()];
    all.extend(used.iter().cloned());
    let folders = all.iter().filter_map(|path| survey.folder(path));
    let mut outside = BTreeSet::new();
    for folder in folders {
        for path in outside_paths(survey, folder) {
            let Some(path) = path else { return Vec::new() };
            outside.insert(path);
        }
    }
    outside.retain(|path| !all.iter().any(|own| path == own || path.starts_with(&format!("{own}/"))));
    if outside.len() > MOST_PATHS {
        return Vec::new();
    }
    let pattern = |path: &String| {
        let is_folder = survey.files_below(path).next().is_some();
        if is_folder { format!("{}/**", literal(path)) } else { literal(path) }
    };
    all.iter().chain(&outside).map(pattern).collect()
}

/// Returns the paths outside of a folder that its configuration names; `None` for the whole tree.
fn outside_paths(survey: &Survey, folder: &Folder) -> Vec<Option<String>> {
    let Ok(pattern) = Regex::new(r"(?:\.\./)+[\w@./-]*|\.\.(?:/\.\.)*['\x22]") else { return Vec::new() };
    let texts = folder.names().filter(|name| name.rsplit('.').next() != Some("yml") && *name != ".gitignore");
    let mut paths = Vec::new();
    for text in texts.filter_map(|name| folder.text(name)) {
        // What a package says of its repository is not about files.
        for found in pattern.find_iter(text) {
            let relative = found.as_str().trim_end_matches(['"', '\'']);
            let Some(path) = resolve(&folder.path, relative) else { continue };
            if path.is_empty() {
                paths.push(None);
            } else if path.contains("node_modules") || tool_files::known(path.as_bytes()).is_some() {
                // Dependencies are in the lock file, and configuration files are inputs already.
            } else if survey.has_file(&path) {
                paths.push(Some(path));
            } else {
                let endings = ["ts", "js", "mjs", "mts", "cjs", "json"];
                let files = endings.iter().map(|ending| format!("{path}.{ending}"));
                paths.extend(files.filter(|path| survey.has_file(path)).map(Some));
            }
        }
    }
    paths
}

/// Returns a path relative to `folder` as a path from the top; `None` if it is outside of the repository.
pub(super) fn resolve(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part if part.contains('*') => break,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
