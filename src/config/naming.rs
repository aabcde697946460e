//! What the names of tasks, groups and projects stand for. It must not know what a task does.
//!
//! Each name is looked for within a project. `test` is the project's task of that name, and each
//! member of that group in the project and in those within it; `api:test` is what `test` is within
//! `api`; `:test` is what `test` is in the project and in each within it.

use std::collections::HashMap;

/// Puts a name of a project in front of a name within it.
pub(super) fn joined(project: &str, name: &str) -> String {
    if project.is_empty() { name.to_owned() } else { format!("{project}:{name}") }
}

/// A name within its project.
pub(super) fn own<'n>(name: &'n str, project: &str) -> &'n str {
    name.strip_prefix(project).and_then(|rest| rest.strip_prefix(':')).unwrap_or(name)
}

/// All that a task is called by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'n> {
    /// Its name within its project.
    pub(super) own: &'n str,
    /// The project; empty for the outermost.
    pub(super) project: &'n str,
    /// Its label.
    pub(super) group: Option<&'n str>,
    /// The name within its project of the task that it was made of, if a matrix made it.
    pub(super) variant_of: Option<&'n str>,
}

/// Which tasks each name stands for, with all projects in front.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<String, Vec<usize>>,
    /// Names that a person may have meant, in the order of the files and those of tasks first.
    listed: Vec<String>,
}

impl Called<'_> {
    /// Every name, with all projects in front, that stands for it; the second says whether it is worth
    /// a suggestion.
    fn names(&self) -> Vec<(String, bool)> {
        let mut names = vec![(joined(self.project, self.own), true)];
        names.extend(self.variant_of.map(|origin| (joined(self.project, origin), true)));
        for scope in scopes(self.project) {
            names.extend(self.group.map(|group| (joined(scope, group), scope.is_empty())));
            for name in [Some(self.own), self.group, self.variant_of].into_iter().flatten() {
                names.push((joined(scope, &format!(":{name}")), false));
            }
        }
        names
    }

    /// Whether `asked`, seen from the outermost project, stands for it.
    pub(super) fn answers_to(&self, asked: &str) -> bool {
        // Most repositories have one project, and a thousand tasks are asked.
        if self.project.is_empty() {
            let asked = asked.strip_prefix(':').unwrap_or(asked);
            return self.own == asked || self.group == Some(asked) || self.variant_of == Some(asked);
        }
        self.names().iter().any(|(name, _)| name == asked)
    }
}

/// The project and those that it lies in, the innermost first and the outermost, `""`, last.
pub(super) fn scopes(project: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(project), |scope| {
        (!scope.is_empty()).then(|| scope.rsplit_once(':').map_or("", |(outer, _)| outer))
    })
}

impl Names {
    /// Of these tasks, each known by its place.
    pub(super) fn of<'n>(tasks: impl Iterator<Item = Called<'n>>) -> Self {
        let mut names = Self::default();
        let mut groups: Vec<String> = Vec::new();
        for (task, called) in tasks.enumerate() {
            for (place, (name, is_listed)) in called.names().into_iter().enumerate() {
                let known = names.known.entry(name.clone()).or_default();
                match (place, is_listed) {
                    (0, _) => names.listed.push(name),
                    (_, true) if known.is_empty() => groups.push(name),
                    _ => {}
                }
                if known.last() != Some(&task) {
                    known.push(task);
                }
            }
        }
        let is_new = |name: &String| !names.listed.contains(name);
        groups.retain(is_new);
        names.listed.extend(groups);
        names
    }

    /// The tasks that `name` stands for in a file of `project`: as seen from the project, or else
    /// from the nearest one around it that knows the name.
    pub(super) fn meant(&self, name: &str, project: &str) -> &[usize] {
        let known = |scope: &str| self.known.get(&joined(scope, name));
        scopes(project).find_map(known).map_or(&[], Vec::as_slice)
    }

    /// The names that a person may have meant.
    pub(super) fn listed(&self) -> impl Iterator<Item = &str> + Clone {
        self.listed.iter().map(String::as_str)
    }
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
