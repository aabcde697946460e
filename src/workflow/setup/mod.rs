//! The first content of the section `setup`: what a machine needs before it can run the tasks. It must not
//! know the rest of the files. Afterwards the section belongs to people.
//!
//! [`need`] collects what tasks use, and a module for each language says what that needs; [`take_over`]
//! finds what an existing workflow does for it.

pub mod need;
mod node;
mod python;
pub mod take_over;
mod toolchains;

use self::need::{Files, Need, Part, Uses};
use self::take_over::Taken;
use super::ci_facts::CiFacts;
use super::existing::Job;
use super::pin;
use super::step::Step;

/// How far the steps of GitHub's jobs are indented.
const INDENT: usize = 6;

/// The lines of a section, and where they are from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The lines.
    pub lines: Vec<String>,
    /// What they install, and which files and jobs say so.
    pub reasons: Vec<String>,
    /// Setup steps of others that were not taken over, with the reasons.
    pub omitted: Vec<String>,
}

/// Returns the setup of a GitHub job.
pub fn github(facts: &CiFacts, files: &Files<'_>, jobs: &[Job]) -> Setup {
    let Taken { mut steps, from, omitted } = take_over::take_over(jobs, &facts.commands);
    let mut reasons: Vec<String> = from.into_iter().map(|job| format!("steps of {job}")).collect();
    let taken = steps.clone();
    let Needs { mise, by_mise, rest } = Needs::new(facts, files);
    let has_mise = taken.iter().any(|step| step.action().is_some_and(|action| action.contains("mise")));
    let lacks_tools = taken.is_empty() || by_mise.iter().any(|part| !is_covered(part, &taken));
    if let Some(file) = mise.filter(|_| !has_mise && lacks_tools) {
        reasons.push(format!("mise ({file})"));
        steps.push(Step::uses(pin::MISE));
    }
    for Need { label, parts, .. } in rest {
        let missing: Vec<Part> = parts.into_iter().filter(|part| !is_covered(part, &taken)).collect();
        if !missing.is_empty() {
            reasons.push(label);
        }
        steps.extend(missing.into_iter().map(|part| part.step));
    }
    let lines = steps.iter().flat_map(|step| step.lines(INDENT)).collect();
    Setup { lines, reasons, omitted }
}

/// Returns the setup of a GitLab job: an image, and what it lacks. If an existing pipeline has an image for
/// all jobs, that and its `before_script` hold for ours too.
pub fn gitlab(facts: &CiFacts, files: &Files<'_>, existing: Option<&serde_json::Value>) -> Setup {
    let has_image = |pipeline: &serde_json::Value| {
        [&pipeline["default"]["image"], &pipeline["image"]].iter().any(|image| !image.is_null())
    };
    if existing.is_some_and(has_image) {
        let reasons = vec![format!("the image and before_script of {}", super::gitlab::PATH)];
        return Setup { reasons, ..Setup::default() };
    }
    let Needs { mise, rest: needs, .. } = Needs::new(facts, files);
    if needs.is_empty() && mise.is_none() {
        return Setup::default();
    }
    let mut reasons = Vec::new();
    let image = needs.iter().find(|need| !need.image.is_empty()).map(|need| need.image.clone());
    let mut script: Vec<String> = Vec::new();
    if let Some(file) = mise {
        reasons.push(format!("mise ({file})"));
        script.push("curl -fsSL https://mise.run | sh".to_owned());
        script.push("export PATH=\"$HOME/.local/bin:$HOME/.local/share/mise/shims:$PATH\"".to_owned());
        script.push("mise trust && mise install".to_owned());
    }
    for mut need in needs {
        let has_image = image.as_ref() == Some(&need.image);
        reasons.push(need.label);
        // Debian's package manager installs the toolchain, which installs all else.
        need.parts.sort_by_key(|part| !part.is_in_image);
        let parts = need.parts.into_iter().filter(|part| !(part.is_in_image && has_image));
        script.extend(parts.filter_map(|part| part.line));
    }
    let mut keys = serde_json::Map::new();
    keys.insert("image".to_owned(), image.unwrap_or_else(|| "debian:13".to_owned()).into());
    if !script.is_empty() {
        keys.insert("before_script".to_owned(), script.into());
    }
    // A step is an item of a list, so its first line begins with a dash.
    let step = Step { keys, comment: None };
    let lines = step.lines(0).into_iter().map(|line| "  ".to_owned() + line.get(2..).unwrap_or_default());
    Setup { lines: lines.collect(), reasons, omitted: Vec::new() }
}

/// What the tasks need.
struct Needs {
    /// The file of mise.
    mise: Option<&'static str>,
    /// What mise installs.
    by_mise: Vec<Part>,
    /// The rest.
    rest: Vec<Need>,
}

impl Needs {
    fn new(facts: &CiFacts, files: &Files<'_>) -> Self {
        let uses = Uses::new(facts, files);
        let mise = toolchains::mise(files);
        let is_named = |part: &Part| {
            let tools = mise.iter().flat_map(|(_, tools)| tools);
            part.mise_name.is_some_and(|name| {
                tools.into_iter().any(|tool| tool == name || tool.rsplit([':', '/']).next() == Some(name))
            })
        };
        let all = [toolchains::rust(files, &uses), node::need(files, &uses), python::need(files, &uses)];
        let more =
            [toolchains::go(files, &uses), toolchains::java(files, &uses), toolchains::binaries(&uses)];
        let mut needs: Vec<Need> = all.into_iter().chain(more).flatten().collect();
        needs.extend(toolchains::preinstalled(files, &uses));
        let mut by_mise = Vec::new();
        for need in &mut needs {
            let (named, rest) = std::mem::take(&mut need.parts).into_iter().partition(|part| is_named(part));
            need.parts = rest;
            by_mise.extend::<Vec<Part>>(named);
        }
        needs.retain(|need| !need.parts.is_empty());
        Self { mise: mise.map(|(file, _)| file), by_mise, rest: needs }
    }
}

/// Returns whether a step that was taken over does the same.
fn is_covered(part: &Part, taken: &[Step]) -> bool {
    let folder = part.step.keys.get("working-directory").and_then(serde_json::Value::as_str);
    taken.iter().any(|step| {
        let text = serde_json::Value::Object(step.keys.clone()).to_string();
        let is_there = match (folder, step.keys.get("working-directory")) {
            (Some(folder), _) => text.contains(folder),
            (None, Some(_)) => false,
            (None, None) => true,
        };
        is_there && part.covered_by.iter().any(|word| text.contains(word))
    })
}
