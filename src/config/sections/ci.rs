//! `[ci]`: what CI systems are told. It must not know how their files are written.

use std::num::NonZeroU32;

use crate::base::path::RepoPath;
use crate::base::units;
use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::model::{Ci, Provider};
use crate::config::naming::Names;
use crate::config::resolve::needs::NAMED;
use crate::config::schema::keys;
use crate::config::sections::settings::unit;
use crate::config::syntax::document::{Entry, Extent, Table, Text, Value};

/// Reads `[ci]` of the file in the folder `base`.
pub(crate) fn read(
    table: &Table<'_>,
    (names, extent): (&Names<'_>, Extent),
    base: &RepoPath,
    findings: &mut Findings,
) -> Ci {
    let mut ci = Ci::default();
    for Entry { key, value } in table {
        match key.text {
            "run" => {
                let asked = texts(*value, "`run`", findings);
                if extent == Extent::Whole {
                    for name in asked.iter().filter(|name| names.meant(name.text, "").is_empty()) {
                        findings.add(unknown_task(name, names));
                    }
                }
                ci.run = asked.iter().map(|name| name.text.to_owned()).collect();
            }
            "branches" => {
                let branches = texts(*value, "`branches`", findings);
                ci.branches = branches.iter().map(|name| name.text.to_owned()).collect();
            }
            "providers" => {
                for name in texts(*value, "`providers`", findings) {
                    ci.providers.extend(provider(&name, findings));
                }
                ci.providers.sort_unstable();
                ci.providers.dedup();
            }
            "shards" => ci.shards = shards(*value, findings).unwrap_or(ci.shards),
            "timings" => ci.timings = file(*value, base, findings),
            "install" => ci.install = line(*value, findings),
            "timeout" => {
                let what = "a duration such as \"1h\"";
                ci.timeout = unit(*value, what, units::parse_duration, findings).unwrap_or(ci.timeout);
            }
            _ => findings.add(keys::CI.refusal(key, "`[ci]`")),
        }
    }
    ci
}

/// Texts of a list that has to have some, each once, and none that a CI system would replace.
fn texts<'d>(value: Value<'d>, what: &str, findings: &mut Findings) -> Vec<Text<'d>> {
    let mut texts: Vec<Text<'d>> = Vec::new();
    let Some(all) = value.texts(findings) else { return texts };
    if all.is_empty() && value.elements().is_some_and(|mut elements| elements.next().is_none()) {
        let message = format!("{what} of `[ci]` is empty");
        findings.add(Diagnostic::new(value.span(), message).label("nothing in it").hint("take it out"));
    }
    for text in all {
        if refused(&text, findings) || texts.iter().any(|known| known.text == text.text) {
            continue;
        }
        texts.push(text);
    }
    texts
}

/// Reports a text that would not reach the machine as it is.
fn refused(text: &Text<'_>, findings: &mut Findings) -> bool {
    let why = if text.text.contains("${{") || text.text.contains("$[[") {
        "a CI system would put something else in place of it"
    } else if text.text.trim().is_empty() || text.text.chars().any(char::is_control) {
        "it has to be a text on one line"
    } else {
        return false;
    };
    let message = format!("`{}` can't be written to a CI system's file", keys::shown(text.text));
    findings.add(Diagnostic::new(text.span.clone(), message).label(why).hint("write another"));
    true
}

fn line(value: Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = value.text("a shell line", findings)?;
    // Nothing at all is said by an empty line.
    (text.text.is_empty() || !refused(&text, findings)).then(|| text.text.to_owned())
}

fn file(value: Value<'_>, base: &RepoPath, findings: &mut Findings) -> Option<RepoPath> {
    let text = value.text("the path of a file", findings)?;
    if refused(&text, findings) {
        return None;
    }
    let path = base.join(text.text).filter(|path| !path.is_top());
    if path.is_none() {
        let message = format!("`{}` is no file of the repository", keys::shown(text.text));
        let hint = "write a path relative to the folder of tasks.toml";
        findings.add(Diagnostic::new(text.span, message).label("not in the repository").hint(hint));
    }
    path
}

/// GitLab takes no more for `parallel`, and GitHub 256 for all that a matrix comes to.
/// <https://docs.gitlab.com/ci/yaml/#parallel>
pub(crate) const SHARDS: u32 = 200;

fn shards(value: Value<'_>, findings: &mut Findings) -> Option<NonZeroU32> {
    let number = value.integer("a number of machines", findings)?;
    let shards = u32::try_from(number).ok().filter(|shards| *shards <= SHARDS).and_then(NonZeroU32::new);
    if shards.is_none() {
        let message = format!("{number} is not a number of machines");
        let hint = format!("write 1 for one machine that runs all tasks, up to {SHARDS} for more");
        findings.add(Diagnostic::new(value.span(), message).label("out of range").hint(hint));
    }
    shards
}

fn provider(name: &Text<'_>, findings: &mut Findings) -> Option<Provider> {
    if let Some((_, provider)) = Provider::ALL.into_iter().find(|(known, _)| *known == name.text) {
        return Some(provider);
    }
    let message = format!("there is no file for the CI system `{}`", keys::shown(name.text));
    let known = Provider::ALL.map(|(name, _)| name);
    let hint = keys::suggestion(name.text, known.into_iter(), ("", ""));
    findings.add(Diagnostic::new(name.span.clone(), message).label("unknown CI system").hint(hint));
    None
}

fn unknown_task(name: &Text<'_>, names: &Names<'_>) -> Diagnostic {
    let message = format!("CI is to run `{}`, which is neither a task nor a group", keys::shown(name.text));
    let listed = names.listed();
    let known = listed.iter().map(String::as_str);
    let hint = keys::suggestion(name.text, known, ("", "there is no task yet"));
    Diagnostic::new(name.span.clone(), message).label("unknown task").hint(hint).lacks(NAMED)
}
