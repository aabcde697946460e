//! Finds what a config defines and nothing uses. It must not know a tree.

use std::collections::{HashMap, HashSet};

use crate::base::pattern::{Matcher, Patterns};
use crate::config::model::{Config, SourceFile, SourceLocation};
use crate::config_warning::{Problem, Warning};

/// Returns a warning for each set, tool and service that no task uses, by file and line; none if the config
/// is only a part.
pub fn unused<'a>(config: &'a Config) -> Vec<Warning> {
    if config.is_part {
        return Vec::new();
    }
    let mut sets: HashMap<&str, HashSet<&str>> = HashMap::new();
    let mut tools: HashSet<&str> = HashSet::new();
    let mut add = |place: &'a SourceLocation, inputs: &'a Patterns, used: &'a [String]| {
        collect(inputs, sets.entry(&place.file).or_default());
        tools.extend(used.iter().map(String::as_str));
    };
    for task in &config.tasks {
        add(&task.place, &task.inputs, &task.tools);
    }
    for service in &config.services {
        add(&service.place, &service.inputs, &service.tools);
    }
    if let Some(setup) = &config.worktree.setup {
        add(&setup.place, &setup.inputs, &setup.tools);
    }
    let mut warnings = Vec::new();
    for file in &config.files {
        let mut found: Vec<(usize, Warning)> = Vec::new();
        let is_used = |name: &str| sets.get(file.name.as_str()).is_some_and(|used| used.contains(name));
        for set in file.sets.iter().filter(|set| !is_used(&set.name)) {
            found.push((set.span.start, warning(file, set.span.start, format!("@{}", set.name), "set")));
        }
        for (name, span) in file.tools.iter().filter(|(name, _)| !tools.contains(name.as_str())) {
            found.push((span.start, warning(file, span.start, format!("`{name}`"), "tool")));
        }
        found.sort_by_key(|(at, _)| *at);
        warnings.extend(found.into_iter().map(|(_, warning)| warning));
    }
    let mut used: HashSet<usize> =
        config.tasks.iter().flat_map(|task| &task.env.uses).map(|id| id.0).collect();
    let migrations = config.environments.iter().filter_map(|environment| environment.migrations.as_ref());
    for rehearsal in migrations.filter_map(|migrations| migrations.rehearsal.as_ref()) {
        let scratch =
            config.services.iter().enumerate().find(|(_, service)| service.name == rehearsal.service);
        used.extend(scratch.iter().flat_map(|(_, service)| &service.env.uses).map(|id| id.0));
        used.extend(scratch.map(|(id, _)| id));
    }
    for (_, service) in config.services.iter().enumerate().filter(|(i, _)| !used.contains(i)) {
        let place = &service.place;
        let Some(file) = config.file_of(place) else { continue };
        warnings.push(Warning {
            file: place.file.clone(),
            path: config.files[file].path.to_string(),
            line: place.line,
            column: place.column,
            declared: format!("`{}`", service.name),
            problem: Problem::Unused { what: "service".to_owned() },
            hint: Some("name it in the `services` of a task, or remove it".to_owned()),
            tasks: Vec::new(),
        });
    }
    warnings
}

/// Adds the names of the sets that a list uses.
fn collect<'a>(patterns: &'a Patterns, names: &mut HashSet<&'a str>) {
    for item in patterns.items() {
        if let Matcher::Set { name, patterns } = &item.matcher
            && names.insert(name)
        {
            collect(patterns, names);
        }
    }
}

fn warning(file: &SourceFile, at: usize, declared: String, what: &str) -> Warning {
    let place = file.place(at);
    let hint = match what {
        "tool" => "name it in the `tools` of the tasks whose result depends on it, or remove it",
        _ => "name it in the `inputs` of a task, or remove it",
    };
    Warning {
        file: place.file,
        path: file.path.to_string(),
        line: place.line,
        column: place.column,
        declared,
        problem: Problem::Unused { what: what.to_owned() },
        hint: Some(hint.to_owned()),
        tasks: Vec::new(),
    }
}
