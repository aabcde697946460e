//! Checks the file patterns of a plan on a tree.
//!
//! To find out that a pattern matches something, the first entries of its folder are usually enough. Only if
//! it matches nothing, a reason is looked for, and only for as many patterns as are listed.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Pattern, Patterns, SourceSpan};
use crate::base::pattern_overlap::{Shape, Shapes};
use crate::config::diagnostic::Diagnostics;
use crate::config::model::{Config, SourceLocation, Task, TaskId};
use crate::config::{self, Refusal};
use crate::config_lint::advice::{self, Advisor};
use crate::config_lint::matching::{first_match, is_below_link, matched, shapes};
use crate::config_lint::{EffectReport, TreeLookup, Warnings};
use crate::config_warning::{NoEffect, Problem, Warning};
use crate::git::snapshot::{Mode, Snapshot, SnapshotEntry};
use crate::graph::{Graph, Node, NodeId, Role};
use crate::key::inputs::InputSet;

/// How many tasks a warning or an error names.
const MAX_NAMED: usize = 3;

/// Checks the patterns of all tasks in `graph` and of the services they use. At most `most` warnings get a
/// reason.
pub fn check(
    config: &Config,
    graph: &Graph,
    snapshot: &Snapshot,
    tree: &dyn TreeLookup,
    limit: usize,
) -> EffectReport {
    let mut check = Check {
        config,
        graph,
        snapshot,
        tree,
        files: config.files.iter().enumerate().map(|(i, file)| (file.name.as_str(), i)).collect(),
        first_match: HashMap::new(),
        checked_lists: HashMap::new(),
        is_excused: false,
        outputs: HashMap::new(),
        found: BTreeMap::new(),
        empty: BTreeMap::new(),
    };
    let nodes: Vec<&Node> = graph.ids().map(|id| graph.node(id)).collect();
    let read_whole_folder: Vec<bool> =
        nodes.par_iter().map(|node| reads_whole_folder(config, graph, snapshot, node)).collect();
    for (id, is_known) in graph.ids().zip(read_whole_folder) {
        check.check_task(id, is_known);
    }
    EffectReport { refused: check.refused(), warnings: check.warnings(limit) }
}

/// Returns whether the inputs of a task contain a folder with everything in it, and the folder's first file is an
/// input. This takes little time, and nearly all tasks have such a folder.
fn reads_whole_folder(config: &Config, graph: &Graph, snapshot: &Snapshot, node: &Node) -> bool {
    let inputs = InputSet::new(config, graph, node);
    included_patterns(&config.task(node.task).inputs).iter().any(|(_, pattern)| {
        pattern.components().is_empty()
            && snapshot.first_in(pattern.folder()).is_some_and(|first| {
                let own = &config.task(node.task).inputs;
                own.matches(&first.path) && !is_below_link(pattern, first) && inputs.contains(&first.path)
            })
    })
}

/// Where a pattern is written: the number of its file, and its position there.
type PatternPosition = (usize, usize);

struct Check<'a> {
    config: &'a Config,
    graph: &'a Graph,
    snapshot: &'a Snapshot,
    tree: &'a dyn TreeLookup,
    /// The numbers of the config's files.
    files: HashMap<&'a str, usize>,
    /// The first file that each pattern matches.
    first_match: HashMap<&'a Pattern, Option<&'a SnapshotEntry>>,
    /// Lists without errors, by their places. Variants of a matrix may have different lists at the same
    /// place.
    checked_lists: HashMap<PatternPosition, &'a Patterns>,
    /// Whether a pattern was excused by a needed task, which another task may not need.
    is_excused: bool,
    /// The shapes of the outputs of tasks.
    outputs: HashMap<TaskId, Shapes>,
    found: BTreeMap<(PatternPosition, String), IneffectiveItem<'a>>,
    empty: BTreeMap<PatternPosition, EmptyInputs<'a>>,
}

/// An item without effect.
struct IneffectiveItem<'a> {
    item: &'a Item,
    cause: IneffectiveCause,
    tasks: Vec<TaskId>,
}

#[derive(Clone, PartialEq, Eq)]
enum IneffectiveCause {
    NoFile,
    ExcludesNoFile,
    ExcludesNothing(NoEffect),
    /// It matches a symlink, and nothing in the folder that this leads to.
    LinkAlone {
        to: RepoPath,
    },
}

/// Inputs that match no file.
struct EmptyInputs<'a> {
    patterns: &'a Patterns,
    /// Whether they match only the task's own outputs.
    is_own_output: bool,
    tasks: Vec<TaskId>,
}

impl<'a> Check<'a> {
    fn advisor(&self) -> Advisor<'a> {
        Advisor { config: self.config, snapshot: self.snapshot, tree: self.tree }
    }

    /// Checks the patterns of a task. `has_inputs` is whether it is known to have inputs.
    fn check_task(&mut self, id: NodeId, has_inputs: bool) {
        let (config, graph) = (self.config, self.graph);
        let node = graph.node(id);
        let task = config.task(node.task);
        if node.role == Role::Context || task.is_aggregate() || task.is_gate() {
            return;
        }
        self.check_owned_list(&task.place, &task.inputs, node);
        for service in &task.env.uses {
            let service = &config.service(*service);
            self.check_owned_list(&service.place, &service.inputs, node);
        }
        if !has_inputs {
            self.check_inputs_together(task, node);
        }
        self.outputs(task, node.task);
    }

    /// Checks the exclusions of a task's outputs against its other patterns. Files are not checked, since
    /// the task may write different ones each time.
    fn outputs(&mut self, task: &'a Task, id: TaskId) {
        let items = task.outputs.items();
        for (i, item) in items.iter().enumerate().filter(|(_, item)| item.excludes && !item.may_miss) {
            let Matcher::Pattern(pattern) = &item.matcher else { continue };
            let shape = Shape::new(pattern);
            let meets = |item: &&Item| matches!(&item.matcher, Matcher::Pattern(other) if !item.excludes && shape.meets(&Shape::new(other)));
            let covers = |item: &&Item| matches!(&item.matcher, Matcher::Pattern(other) if !item.excludes && Shape::new(other).covers(&shape));
            let reason = if let Some(by) = items[i + 1..].iter().find(covers) {
                NoEffect::IncludedLater { by: quoted(by) }
            } else if !items[..i].iter().any(|item| meets(&item)) {
                NoEffect::NotIncluded
            } else {
                continue;
            };
            let (Some(file), SourceSpan(Some(span))) = (self.files.get(task.place.file.as_str()), &item.span)
            else {
                continue;
            };
            let found = self.found.entry(((*file, span.start), item.text()));
            let cause = IneffectiveCause::ExcludesNothing(reason);
            let found = found.or_insert_with(|| IneffectiveItem { item, cause, tasks: Vec::new() });
            found.tasks.push(id);
        }
    }

    /// Checks each item of a list in the file of `place` that the task of `node` uses.
    fn check_owned_list(&mut self, place: &SourceLocation, patterns: &'a Patterns, node: &Node) {
        let Some(file) = self.files.get(place.file.as_str()).copied() else { return };
        self.is_excused = false;
        self.check_list(file, patterns, node);
    }

    fn check_list(&mut self, file: usize, patterns: &'a Patterns, node: &Node) -> bool {
        let items = patterns.items();
        let start = items.first().and_then(|item| item.span.0.as_ref()).map_or(0, |span| span.start);
        if self.checked_lists.get(&(file, start)).is_some_and(|known| *known == patterns) {
            return true;
        }
        let mut is_effective = true;
        for (i, item) in items.iter().enumerate() {
            if let Matcher::Set { patterns, .. } = &item.matcher {
                is_effective &= self.check_list(file, patterns, node);
            }
            let Some(cause) = self.ineffective_cause(items, i, node) else { continue };
            is_effective = false;
            let SourceSpan(Some(span)) = &item.span else { continue };
            let found = self.found.entry(((file, span.start), item.text()));
            let found = found.or_insert_with(|| IneffectiveItem { item, cause, tasks: Vec::new() });
            if !found.tasks.contains(&node.task) {
                found.tasks.push(node.task);
            }
        }
        if is_effective && !self.is_excused {
            self.checked_lists.insert((file, start), patterns);
        }
        is_effective
    }

    /// Returns why an item has no effect; `None` if it has one.
    fn ineffective_cause(&mut self, items: &'a [Item], i: usize, node: &Node) -> Option<IneffectiveCause> {
        let item = &items[i];
        if item.may_miss {
            return None;
        }
        if item.excludes {
            return self.exclusion_cause(items, i);
        }
        let Matcher::Pattern(pattern) = &item.matcher else { return None };
        if pattern.is_deep() && !advice::looks_mistaken(pattern.text()) {
            return None;
        }
        match self.first_match(pattern) {
            Some(entry) if is_below_link(pattern, entry) => Some(IneffectiveCause::NoFile),
            Some(entry) if entry.mode == Mode::Symlink => {
                self.link_alone(items, pattern, entry).map(|to| IneffectiveCause::LinkAlone { to })
            }
            Some(_) => None,
            None => (!self.is_output_of_need(pattern, node) && !self.tree.is_absent(pattern))
                .then_some(IneffectiveCause::NoFile),
        }
    }

    /// Returns the folder that a symlink leads to, if a pattern names the symlink and the list matches
    /// nothing in that folder.
    fn link_alone(&self, items: &[Item], pattern: &Pattern, link: &SnapshotEntry) -> Option<RepoPath> {
        if pattern.literal() != Some(&link.path) && advice::name_of(pattern).is_none() {
            return None;
        }
        let to = link.path.parent()?.join(&self.tree.link(&link.path)?)?;
        let is_read =
            |entry: &SnapshotEntry| items.iter().any(|item| !item.excludes && matched(&[item], &entry.path));
        let below = self.snapshot.entries_in(&to);
        let is_folder = below.first().is_some_and(|entry| entry.path != to);
        (is_folder && !to.is_top() && !below.iter().any(is_read)).then_some(to)
    }

    /// Returns why an exclusion has no effect; `None` if it has one.
    fn exclusion_cause(&mut self, items: &'a [Item], i: usize) -> Option<IneffectiveCause> {
        let item = &items[i];
        if let Matcher::Pattern(pattern) = &item.matcher
            && (!pattern.is_deep() || advice::looks_mistaken(pattern.text()))
            && self.first_match(pattern).is_none()
        {
            let is_slip = advice::looks_mistaken(pattern.text());
            // The exclusion may be for files that are there only sometimes.
            let is_expected = !self.snapshot.entries_in(pattern.folder()).is_empty()
                || self.tree.ignores(pattern.folder())
                || self.tree.is_absent(pattern)
                || self.is_output(pattern);
            return (is_slip || !is_expected).then_some(IneffectiveCause::ExcludesNoFile);
        }
        let adds = |items: &[Item]| items.iter().any(|item| !item.excludes);
        let starts_whole = items.iter().all(|item| item.excludes);
        if !starts_whole && !adds(&items[..i]) {
            return Some(IneffectiveCause::ExcludesNothing(
                match items[i + 1..].iter().find(|item| !item.excludes) {
                    Some(by) if self.meets(item, &[by]) => NoEffect::IncludedLater { by: quoted(by) },
                    _ => NoEffect::NotIncluded,
                },
            ));
        }
        let Matcher::Pattern(pattern) = &item.matcher else { return None };
        let later: Vec<&Item> = items[i + 1..].iter().filter(|item| !item.excludes).collect();
        if pattern.is_deep() && later.is_empty() {
            return None;
        }
        let below =
            || self.snapshot.entries_in(pattern.folder()).iter().filter(|entry| pattern.matches(&entry.path));
        if !starts_whole {
            let before: Vec<&Item> = items[..i].iter().filter(|item| !item.excludes).collect();
            if !pattern.is_deep() && !below().any(|entry| matched(&before, &entry.path)) {
                return below().next().map(|_| IneffectiveCause::ExcludesNothing(NoEffect::NotIncluded));
            }
        }
        if later.is_empty() || below().any(|entry| !matched(&later, &entry.path)) {
            return None;
        }
        let first = below().next()?;
        let by = later.iter().find(|item| matched(&[**item], &first.path))?;
        Some(IneffectiveCause::ExcludesNothing(NoEffect::IncludedLater { by: quoted(by) }))
    }

    /// Returns whether a file matches `item` and one of `others`.
    fn meets(&self, item: &Item, others: &[&Item]) -> bool {
        self.snapshot
            .entries()
            .iter()
            .any(|entry| matched(&[item], &entry.path) && matched(others, &entry.path))
    }

    /// Returns the first file that a pattern matches, or the submodule that it leads into.
    fn first_match(&mut self, pattern: &'a Pattern) -> Option<&'a SnapshotEntry> {
        let snapshot = self.snapshot;
        // Everything below a folder matches, so the first entry does.
        if pattern.components().is_empty() {
            return first_match(snapshot, pattern);
        }
        *self.first_match.entry(pattern).or_insert_with(|| first_match(snapshot, pattern))
    }

    /// Returns whether a task that `node` needs, directly or not, may write a match of the pattern.
    fn is_output_of_need(&mut self, pattern: &Pattern, node: &Node) -> bool {
        let wanted = shapes(pattern);
        let mut seen = HashSet::new();
        let mut open: Vec<NodeId> = node.needs.clone();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let needed = self.graph.node(id);
            if self.writes(needed.task, &wanted) {
                self.is_excused = true;
                return true;
            }
            open.extend(&needed.needs);
        }
        false
    }

    /// Returns whether any task may write a match of the pattern.
    fn is_output(&mut self, pattern: &Pattern) -> bool {
        let wanted = shapes(pattern);
        self.config.ids().any(|id| self.writes(id, &wanted))
    }

    fn writes(&mut self, id: TaskId, wanted: &Shapes) -> bool {
        let task = self.config.task(id);
        if task.outputs.is_empty() {
            return false;
        }
        let outputs = self.outputs.entry(id).or_insert_with(|| Shapes::new(&task.outputs));
        wanted.overlap(outputs).is_some()
    }

    /// Checks the inputs of a task together.
    fn check_inputs_together(&mut self, task: &'a Task, node: &Node) {
        let patterns = &task.inputs;
        let is_written = patterns.items().first().is_some_and(|item| item.span.0.is_some());
        if !is_written || may_miss(patterns) {
            return;
        }
        let sources: Vec<&Patterns> =
            node.sources.iter().map(|id| &self.config.task(self.graph.node(*id).task).outputs).collect();
        let is_read = |path: &RepoPath| {
            !task.outputs.matches(path) && !sources.iter().any(|outputs| outputs.matches(path))
        };
        // A deep pattern may need a look at the whole tree, so it comes last.
        let of = |deep| {
            included_patterns(patterns).into_iter().filter(move |(_, pattern)| pattern.is_deep() == deep)
        };
        for (_, pattern) in of(false).chain(of(true)) {
            let Some(entry) = self.first_match(pattern).filter(|entry| !is_below_link(pattern, entry)) else {
                continue;
            };
            let leads_inside = entry.mode == Mode::Submodule && !pattern.matches(&entry.path);
            if leads_inside || patterns.matches(&entry.path) && is_read(&entry.path) {
                return;
            }
        }
        let folders = patterns.folders();
        let below = || folders.iter().flat_map(|folder| self.snapshot.entries_in(folder));
        let adding = included_patterns(patterns);
        let counts = |entry: &SnapshotEntry| {
            adding.is_empty()
                || adding
                    .iter()
                    .any(|(_, pattern)| pattern.matches(&entry.path) && !is_below_link(pattern, entry))
        };
        let matching = || below().filter(|entry| patterns.matches(&entry.path) && counts(entry));
        if matching().any(|entry| !task.outputs.matches(&entry.path)) {
            return;
        }
        if adding.iter().any(|(_, pattern)| {
            self.leads_into_submodule(pattern)
                || self.is_output_of_need(pattern, node)
                || self.tree.is_absent(pattern)
        }) {
            return;
        }
        let is_own_output = matching().next().is_some();
        let Some(file) = self.files.get(task.place.file.as_str()).copied() else { return };
        let Some(SourceSpan(Some(span))) = patterns.items().first().map(|item| &item.span) else { return };
        let empty = self.empty.entry((file, span.start));
        let empty = empty.or_insert_with(|| EmptyInputs { patterns, is_own_output, tasks: Vec::new() });
        empty.tasks.push(node.task);
    }

    fn leads_into_submodule(&self, pattern: &Pattern) -> bool {
        first_match(self.snapshot, pattern).is_some_and(|entry| entry.mode == Mode::Submodule)
    }

    fn refused(&self) -> Option<Diagnostics> {
        if self.empty.is_empty() {
            return None;
        }
        let found = self.empty.iter().map(|((file, _), empty)| self.refusal(*file, empty));
        Some(config::refuse(self.config, found.collect()))
    }

    fn refusal(&self, file: usize, empty: &EmptyInputs<'a>) -> Refusal {
        let items = empty.patterns.items();
        let span = |item: &Item| item.span.0.clone().unwrap_or_default();
        let names = self.names(&empty.tasks);
        let more = empty.tasks.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("the inputs of {}{more} match no file", shown.join(", "));
        if empty.is_own_output {
            return Refusal {
                file,
                message,
                span: items.first().map(span).unwrap_or_default(),
                label: "only outputs of the task itself".to_owned(),
                others: Vec::new(),
                hint: "a task's own outputs are not among its inputs: name the files that it reads"
                    .to_owned(),
            };
        }
        let mut hint = None;
        let mut parts = Vec::new();
        let adding = included_patterns(empty.patterns);
        for (item, pattern) in adding.iter().filter(|(item, _)| !item.may_miss).take(MAX_NAMED) {
            if first_match(self.snapshot, pattern).is_some_and(|entry| !is_below_link(pattern, entry)) {
                parts.push((span(item), "all its matches are excluded".to_owned()));
                continue;
            }
            let (reason, advised) = self.advisor().advice(file, item, pattern);
            hint = hint.or(advised);
            parts.push((span(item), reason.to_string()));
        }
        let mut parts = parts.into_iter();
        let (span, label) = parts
            .next()
            .unwrap_or_else(|| (items.first().map(span).unwrap_or_default(), "no file".to_owned()));
        let hint = hint.unwrap_or_else(|| {
            "name the files that the task reads; `inputs = []` says that it reads none".to_owned()
        });
        Refusal { file, message, span, label, others: parts.collect(), hint }
    }

    fn names(&self, tasks: &[TaskId]) -> Vec<String> {
        tasks.iter().take(MAX_NAMED).map(|id| self.config.task(*id).name.clone()).collect()
    }

    fn warnings(&self, limit: usize) -> Warnings {
        // Inputs that match no file are an error, and not a warning too.
        let is_refused = |found: &IneffectiveItem<'_>| {
            found.tasks.iter().all(|task| self.empty.values().any(|empty| empty.tasks.contains(task)))
        };
        let found: Vec<_> = self.found.iter().filter(|(_, found)| !is_refused(found)).collect();
        let listed: Vec<Warning> =
            found.iter().take(limit).map(|((at, _), found)| self.warning(*at, found)).collect();
        Warnings { more: found.len() - listed.len(), listed }
    }

    fn warning(&self, (file, start): PatternPosition, found: &IneffectiveItem<'a>) -> Warning {
        let mut hint = None;
        let mut reason = || {
            let Matcher::Pattern(pattern) = &found.item.matcher else { return None };
            let (reason, advised) = self.advisor().advice(file, found.item, pattern);
            let mark = if found.item.excludes { "!?" } else { "?" };
            hint = advised.or_else(|| {
                let optional = advice::quoted(&format!("{mark}{}", pattern.text()));
                Some(format!("if it may be missing, write {optional}"))
            });
            Some(reason)
        };
        let problem = match &found.cause {
            IneffectiveCause::NoFile => reason().map(|reason| Problem::NoFile { reason }),
            IneffectiveCause::LinkAlone { to } => Some(Problem::LinkAlone { to: to.to_string() }),
            IneffectiveCause::ExcludesNothing(reason) => {
                Some(Problem::ExcludesNothing { reason: reason.clone() })
            }
            IneffectiveCause::ExcludesNoFile => {
                reason().map(|reason| Problem::ExcludesNothing { reason: NoEffect::NoFile { reason } })
            }
        };
        if let IneffectiveCause::LinkAlone { to } = &found.cause {
            let text = advice::pattern_text(&self.config.files[file].base, to, "**");
            hint = Some(format!("to include its files, write {}", advice::quoted(&text)));
        }
        let problem = problem.unwrap_or(Problem::ExcludesNothing { reason: NoEffect::NotIncluded });
        if matches!(problem, Problem::ExcludesNothing { reason: NoEffect::IncludedLater { .. } }) {
            hint = Some("the last pattern that matches decides: write the exclusion after it".to_owned());
        }
        let place = self.config.files[file].place(start);
        Warning {
            file: place.file,
            path: self.config.files[file].path.to_string(),
            line: place.line,
            column: place.column,
            declared: quoted(found.item),
            problem,
            hint,
            tasks: self.names(&found.tasks),
        }
    }
}

/// Returns whether everything that a list includes may be missing.
fn may_miss(patterns: &Patterns) -> bool {
    let mut adding = patterns.items().iter().filter(|item| !item.excludes).peekable();
    adding.peek().is_some()
        && adding.all(|item| match &item.matcher {
            Matcher::Pattern(_) => item.may_miss,
            Matcher::Set { patterns, .. } => may_miss(patterns),
        })
}

/// Returns the patterns that a list includes, with those of its sets.
fn included_patterns(patterns: &Patterns) -> Vec<(&Item, &Pattern)> {
    let mut all = Vec::new();
    for item in patterns.items().iter().filter(|item| !item.excludes) {
        match &item.matcher {
            Matcher::Pattern(pattern) => all.push((item, pattern)),
            Matcher::Set { patterns, .. } => all.extend(included_patterns(patterns)),
        }
    }
    all
}

/// Returns an item as it is written in tasks.toml, with quotes.
fn quoted(item: &Item) -> String {
    advice::quoted(&item.text())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{SourceText, parse};
    use crate::git::snapshot::ContentId;
    use crate::graph::Reach;

    struct Plain;

    impl TreeLookup for Plain {
        fn ignores(&self, _: &RepoPath) -> bool {
            false
        }

        fn link(&self, _: &RepoPath) -> Option<String> {
            None
        }

        fn root(&self) -> Option<String> {
            None
        }

        fn is_absent(&self, _: &Pattern) -> bool {
            false
        }
    }

    fn entry(path: &str) -> SnapshotEntry {
        let path = RepoPath::from_git(path.as_bytes());
        SnapshotEntry {
            path,
            mode: Mode::File,
            id: ContentId([0; 20]),
            stat: None,
            tracked: true,
            not_checked_out: false,
        }
    }

    fn path() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec!["a", "b", "ab", "A", "[a]", "a b", "a,b"]);
        prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
    }

    fn pattern() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "a", "b", "ab", "A", "ba", "[a]", "*", "**", "?b", "{a,b}", "a*", "a b", "a,b", r"\[a\]", ".",
            " a",
        ]);
        let mark = prop::sample::select(vec!["", "", "", "!", "./", "/"]);
        (mark, prop::collection::vec(part, 1..4))
            .prop_map(|(mark, parts)| format!("{mark}{}", parts.join("/")))
    }

    proptest! {
        #[test]
        fn pattern_that_matches_a_file_has_no_warning(
            paths in prop::collection::btree_set(path(), 0..8),
            patterns in prop::collection::vec(pattern(), 1..5),
        ) {
            let items: Vec<String> = patterns.iter().map(|pattern| format!("'{pattern}'")).collect();
            let text = format!("[tasks.t]\nrun = 'true'\ninputs = ['tasks.toml', {}]\n", items.join(", "));
            let source = SourceText { name: "tasks.toml", text: &text, base: RepoPath::top(), project: "" };
            let Ok(config) = parse(&source) else { return Ok(()) };
            // A file can't be a folder too.
            let is_folder = |path: &String| paths.iter().any(|other| other.starts_with(&format!("{path}/")));
            let files = paths.iter().filter(|path| !is_folder(path)).map(|path| entry(path));
            let snapshot = Snapshot::new(files.chain([entry("tasks.toml")]).collect());
            let graph = Graph::new(&config, &config.ids().collect::<Vec<_>>(), Reach::WithNeeds);
            let judged = check(&config, &graph, &snapshot, &Plain, usize::MAX);
            let task = &config.tasks[0];
            let read = snapshot.entries().iter().any(|entry| task.inputs.matches(&entry.path));
            prop_assert_eq!(judged.refused.is_none(), read, "{}", text);
            for item in task.inputs.items() {
                let Matcher::Pattern(pattern) = &item.matcher else { continue };
                let matches = snapshot.entries().iter().any(|entry| pattern.matches(&entry.path));
                let warned = judged.warnings.listed.iter().find(|warning| warning.declared == quoted(item));
                if !item.excludes && read {
                    let may_miss = item.may_miss || pattern.is_deep() && !advice::looks_mistaken(pattern.text());
                    prop_assert_eq!(warned.is_some(), !matches && !may_miss, "{:?} in {}", item.text(), text);
                }
                // Each suggestion matches.
                let hint = warned.and_then(|warning| warning.hint.as_deref());
                if let Some(meant) = hint.and_then(|hint| hint.strip_prefix("did you mean ")) {
                    let meant = meant.trim_end_matches('?').trim_matches(['"', '\'']);
                    let meant = meant.trim_start_matches('!').replace(r"\\", r"\");
                    let origin = crate::base::pattern::PatternBase { base: &RepoPath::top(), anchored: false };
                    let meant = Pattern::parse(&meant, origin).unwrap();
                    prop_assert!(snapshot.entries().iter().any(|entry| meant.matches(&entry.path)), "{}", text);
                }
            }
        }
    }
}
