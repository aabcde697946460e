//! The pipeline of GitLab CI. It must not know other CI systems.

use super::ci_facts::{CiFacts, NOTES};
use super::handwritten::Sections;
use super::runner::Install;
use super::{Draft, HEADER, OverwritePolicy, rows, stem};
use crate::base::yaml::scalar;

/// Where GitLab looks for it.
pub const PATH: &str = ".gitlab-ci.yml";
/// Where it is if people wrote the file that GitLab looks for, which then includes it.
pub const FOLDER: &str = ".gitlab/";
/// The folder of files that GitLab shows.
const ARTIFACTS: &str = ".xtask-artifacts";

/// What a job caches for the same job of later pipelines.
const CACHE: &str = "\x20 # Results are found by their keys, so all branches share them.
  cache:
    key: xtask-$CI_JOB_NAME_SLUG
    paths: [.git/xtask/]
    when: always
";
/// How GitLab finds the coverage in the log.
const COVERAGE: &str = "\x20 coverage: '/^coverage: (\\d+(?:\\.\\d+)?)%/'\n";

/// The names of the jobs.
struct Jobs<'a> {
    /// The only or last job.
    ci: &'a str,
    /// The job of the shards.
    shard: String,
    /// The line that makes each a job with the common settings.
    extends: String,
}

/// Writes the pipeline at a path. Elsewhere than at [`PATH`] it only adds jobs to a pipeline.
pub fn draft(facts: &CiFacts, path: &str) -> Draft {
    let is_included = path != PATH;
    let jobs = if is_included {
        let ci = stem(path);
        Jobs { ci, shard: format!("{ci}-shard"), extends: format!("  extends: .{ci}\n") }
    } else {
        Jobs { ci: "ci", shard: "shard".to_owned(), extends: String::new() }
    };
    let common = if is_included { included(facts, path, &jobs) } else { whole(facts) };
    let jobs = if facts.shards > 1 { sharded(facts, &jobs) } else { single(facts, &jobs) };
    let text = format!(
        "\
# {HEADER}; `xtask ci check` shows where it differs.
# The lines between \"begin\" and \"end\" are yours and are kept.

{common}
{jobs}
# More jobs, if there have to be any:
# xtask: begin jobs
# xtask: end jobs
"
    );
    Draft { path: path.to_owned(), text, first: Sections::default(), policy: OverwritePolicy::Required }
}

/// Returns the lines that a pipeline needs to include the file at a path.
pub fn include_lines(path: &str) -> String {
    format!("include:\n  - local: {path}\n")
}

/// Writes what holds for the whole pipeline.
fn whole(facts: &CiFacts) -> String {
    format!(
        "\
# A branch with an open merge request has one pipeline, not two.
workflow:
  rules:
{rules}
variables:
{variables}
default:
  interruptible: true
{SETUP}",
        rules = all_rules(facts),
        variables = variables(facts, "  "),
    )
}

/// Writes what holds for the jobs that are added to a pipeline.
fn included(facts: &CiFacts, path: &str, jobs: &Jobs<'_>) -> String {
    let include = rows(include_lines(path).lines().map(|line| format!("#   {line}\n")));
    format!(
        "\
# {PATH} includes this file:
{include}
.{ci}:
  interruptible: true
  # A branch with an open merge request has one pipeline, not two.
  rules:
{rules}  variables:
{variables}{SETUP}",
        ci = jobs.ci,
        rules = all_rules(facts),
        variables = variables(facts, "    "),
    )
}

/// The section for what a machine needs.
const SETUP: &str = "\x20 # What the machine has to be or to bring: image, tags, services, before_script.
  # xtask: begin setup
  # xtask: end setup
";

fn variables(facts: &CiFacts, indent: &str) -> String {
    let depth = "# The whole history: what a change affects, and what it is compared with, are in it.";
    let submodules = if facts.checkout.submodules {
        format!("{indent}GIT_SUBMODULE_STRATEGY: recursive\n")
    } else {
        String::new()
    };
    format!("{indent}{depth}\n{indent}GIT_DEPTH: \"0\"\n{submodules}")
}

fn all_rules(facts: &CiFacts) -> String {
    let branches = if facts.branches.is_empty() {
        "    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH\n".to_owned()
    } else {
        rules(&facts.branches)
    };
    format!(
        "\
\x20   - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"
    - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS
      when: never
{branches}"
    )
}

/// Writes the rules for branches. Of our patterns, the last match counts; of GitLab's rules, the first.
fn rules(branches: &[String]) -> String {
    let rule = |branch: &String| match branch.strip_prefix('!') {
        Some(branch) => format!("    - if: {}\n      when: never\n", scalar(&condition(branch))),
        None => format!("    - if: {}\n", scalar(&condition(branch))),
    };
    let mut rules: Vec<String> = branches.iter().map(rule).collect();
    if branches.iter().any(|branch| branch.starts_with('!')) {
        rules.reverse();
    }
    rules.concat()
}

/// Returns the condition for pushes to a branch. `*` matches anything without a slash, `**` anything, as
/// in GitHub's workflows.
fn condition(branch: &str) -> String {
    if !branch.contains(['*', '?', '+', '[', '"', '$']) {
        return format!("$CI_COMMIT_BRANCH == \"{branch}\"");
    }
    let mut pattern = String::new();
    let mut rest = branch.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => pattern.push_str(".*"),
            '*' => pattern.push_str("[^\\/]*"),
            '?' | '+' | '[' | ']' | '-' => pattern.push(c),
            '/' => pattern.push_str("\\/"),
            c => pattern.push_str(&regex::escape(&c.to_string())),
        }
    }
    format!("$CI_COMMIT_BRANCH =~ /^{pattern}$/")
}

fn single(facts: &CiFacts, jobs: &Jobs<'_>) -> String {
    let run = format!("{} {}", facts.call, facts.run);
    format!(
        "{}:\n{}  timeout: {} minutes\n{}",
        jobs.ci,
        jobs.extends,
        facts.minutes,
        body(facts, &[notes(facts), item(&run)].concat(), COVERAGE)
    )
}

/// Writes a job for the shards, and one that merges their results.
fn sharded(facts: &CiFacts, jobs: &Jobs<'_>) -> String {
    let Jobs { ci, shard, extends } = jobs;
    let run = format!(
        "{} {} --shard \"$CI_NODE_INDEX/$CI_NODE_TOTAL\" --manifest \"{ARTIFACTS}/manifest-$CI_NODE_INDEX.json\"{}",
        facts.call, facts.run, facts.timings
    );
    format!(
        "\
{shard}:
{extends}  timeout: {minutes} minutes
  parallel: {shards}
{body}
{ci}:
{extends}  needs: [{shard}]
  # A missing shard is a failure, so this job always runs.
  when: always
  timeout: 15 minutes
{cache}  script:
{install}{notes}{merge}{COVERAGE}  artifacts:
    when: always
    expire_in: 1 week
    reports:
      codequality: {ARTIFACTS}/gl-code-quality-report.json
",
        minutes = facts.minutes,
        shards = facts.shards,
        // GitLab shows the mean of all jobs' coverage, so only the merging job prints it.
        body = body(facts, &item(&run), ""),
        // Without gates and without a runner there is no state to cache.
        cache = if facts.judges || facts.install == Some(Install::Release) { CACHE } else { "" },
        install = install(facts),
        notes = notes(facts),
        merge = item(&format!("{} merge-runs {ARTIFACTS}/manifest-*.json", facts.call)),
    )
}

/// Writes the body of a job that runs tasks.
fn body(facts: &CiFacts, run: &str, coverage: &str) -> String {
    let junit = rows(facts.junit.iter().map(|path| format!("\n        - {}", scalar(path))));
    let cobertura = facts.cobertura.as_ref().map_or_else(String::new, |path| {
        format!(
            "      coverage_report:\n        coverage_format: cobertura\n        path: {}\n",
            scalar(path)
        )
    });
    format!(
        "\
{CACHE}  script:
{install}{run}{coverage}  artifacts:
    when: always
    expire_in: 1 week
    paths: [{ARTIFACTS}/]
    reports:
      junit:
        - {ARTIFACTS}/junit.xml{junit}
      codequality: {ARTIFACTS}/gl-code-quality-report.json
{cobertura}",
        install = install(facts),
    )
}

/// Writes a line of a script.
fn item(line: &str) -> String {
    format!("    - {}\n", scalar(line))
}

/// Fetches the recorded facts of earlier trees. If that fails, the gates report that there is no baseline.
fn notes(facts: &CiFacts) -> String {
    if facts.compares { item(&format!("{NOTES} || true")) } else { String::new() }
}

fn install(facts: &CiFacts) -> String {
    let Some(install) = &facts.install else { return String::new() };
    let script = install.script("export PATH=\"$runner:$PATH\"");
    match script.lines().count() {
        1 => item(&script),
        _ => format!("    - |\n{}", rows(script.lines().map(|line| format!("      {line}\n")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_pattern_becomes_a_regular_expression() {
        let cases = [
            ("main", "$CI_COMMIT_BRANCH == \"main\""),
            ("feature/x-1.0", "$CI_COMMIT_BRANCH == \"feature/x-1.0\""),
            ("release/*", r"$CI_COMMIT_BRANCH =~ /^release\/[^\/]*$/"),
            ("v1.0/**", r"$CI_COMMIT_BRANCH =~ /^v1\.0\/.*$/"),
            ("v[0-9]+", "$CI_COMMIT_BRANCH =~ /^v[0-9]+$/"),
            ("a$b", r"$CI_COMMIT_BRANCH =~ /^a\$b$/"),
        ];
        for (branch, expected) in cases {
            assert_eq!(condition(branch), expected);
        }
    }
    #[test]
    fn last_matching_pattern_counts() {
        let branches = ["**", "!no", "no/**"].map(str::to_owned);
        let never = "    - if: $CI_COMMIT_BRANCH == \"no\"\n      when: never\n";
        let expected = format!(
            "    - if: {}\n{never}    - if: {}\n",
            scalar(&condition("no/**")),
            scalar(&condition("**"))
        );
        assert_eq!(rules(&branches), expected);
    }
}
