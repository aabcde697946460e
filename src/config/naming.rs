//! What the names of tasks, groups and projects stand for. It must not know what a task does.
//!
//! Each name is looked for within a project. `test` is the project's task of that name, and each
//! member of that group in the project and in those within it; `api:test` is what `test` is within
//! `api`; `:test` is what `test` is in the project and in each within it.

use std::borrow::Cow;
use std::collections::HashMap;

/// Puts a name of a project in front of a name within it.
pub(crate) fn joined(project: &str, name: &str) -> String {
    if project.is_empty() { name.to_owned() } else { format!("{project}:{name}") }
}

/// A name within its project.
pub(crate) fn own<'n>(name: &'n str, project: &str) -> &'n str {
    name.strip_prefix(project).and_then(|rest| rest.strip_prefix(':')).unwrap_or(name)
}

/// All that a task is called by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'n> {
    /// Its name within its project.
    pub(crate) own: &'n str,
    /// The project; empty for the outermost.
    pub(crate) project: &'n str,
    /// Its label.
    pub(crate) group: Option<&'n str>,
    /// The name within its project of the task that it was made of, if a matrix made it.
    pub(crate) variant_of: Option<&'n str>,
}

/// Which tasks each name stands for, with all projects in front. Where there is one project, it holds
/// no name of its own.
#[derive(Debug, Default)]
pub(crate) struct Names<'n> {
    called: Vec<Called<'n>>,
    tasks: HashMap<Cow<'n, str>, usize>,
    /// Groups, and tasks of which a matrix made several.
    groups: HashMap<Cow<'n, str>, Vec<usize>>,
}

impl Called<'_> {
    /// Whether it belongs to `project`, or to one within it.
    fn lies_in(&self, project: &str) -> bool {
        scopes(self.project).any(|scope| scope == project)
    }

    fn bears(&self, name: &str) -> bool {
        self.own == name || self.group == Some(name) || self.variant_of == Some(name)
    }

    /// Whether `asked`, seen from the outermost project, stands for it.
    pub(crate) fn answers_to(&self, asked: &str) -> bool {
        if let Some((project, name)) = in_each(asked) {
            return self.lies_in(project) && self.bears(name);
        }
        let (project, name) = asked.rsplit_once(':').unwrap_or(("", asked));
        let itself = self.own == name || self.variant_of == Some(name);
        itself && self.project == project || self.group == Some(name) && self.lies_in(project)
    }
}

/// The project and the name of `project::name` or `:name`, which is that name in each project.
fn in_each(asked: &str) -> Option<(&str, &str)> {
    asked.rsplit_once("::").or_else(|| Some(("", asked.strip_prefix(':')?)))
}

/// The project and those that it lies in, the innermost first and the outermost, `""`, last.
pub(crate) fn scopes(project: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(project), |scope| {
        (!scope.is_empty()).then(|| scope.rsplit_once(':').map_or("", |(outer, _)| outer))
    })
}

impl<'n> Names<'n> {
    /// Of these tasks, each known by its place.
    pub(crate) fn of(tasks: impl Iterator<Item = Called<'n>>) -> Self {
        let mut names = Self { called: tasks.collect(), ..Self::default() };
        for (task, called) in names.called.iter().enumerate() {
            names.tasks.insert(within(called.project, called.own), task);
            let origin = called.variant_of.map(|origin| within(called.project, origin));
            let groups = called
                .group
                .into_iter()
                .flat_map(|group| scopes(called.project).map(move |scope| within(scope, group)));
            for name in origin.into_iter().chain(groups) {
                let members = names.groups.entry(name).or_default();
                if members.last() != Some(&task) {
                    members.push(task);
                }
            }
        }
        names
    }

    /// The tasks that `name` stands for in a file of `project`, sorted: as seen from the project, or
    /// else from the nearest one around it that knows the name.
    pub(crate) fn meant(&self, name: &str, project: &str) -> Vec<usize> {
        let known = scopes(project).map(|scope| self.known(&joined(scope, name)));
        known.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// The tasks that a name stands for, seen from the outermost project.
    fn known(&self, name: &str) -> Vec<usize> {
        if in_each(name).is_some() {
            let all = self.called.iter().enumerate();
            return all.filter(|(_, called)| called.answers_to(name)).map(|(at, _)| at).collect();
        }
        let members = self.groups.get(name).into_iter().flatten();
        let mut found: Vec<usize> = self.tasks.get(name).into_iter().chain(members).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The names that a person may have meant, in the order of the files and those of tasks first.
    pub(crate) fn listed(&self) -> Vec<String> {
        let tasks = self.called.iter().map(|called| joined(called.project, called.own));
        let others = self.called.iter().flat_map(|called| {
            let origin = called.variant_of.map(|origin| joined(called.project, origin));
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

fn within<'n>(project: &str, name: &'n str) -> Cow<'n, str> {
    if project.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(joined(project, name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &'static str, group: Option<&'static str>) -> Called<'static> {
        let (project, own) = name.rsplit_once(':').unwrap_or(("", name));
        let variant_of = own.split_once('[').map(|(origin, _)| origin);
        Called { own, project, group, variant_of }
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
    fn names_stand_for_tasks_groups_and_projects() {
        let all = || TASKS.iter().map(|(name, group)| called(name, *group));
        let names = Names::of(all());
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
            assert_eq!(names.meant(asked, project), expected, "{asked} in {project:?}");
            if project.is_empty() {
                let answering: Vec<usize> = all()
                    .enumerate()
                    .filter(|(_, called)| called.answers_to(asked))
                    .map(|(at, _)| at)
                    .collect();
                assert_eq!(answering, expected, "{asked}");
            }
        }
    }
}
