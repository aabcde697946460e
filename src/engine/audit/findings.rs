//! Compares the trace of a task in a sandbox with its declarations: finds files of the repository that it
//! looked for or opened without declaring them. It is pure: it must not read files or format messages.
//!
//! A sandbox contains only declared files and files that the task made. So a path inside the sandbox can only
//! be undeclared if the task looked for it and did not find it. In the work tree itself, which a task reaches
//! by an absolute path or through parent folders, every opened file can be undeclared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use open_trace::{FileAccess, Trace};

use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::base::tool_files;
use crate::git::snapshot::{Mode, Snapshot, SnapshotEntry};

/// The declarations of a task, applied to the tree in which it was audited.
pub struct Declared<'a> {
    /// The tree.
    pub snapshot: &'a Snapshot,
    /// Its inputs, sorted by path.
    pub inputs: Vec<&'a SnapshotEntry>,
    /// Its own outputs, and those of the tasks that it needs.
    pub outputs: Vec<&'a Patterns>,
    /// The outputs of all other tasks, by their names.
    pub others: Vec<(&'a str, &'a Patterns)>,
    /// The folder that its patterns are relative to.
    pub base: RepoPath,
    /// Returns whether a file at this path would be an input if it existed.
    pub would_read: &'a dyn Fn(&RepoPath) -> bool,
}

/// The folders that are the top of the repository, or replace it.
pub struct AuditRoots<'a> {
    /// The sandbox.
    pub sandbox: &'a Path,
    /// The work trees outside of it.
    pub work_trees: &'a [PathBuf],
}

/// Something that exists in the work tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FsEntry {
    /// Whether it is a folder that is not empty.
    pub is_folder: bool,
    /// The target if it is a symlink or is reached through one; otherwise its own path.
    pub real_path: RepoPath,
}

/// How a task accessed an undeclared path, in increasing severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// It looked for it in its sandbox.
    LookedFor,
    /// It wrote or removed it in the work tree.
    Written,
    /// It listed the folder in the work tree.
    Listed,
    /// It read it in the work tree.
    Read,
    /// It executed it in the work tree.
    Executed,
}

/// The kind of an undeclared path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndeclaredKind {
    /// It is part of the tree, so it can be an input.
    Tree,
    /// Git ignores it, so it can't be an input.
    Ignored,
    /// Git's own folder.
    Git,
}

/// A path of the repository that a task accessed without declaring it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct UndeclaredPath {
    /// The path; for ignored files, the highest folder that contains only ignored files.
    pub path: RepoPath,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// How the task accessed it.
    pub access: Access,
    /// Its kind.
    pub kind: UndeclaredKind,
    /// How many accessed paths are at or below it.
    pub seen: usize,
    /// The pattern for tasks.toml that would declare it.
    pub pattern: Option<String>,
    /// The task whose output it is.
    pub made_by: Option<String>,
}

/// Configuration files of a known tool that a task looked for and that don't exist. If one is added later, it
/// would be read without being an input.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MissingConfig {
    /// The first of these paths.
    pub path: RepoPath,
    /// In how many folders the task looked for it.
    pub folders: usize,
    /// The pattern for tasks.toml that declares it in all folders.
    pub pattern: String,
}

/// What was found in a trace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditFindings {
    /// The undeclared paths, sorted.
    pub findings: Vec<UndeclaredPath>,
    /// Missing and undeclared configuration files, by pattern.
    pub missing_configs: Vec<MissingConfig>,
    /// Declared files that were never opened.
    pub unopened: Vec<RepoPath>,
    /// Whether it looked for a git repository.
    pub looked_for_git: bool,
}

/// Whether a path is inside or outside the sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Inside,
    Outside,
}

/// Compares a trace with the declarations. `look` returns what exists at a path of the work tree.
pub fn evaluate(
    trace: &Trace,
    declared: &Declared<'_>,
    roots: &AuditRoots<'_>,
    look: &dyn Fn(&RepoPath) -> Option<FsEntry>,
) -> AuditFindings {
    let mut evaluation = Evaluation {
        declared,
        look,
        found: BTreeMap::new(),
        missing_configs: BTreeMap::new(),
        looked_for_git: false,
    };
    let mut opened: Vec<RepoPath> = Vec::new();
    for seen in &trace.files {
        let Some((side, path)) = roots.locate(seen.path.as_path()) else { continue };
        if seen.accesses.contains(&open_trace::Access::Read)
            || seen.accesses.contains(&open_trace::Access::Executed)
        {
            opened.push(path.clone());
        }
        if let Some(how) = access(side, seen) {
            evaluation.record(&path, how);
        }
        if seen.accesses.iter().all(|how| *how == open_trace::Access::Missing) {
            evaluation.record_missing(&path);
        }
    }
    opened.sort_unstable();
    let files = declared.inputs.iter().filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable));
    let unopened = files.filter(|entry| opened.binary_search(&entry.path).is_err());
    let absent = evaluation.missing_config();
    AuditFindings {
        unopened: unopened.map(|entry| entry.path.clone()).collect(),
        findings: evaluation.found.into_values().collect(),
        missing_configs: absent,
        looked_for_git: evaluation.looked_for_git,
    }
}

/// Returns the most severe access of a path; `None` if no access of it on this side can be a finding.
fn access(side: Side, seen: &FileAccess) -> Option<Access> {
    let is = |how| seen.accesses.contains(&how);
    match side {
        Side::Inside => {
            seen.accesses.iter().all(|how| *how == open_trace::Access::Missing).then_some(Access::LookedFor)
        }
        Side::Outside if is(open_trace::Access::Executed) => Some(Access::Executed),
        Side::Outside if is(open_trace::Access::Read) => Some(Access::Read),
        Side::Outside if is(open_trace::Access::Listed) => Some(Access::Listed),
        Side::Outside if is(open_trace::Access::Written) => Some(Access::Written),
        Side::Outside => None,
    }
}

impl AuditRoots<'_> {
    /// Returns the path of the repository that an absolute path means.
    fn locate(&self, path: &Path) -> Option<(Side, RepoPath)> {
        let below = |top: &Path| path.strip_prefix(top).ok().map(repo_path);
        if let Some(path) = below(self.sandbox) {
            return Some((Side::Inside, path));
        }
        // Files beside the sandbox's tree don't belong to the repository.
        if self.sandbox.parent().is_some_and(|folder| path.starts_with(folder)) {
            return None;
        }
        self.work_trees.iter().find_map(|top| below(top)).map(|path| (Side::Outside, path))
    }
}

/// Returns a path below the top, as git writes it.
pub fn repo_path(path: &Path) -> RepoPath {
    use std::os::unix::ffi::OsStrExt as _;
    RepoPath::from_git(path.as_os_str().as_bytes())
}

struct Evaluation<'a> {
    declared: &'a Declared<'a>,
    look: &'a dyn Fn(&RepoPath) -> Option<FsEntry>,
    found: BTreeMap<RepoPath, UndeclaredPath>,
    /// Paths at which a known configuration file was looked for, by pattern.
    missing_configs: BTreeMap<String, BTreeSet<RepoPath>>,
    looked_for_git: bool,
}

impl Evaluation<'_> {
    /// Records a path that does not exist, if a file there would configure a known tool and is not declared.
    fn record_missing(&mut self, path: &RepoPath) {
        let Some(pattern) = tool_files::known(path.bytes()) else { return };
        let declared = self.declared;
        let is_tree = path.parts().next() != Some(b".git") && declared.submodule_of(path).is_none();
        // A file in an ignored folder, such as `node_modules`, can't be an input.
        let has_folder = path
            .parent()
            .is_none_or(|folder| folder.is_top() || !declared.snapshot.entries_in(&folder).is_empty());
        if is_tree
            && (has_folder || pattern.matches('/').count() > 1)
            && (self.look)(path).is_none()
            && !(declared.would_read)(path)
            && !declared.outputs.iter().any(|outputs| outputs.matches(path))
        {
            self.missing_configs.entry(pattern).or_default().insert(path.clone());
        }
    }

    fn missing_config(&mut self) -> Vec<MissingConfig> {
        let absent = std::mem::take(&mut self.missing_configs).into_iter().filter_map(|(pattern, paths)| {
            let up = self.declared.base.parts().count();
            let folders: BTreeSet<RepoPath> = paths.iter().filter_map(RepoPath::parent).collect();
            Some(MissingConfig {
                path: paths.first()?.clone(),
                folders: folders.len(),
                pattern: "../".repeat(up) + &pattern,
            })
        });
        absent.collect()
    }

    fn record(&mut self, path: &RepoPath, how: Access) {
        if path.parts().next() == Some(b".git") {
            match how {
                Access::LookedFor => self.looked_for_git = true,
                _ => self.add(RepoPath::from_git(&b".git"[..]), true, how, UndeclaredKind::Git, path),
            }
            return;
        }
        match how {
            Access::LookedFor => {
                let Some(real) = (self.look)(path) else { return };
                // A symlink may be declared without its target, or the target without the symlink.
                if real.real_path != *path {
                    self.record_undeclared(&real.real_path, real.is_folder, how);
                    if self.declared.snapshot.get(path).is_none() {
                        return;
                    }
                }
                self.record_undeclared(path, real.is_folder && real.real_path == *path, how);
            }
            Access::Listed => self.record_undeclared(path, true, how),
            _ => self.record_undeclared(path, false, how),
        }
    }

    /// Records an access unless the path is declared.
    fn record_undeclared(&mut self, path: &RepoPath, is_folder: bool, how: Access) {
        let declared = self.declared;
        if declared.covers(path, is_folder) {
            return;
        }
        if let Some(submodule) = declared.submodule_of(path) {
            if declared.has_input(submodule) {
                // All files of it that git does not ignore were in the sandbox.
                if how == Access::LookedFor {
                    self.add(path.clone(), is_folder, how, UndeclaredKind::Ignored, path);
                }
            } else {
                self.add(submodule.clone(), true, how, UndeclaredKind::Tree, path);
            }
            return;
        }
        let snapshot = declared.snapshot;
        if snapshot.get(path).is_some() || is_folder && !snapshot.entries_in(path).is_empty() {
            self.add(path.clone(), is_folder, how, UndeclaredKind::Tree, path);
            return;
        }
        let top = declared.ignored_top(path);
        let is_folder = is_folder || top != *path;
        self.add(top, is_folder, how, UndeclaredKind::Ignored, path);
    }

    fn add(&mut self, at: RepoPath, is_folder: bool, how: Access, is: UndeclaredKind, path: &RepoPath) {
        let declared = self.declared;
        let made_by = declared.others.iter().find(|(_, outputs)| outputs.matches(path));
        let made_by = made_by.map(|(name, _)| (*name).to_owned());
        if let Some(known) = self.found.get_mut(&at) {
            known.seen += 1;
            known.access = known.access.max(how);
            known.made_by = known.made_by.take().or(made_by);
            return;
        }
        let pattern = (is == UndeclaredKind::Tree).then(|| pattern(&declared.base, &at, is_folder)).flatten();
        let finding =
            UndeclaredPath { path: at.clone(), is_folder, access: how, kind: is, seen: 1, pattern, made_by };
        self.found.insert(at, finding);
    }
}

impl Declared<'_> {
    /// Returns whether this exact path is an input.
    fn has_input(&self, path: &RepoPath) -> bool {
        self.inputs.binary_search_by(|entry| entry.path.cmp(path)).is_ok()
    }

    /// Returns whether a path is declared. A folder is declared if all its files in the tree are.
    fn covers(&self, path: &RepoPath, is_folder: bool) -> bool {
        if self.has_input(path) || self.outputs.iter().any(|outputs| outputs.matches(path)) {
            return true;
        }
        if !is_folder {
            return false;
        }
        let below = self.snapshot.entries_in(path);
        let is_declared = |entry: &SnapshotEntry| {
            self.has_input(&entry.path) || self.outputs.iter().any(|outputs| outputs.matches(&entry.path))
        };
        let leads_to_outputs =
            || self.outputs.iter().any(|outputs| outputs.folders().iter().any(|to| to.is_within(path)));
        below.iter().all(is_declared) && (!below.is_empty() || leads_to_outputs())
    }

    /// Returns the submodule that contains a path.
    fn submodule_of(&self, path: &RepoPath) -> Option<&RepoPath> {
        let mut folders = std::iter::successors(path.parent(), RepoPath::parent);
        let entry = folders.find_map(|folder| self.snapshot.get(&folder))?;
        (entry.mode == Mode::Submodule).then_some(&entry.path)
    }

    /// Returns the highest folder, at or above a path, that has no file in the tree.
    fn ignored_top(&self, path: &RepoPath) -> RepoPath {
        let upwards = std::iter::successors(Some(path.clone()), RepoPath::parent);
        let foreign = upwards.take_while(|at| !at.is_top() && self.snapshot.entries_in(at).is_empty());
        foreign.last().unwrap_or_else(|| path.clone())
    }
}

/// Returns the pattern for a path in a tasks.toml in `base`; `None` if it is not UTF-8.
fn pattern(base: &RepoPath, path: &RepoPath, is_folder: bool) -> Option<String> {
    let mut up = 0;
    let mut common = base.clone();
    while !path.is_within(&common) {
        common = common.parent()?;
        up += 1;
    }
    let rest: Vec<&[u8]> = path.parts().skip(common.parts().count()).collect();
    let rest = String::from_utf8(rest.join(&b'/')).ok()?;
    let mut text = "../".repeat(up) + &escaped(&rest);
    if is_folder {
        text.push_str(if rest.is_empty() { "**" } else { "/**" });
    }
    // At the start of a pattern these have a special meaning.
    Some(if text.starts_with(['@', '!']) { format!("./{text}") } else { text })
}

fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '\\' | '*' | '?' | '[' | ']' | '{' | '}') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::pattern::{Item, Matcher, Pattern, PatternBase};
    use crate::git::snapshot::ContentId;
    use open_trace::FilePath;

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    fn patterns(texts: &[&str]) -> Patterns {
        let origin = PatternBase { base: &RepoPath::top(), anchored: true };
        let one = |text: &&str| Matcher::Pattern(Pattern::parse(text, origin).unwrap());
        Patterns::new(texts.iter().map(|text| Item::including(one(text))).collect())
    }

    fn snapshot() -> Snapshot {
        let entry = |(text, mode): (&str, Mode)| SnapshotEntry {
            path: path(text),
            mode,
            id: ContentId([0; 20]),
            stat: None,
            tracked: true,
            not_checked_out: false,
        };
        let files = ["a", "docs/x", "docs/y", "src/in", "src/out", "link"];
        let entries = files.map(|text| (text, Mode::File)).into_iter();
        Snapshot::new(
            entries
                .chain([("lib/mine", Mode::Submodule), ("lib/other", Mode::Submodule)])
                .map(entry)
                .collect(),
        )
    }

    /// Returns the findings for a trace with these accesses, as `path PathKind Access seen pattern`.
    fn findings(seen: &[(&str, &[open_trace::Access])]) -> Vec<String> {
        let found = judged(seen).findings.into_iter().map(|f| {
            let path = if f.is_folder { format!("{}/", f.path) } else { f.path.to_string() };
            let made = f.made_by.map(|name| format!(" by {name}")).unwrap_or_default();
            format!("{path} {:?} {:?} {} {}{made}", f.kind, f.access, f.seen, f.pattern.unwrap_or_default())
        });
        found.collect()
    }

    fn judged(seen: &[(&str, &[open_trace::Access])]) -> AuditFindings {
        let snapshot = snapshot();
        let (own, other) = (patterns(&["dist/**"]), patterns(&["made/**"]));
        let inputs = ["a", "lib/mine", "src/in"].map(|text| snapshot.get(&path(text)).unwrap());
        let declared = Declared {
            snapshot: &snapshot,
            inputs: inputs.to_vec(),
            outputs: vec![&own],
            others: vec![("maker", &other)],
            base: path("src"),
            would_read: &|path| path.to_string().starts_with("src/in"),
        };
        let trees = [PathBuf::from("/repo")];
        let roots = AuditRoots { sandbox: Path::new("/cache/repo-1/sandboxes/r-1/tree"), work_trees: &trees };
        let files = seen.iter().map(|(at, how)| {
            let at = match at.strip_prefix('/') {
                Some(_) => PathBuf::from(at),
                None => roots.sandbox.join(at),
            };
            FileAccess { path: FilePath::new(&at), accesses: how.to_vec(), first: None }
        });
        let trace = Trace { doubts: Vec::new(), files: files.collect(), ..Trace::default() };
        evaluate(&trace, &declared, &roots, &|at| {
            let at = at.to_string();
            let folder = ["docs", "node_modules", "target", "dist", "made"].contains(&&*at);
            let file = ["docs/x", "src/out", ".env", "dist/old", "made/x", "lib/mine/cache", "lib/other/f"];
            let ignored = at.starts_with("node_modules/") || at.starts_with("target/");
            let place = if at == "link" { path("docs/y") } else { path(&at) };
            (folder || ignored || file.contains(&&*at) || at == "link")
                .then_some(FsEntry { is_folder: folder, real_path: place })
        })
    }

    const GONE: &[open_trace::Access] = &[open_trace::Access::Missing];

    #[test]
    fn in_a_sandbox_only_missing_paths_are_undeclared() {
        let made: &[open_trace::Access] =
            &[open_trace::Access::Missing, open_trace::Access::Written, open_trace::Access::Read];
        for (seen, expected) in [
            (("docs/x", GONE), vec!["docs/x Tree LookedFor 1 ../docs/x"]),
            (("src/out", GONE), vec!["src/out Tree LookedFor 1 out"]),
            (("docs", GONE), vec!["docs/ Tree LookedFor 1 ../docs/**"]),
            (("src/in", &[open_trace::Access::Read]), vec![]),
            (("nowhere", GONE), vec![]),
            (("docs/x", made), vec![]),
            (("dist/old", GONE), vec![]),
            (("dist", GONE), vec![]),
            (("made/x", GONE), vec!["made/ Ignored LookedFor 1  by maker"]),
            ((".env", GONE), vec![".env Ignored LookedFor 1 "]),
            (("link", GONE), vec!["docs/y Tree LookedFor 1 ../docs/y", "link Tree LookedFor 1 ../link"]),
            (("lib/mine/cache", GONE), vec!["lib/mine/cache Ignored LookedFor 1 "]),
            (("lib/other/f", GONE), vec!["lib/other/ Tree LookedFor 1 ../lib/other/**"]),
        ] {
            assert_eq!(findings(&[seen]), expected, "{seen:?}");
        }
    }

    #[test]
    fn in_the_work_tree_every_undeclared_path_counts() {
        for (seen, expected) in [
            (("/repo/docs/x", &[open_trace::Access::Read][..]), vec!["docs/x Tree Read 1 ../docs/x"]),
            (
                ("/repo/docs/x", &[open_trace::Access::Executed, open_trace::Access::Read]),
                vec!["docs/x Tree Executed 1 ../docs/x"],
            ),
            (("/repo/docs", &[open_trace::Access::Listed]), vec!["docs/ Tree Listed 1 ../docs/**"]),
            (("/repo", &[open_trace::Access::Listed]), vec!["/ Tree Listed 1 ../**"]),
            (("/repo/src/in", &[open_trace::Access::Read]), vec![]),
            (("/repo/lib/mine/f", &[open_trace::Access::Read]), vec![]),
            (
                ("/repo/lib/other/f", &[open_trace::Access::Read]),
                vec!["lib/other/ Tree Read 1 ../lib/other/**"],
            ),
            (("/repo/new", &[open_trace::Access::Written]), vec!["new Ignored Written 1 "]),
            (("/repo/docs/x", GONE), vec![]),
            (("/repo/.git/HEAD", &[open_trace::Access::Read]), vec![".git/ Git Read 1 "]),
            (("/cache/repo-1/sandboxes/r-1/report", &[open_trace::Access::Read]), vec![]),
            (("/repository/docs/x", &[open_trace::Access::Read]), vec![]),
            (("/etc/passwd", &[open_trace::Access::Read]), vec![]),
        ] {
            assert_eq!(findings(&[seen]), expected, "{seen:?}");
        }
    }

    #[test]
    fn missing_configuration_is_reported_with_its_pattern() {
        let seen = [
            ("clippy.toml", GONE),
            ("src/clippy.toml", GONE),
            ("/repo/clippy.toml", GONE),
            ("src/.cargo/config.toml", GONE),
            ("vendor/x/package.json", GONE),
            ("src/in/package.json", GONE),
            (".git/package.json", GONE),
            ("dist/package.json", GONE),
            ("lib/mine/clippy.toml", GONE),
            ("nothing.toml", GONE),
        ];
        let judged = judged(&seen);
        assert_eq!(judged.findings, []);
        let shown =
            judged.missing_configs.iter().map(|it| format!("{} {} {}", it.path, it.folders, it.pattern));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            ["src/.cargo/config.toml 1 ../**/.cargo/**", "clippy.toml 2 ../**/clippy.toml"]
        );
    }

    #[test]
    fn ignored_files_are_grouped_by_folder() {
        let seen = [
            ("node_modules", GONE),
            ("/repo/node_modules/a/b", &[open_trace::Access::Read]),
            ("/repo/node_modules/c", &[open_trace::Access::Listed]),
        ];
        assert_eq!(findings(&seen), ["node_modules/ Ignored Read 3 "]);
    }

    #[test]
    fn search_for_a_repository_is_not_a_finding() {
        let judged = judged(&[(".git", GONE)]);
        assert!(judged.looked_for_git && judged.findings.is_empty());
    }

    #[test]
    fn unopened_inputs_are_reported() {
        let unopened = |seen| judged(seen).unopened.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(unopened(&[("src/in", &[open_trace::Access::Read])]), ["a"]);
        assert_eq!(unopened(&[("src/in", GONE), ("/repo/a", &[open_trace::Access::Executed])]), ["src/in"]);
    }

    #[test]
    fn patterns_are_relative_to_tasks_toml() {
        for (base, at, is_folder, expected) in [
            ("", "a", false, "a"),
            ("", "a/b", true, "a/b/**"),
            ("", "", true, "**"),
            ("x/y", "x/z", false, "../z"),
            ("x/y", "x/y/z", false, "z"),
            ("x", "a[1].txt", false, "../a\\[1\\].txt"),
            ("", "@types", true, "./@types/**"),
            ("", "!a", false, "./!a"),
        ] {
            let text = pattern(&path(base), &path(at), is_folder).unwrap();
            assert_eq!(text, expected, "{base} {at}");
            let base = path(base);
            let read = Pattern::parse(&text, PatternBase { base: &base, anchored: false }).unwrap();
            assert!(read.matches(&if is_folder { path(at).child(b"f") } else { path(at) }), "{text}");
        }
        assert_eq!(pattern(&path(""), &RepoPath::from_git(&b"\xff"[..]), false), None);
    }
}
