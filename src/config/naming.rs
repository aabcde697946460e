//! What the names of tasks, groups and projects refer to. It must not know what a task does.
//!
//! A name is looked up within a project. `test` is the project's task of that name, and each member of the
//! group `test` in the project and in the projects inside it. `api:test` is what `test` is within `api`.
//! `:test` is what `test` is in the project and in each project inside it.

use std::borrow::Cow;
use std::collections::HashMap;

/// Returns a name with its project in front: `api` and `test` make `api:test`.
pub(crate) fn qualified(project: &str, name: &str) -> String {
    if project.is_empty() { name.to_owned() } else { format!("{project}:{name}") }
}

/// Returns a name without its project.
pub fn own_name<'n>(name: &'n str, project: &str) -> &'n str {
    name.strip_prefix(project).and_then(|rest| rest.strip_prefix(':')).unwrap_or(name)
}

/// All names by which a task can be referred to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskNames<'n> {
    /// Its name within its project.
    pub(crate) own: &'n str,
    /// Its project; empty for the outermost.
    pub(crate) project: &'n str,
    /// Its group.
    pub(crate) group: Option<&'n str>,
    /// If a matrix made it: the name of the original task, within its project.
    pub(crate) variant_of: Option<&'n str>,
}

/// An index from qualified names to tasks. In the outermost project, names have no prefix.
#[derive(Debug, Default)]
pub(crate) struct NameIndex<'n> {
    called: Vec<TaskNames<'n>>,
    tasks: HashMap<Cow<'n, str>, usize>,
    /// Groups, and tasks that a matrix expanded into several.
    groups: HashMap<Cow<'n, str>, Vec<usize>>,
}

impl TaskNames<'_> {
    /// Returns whether it is in `project` or in a project inside it.
    fn is_in(&self, project: &str) -> bool {
        enclosing_projects(self.project).any(|scope| scope == project)
    }

    fn has_name(&self, name: &str) -> bool {
        self.own == name || self.group == Some(name) || self.variant_of == Some(name)
    }

    /// Returns whether `asked`, as seen from the outermost project, refers to it.
    pub(crate) fn is_named(&self, asked: &str) -> bool {
        if let Some((project, name)) = split_each(asked) {
            return self.is_in(project) && self.has_name(name);
        }
        let (project, name) = asked.rsplit_once(':').unwrap_or(("", asked));
        let itself = self.own == name || self.variant_of == Some(name);
        itself && self.project == project || self.group == Some(name) && self.is_in(project)
    }
}

/// Returns project and name of `project::name` or `:name`, which refer to the name in each project.
fn split_each(asked: &str) -> Option<(&str, &str)> {
    asked.rsplit_once("::").or_else(|| Some(("", asked.strip_prefix(':')?)))
}

/// Returns the project and those that contain it, the innermost first. The outermost, `""`, is last.
pub(crate) fn enclosing_projects(project: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(project), |scope| {
        (!scope.is_empty()).then(|| scope.rsplit_once(':').map_or("", |(outer, _)| outer))
    })
}

impl<'n> NameIndex<'n> {
    /// Builds the index of these tasks. A task is its position.
    pub(crate) fn new(tasks: impl Iterator<Item = TaskNames<'n>>) -> Self {
        let mut names = Self { called: tasks.collect(), ..Self::default() };
        for (task, called) in names.called.iter().enumerate() {
            names.tasks.insert(relative_name(called.project, called.own), task);
            let origin = called.variant_of.map(|origin| relative_name(called.project, origin));
            let groups = called.group.into_iter().flat_map(|group| {
                enclosing_projects(called.project).map(move |scope| relative_name(scope, group))
            });
            for name in origin.into_iter().chain(groups) {
                let members = names.groups.entry(name).or_default();
                if members.last() != Some(&task) {
                    members.push(task);
                }
            }
        }
        names
    }

    /// Returns the tasks that `name` refers to in a file of `project`, sorted. The name is looked up in the
    /// project, then in the nearest enclosing project that knows it.
    pub(crate) fn lookup(&self, name: &str, project: &str) -> Vec<usize> {
        let known = enclosing_projects(project).map(|scope| self.lookup_from_top(&qualified(scope, name)));
        known.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Returns the tasks that a name refers to, as seen from the outermost project.
    fn lookup_from_top(&self, name: &str) -> Vec<usize> {
        if split_each(name).is_some() {
            let all = self.called.iter().enumerate();
            return all.filter(|(_, called)| called.is_named(name)).map(|(at, _)| at).collect();
        }
        let members = self.groups.get(name).into_iter().flatten();
        let mut found: Vec<usize> = self.tasks.get(name).into_iter().chain(members).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the names that a person may have meant: tasks first, in the order of the files.
    pub(crate) fn known_names(&self) -> Vec<String> {
        let tasks = self.called.iter().map(|called| qualified(called.project, called.own));
        let others = self.called.iter().flat_map(|called| {
            let origin = called.variant_of.map(|origin| qualified(called.project, origin));
            origin.into_iter().chain(called.group.map(str::to_owned))
        });
        let mut listed: Vec<String> = tasks.collect();
        for name in others {
            if !self.tasks.contains_key(name.as_str()) && !listed[self.called.len()..].contains(&name) {
                listed.push(name);
            }
        }
        listed
    }
}

fn relative_name<'n>(project: &str, name: &'n str) -> Cow<'n, str> {
    if project.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(qualified(project, name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &'static str, group: Option<&'static str>) -> TaskNames<'static> {
        let (project, own) = name.rsplit_once(':').unwrap_or(("", name));
        let variant_of = own.split_once('[').map(|(origin, _)| origin);
        TaskNames { own, project, group, variant_of }
    }

    const TASKS: [(&str, Option<&str>); 7] = [
        ("test", None),
        ("fmt", Some("lint")),
        ("api:test", Some("unit")),
        ("api:fmt", Some("lint")),
        ("api:auth:test", None),
        ("web:wheel[py=3]", Some("test")),
        ("web:lint", None),
    ];

    #[test]
    fn names_select_tasks_groups_and_projects() {
        let all = || TASKS.iter().map(|(name, group)| called(name, *group));
        let names = NameIndex::new(all());
        let cases: [(&str, &str, &[usize]); 17] = [
            ("", "test", &[0, 5]),
            ("", ":test", &[0, 2, 4, 5]),
            ("", "lint", &[1, 3]),
            ("", ":lint", &[1, 3, 6]),
            ("", "api:test", &[2]),
            ("", "api::test", &[2, 4]),
            ("", "api:lint", &[3]),
            ("", "api:auth:test", &[4]),
            ("", "web:wheel", &[5]),
            ("", ":wheel", &[5]),
            ("", "web:test", &[5]),
            ("", "auth:test", &[]),
            ("api", "test", &[2]),
            ("api", "auth:test", &[4]),
            ("api", "web:lint", &[6]),
            ("api:auth", "unit", &[2]),
            ("web", "lint", &[6]),
        ];
        for (project, asked, expected) in cases {
            assert_eq!(names.lookup(asked, project), expected, "{asked} in {project:?}");
            if project.is_empty() {
                let answering: Vec<usize> = all()
                    .enumerate()
                    .filter(|(_, called)| called.is_named(asked))
                    .map(|(at, _)| at)
                    .collect();
                assert_eq!(answering, expected, "{asked}");
            }
        }
    }
}
