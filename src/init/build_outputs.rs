//! Which folders the build of a package writes, by what its tools and its package.json say. It must not know
//! tasks.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use crate::init::package_scripts::Package;
use crate::init::proposals::literal;
use crate::init::shell_line::ShellCommand;
use crate::init::survey::Survey;

/// Tools with the folder that they write by default.
const DEFAULTS: &[(&str, &str)] = &[
    ("tsup", "dist"),
    ("tsdown", "dist"),
    ("unbuild", "dist"),
    ("obuild", "dist"),
    ("vite", "dist"),
    ("astro", "dist"),
    ("bunchee", "dist"),
    ("pkgroll", "dist"),
    ("microbundle", "dist"),
    ("webpack", "dist"),
    ("rollup", "dist"),
    ("react-scripts", "build"),
    ("nuxt", ".output"),
];

/// Returns the folders that a build writes and git ignores, relative to the package.
pub(super) fn folders(survey: &Survey, package: &Package<'_>, tools: &[ShellCommand]) -> Vec<String> {
    let mut all = BTreeSet::new();
    for tool in tools {
        let words: Vec<&str> = tool.words.iter().map(String::as_str).collect();
        let named = words.windows(2).filter_map(|pair| match pair {
            ["--outDir" | "--out-dir" | "--outdir" | "-d" | "--declarationDir" | "--dist", value] => {
                Some(*value)
            }
            _ => None,
        });
        let joined = words.iter().filter_map(|word| word.split_once('='));
        let joined = joined.filter(|(key, _)| matches!(*key, "--outDir" | "--out-dir" | "--outdir"));
        let named: Vec<&str> = named.chain(joined.map(|(_, value)| value)).collect();
        let by_default = DEFAULTS.iter().find(|(name, _)| *name == tool.program()).map(|(_, folder)| *folder);
        if !named.is_empty() {
            all.extend(named.iter().filter_map(|path| first_part(path)));
        } else if matches!(tool.program(), "tsc" | "vue-tsc" | "tsgo") {
            all.extend(out_dir(package, &words));
        } else {
            all.extend(by_default.map(str::to_owned));
        }
    }
    all.extend(entries(package));
    all.into_iter().filter(|folder| is_ignored(survey, package, folder)).collect()
}

/// Returns the patterns for these folders of a package.
pub(super) fn patterns(package: &Package<'_>, folders: &[String]) -> Vec<String> {
    folders.iter().map(|folder| format!("{}/**", literal(&package.folder.path_of(folder)))).collect()
}

/// Returns whether other packages can only use this one after it was built.
pub(super) fn needs_build(survey: &Survey, package: &Package<'_>) -> bool {
    entries(package).iter().any(|folder| is_ignored(survey, package, folder))
}

/// Returns the folders that a package.json names as the places of its code.
fn entries(package: &Package<'_>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for key in ["main", "module", "types", "typings", "exports", "bin", "files"] {
        if let Some(value) = package.value.get(key) {
            collect(value, &mut all);
        }
    }
    all
}

fn collect(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::String(path) => all.extend(first_part(path)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, all)),
        Value::Object(values) => values.iter().for_each(|(_, value)| collect(value, all)),
        _ => {}
    }
}

/// Returns the first part of a path.
fn first_part(path: &str) -> Option<String> {
    let path = path.trim_start_matches("./");
    let first = path.split('/').next()?;
    let plain = !first.is_empty() && !first.starts_with(['!', '*', '.']) && !first.contains('*')
        // Such as `LICENSE`.
        && first.contains(char::is_lowercase);
    plain.then(|| first.to_owned())
}

/// Returns the `outDir` of the configuration that a call of tsc names.
fn out_dir(package: &Package<'_>, words: &[&str]) -> Option<String> {
    let named = words.windows(2).find_map(|pair| match pair {
        ["-p" | "--project" | "-b" | "--build", file] if !file.starts_with('-') => Some(*file),
        _ => None,
    });
    let file = named.unwrap_or("tsconfig.json").trim_start_matches("./");
    let text = package.folder.text(file)?;
    let pattern = Regex::new(r#""outDir"\s*:\s*"([^"]+)""#).ok()?;
    let path = pattern.captures(text)?.get(1)?.as_str();
    (!path.starts_with("..")).then(|| first_part(path)).flatten()
}

/// Returns whether git ignores a folder of a package, by the plain lines of the .gitignore files.
fn is_ignored(survey: &Survey, package: &Package<'_>, folder: &str) -> bool {
    if survey.has_file(&package.folder.path_of(folder)) {
        return false;
    }
    let path = package.folder.path_of(folder);
    survey.upward(package.folder).any(|above| {
        let below = path.strip_prefix(&above.path).unwrap_or(&path).trim_start_matches('/');
        let text = above.text(".gitignore").unwrap_or_default();
        text.lines().map(str::trim).any(|line| {
            let anchored = line.trim_start_matches("**/").trim_end_matches(['*', '/']);
            let plain = anchored.trim_start_matches('/');
            plain == below
                || !anchored.starts_with('/') && plain == folder
                || plain
                    .strip_suffix(folder)
                    .and_then(|start| start.strip_suffix("/*/"))
                    .is_some_and(|start| below.starts_with(&format!("{start}/")))
        })
    })
}
