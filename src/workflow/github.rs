//! The workflow of GitHub Actions. It must not know other CI systems.

use super::ci_facts::{CiFacts, NOTES, System};
use super::handwritten::Sections;
use super::pin;
use super::runner::Install;
use super::step::Step;
use super::{Draft, HEADER, OverwritePolicy, rows, stem};
use crate::base::yaml::{self, scalar as line};

/// Its usual path.
pub const PATH: &str = ".github/workflows/ci.yml";
/// Where GitHub looks for it.
pub const FOLDER: &str = ".github/workflows/";
/// The folder that is cached from run to run.
const STATE: &str = ".git/xtask";

/// Writes the workflow at a path. `branches` are those of tasks.toml or else those of the existing file.
pub fn draft(facts: &CiFacts, branches: &[String], path: &str) -> Draft {
    let name = stem(path);
    let jobs = if facts.shards > 1 { sharded(facts, name) } else { single(facts, name) };
    let branches = rows(branches.iter().map(|branch| format!("\n      - {}", line(branch))));
    let text = format!(
        "\
# {HEADER}; `xtask ci check` shows where it differs.
# The lines between \"begin\" and \"end\" are yours and are kept.
name: {name}

on:
  push:
    branches:{branches}
  pull_request:
  merge_group:

permissions:
  contents: read

# A newer state of a pull request ends the run of the older one. Of a branch, each push is run.
concurrency:
  group: ${{{{ github.workflow }}}}-${{{{ github.event.pull_request.number || github.run_id }}}}
  cancel-in-progress: true

jobs:
{jobs}
  # More jobs, if there have to be any:
  # xtask: begin jobs
  # xtask: end jobs
"
    );
    let path = path.to_owned();
    Draft { path, text, first: Sections::default(), policy: OverwritePolicy::Required }
}

/// Returns the branches that a workflow names.
pub fn branches(text: &str) -> Vec<String> {
    let workflow = yaml::parse(text).unwrap_or_default();
    let named = workflow["on"]["push"]["branches"].as_array().into_iter().flatten();
    named.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Writes a job for one machine, or for one of each system.
fn single(facts: &CiFacts, name: &str) -> String {
    let (strategy, image) = machines(facts, "");
    format!(
        "  {name}:
{strategy}    runs-on: {image}
    timeout-minutes: {minutes}
    steps:
{checkout}{restore}{notes}{setup}{install}      - name: Run the tasks
        run: {run}
{save}",
        minutes = facts.minutes,
        checkout = checkout(facts),
        restore = restore(""),
        notes = notes(facts),
        setup = setup("setup"),
        install = install(facts),
        run = line(&format!("{} {}", facts.call, facts.run)),
        save = save(""),
    )
}

/// Writes a job for the shards, and one that merges their results.
fn sharded(facts: &CiFacts, name: &str) -> String {
    let of_image = if facts.systems.len() > 1 { "-${{ matrix.image }}" } else { "" };
    let (shard, merge) = (shard(facts, of_image), merge(facts, name, of_image));
    format!(
        "{shard}
  # A skipped job counts as passed, so this one always runs.
{merge}"
    )
}

fn shard(facts: &CiFacts, of_image: &str) -> String {
    let shards: Vec<String> = (1..=facts.shards).map(|shard| shard.to_string()).collect();
    let (strategy, image) = machines(facts, &format!("        shard: [{}]\n", shards.join(", ")));
    let scope = "-shard${{ matrix.shard }}of".to_owned() + &facts.shards.to_string();
    let run = format!(
        "{} {} --shard \"$SHARD/{}\" --manifest \"$RUNNER_TEMP/manifest-$SHARD.json\"{}",
        facts.call, facts.run, facts.shards, facts.timings
    );
    format!(
        "  shard:
{strategy}    runs-on: {image}
    timeout-minutes: {minutes}
    steps:
{checkout}{restore}{setup}{install}      - name: Run the tasks of this shard
        env:
          SHARD: ${{{{ matrix.shard }}}}
        run: {run}
      - name: Hand on what was found
        if: ${{{{ always() }}}}
        uses: {upload}
        with:
          name: manifest{of_image}-${{{{ matrix.shard }}}}
          path: ${{{{ runner.temp }}}}/manifest-*.json
          if-no-files-found: error
          overwrite: true
          retention-days: 7
{save}",
        minutes = facts.minutes,
        checkout = checkout(facts),
        restore = restore(&scope),
        setup = setup("setup"),
        install = install(facts),
        run = line(&run),
        upload = pin::UPLOAD.uses(),
        save = save(&scope),
    )
}

fn merge(facts: &CiFacts, name: &str, of_image: &str) -> String {
    let scope = format!("-merge{of_image}");
    // Without gates and without a runner there is no state to cache.
    let has_state = facts.judges || facts.install == Some(Install::Release);
    let kept = |steps: String| if has_state { steps } else { String::new() };
    // Manifests of two systems are of different plans.
    let (each, _) = if of_image.is_empty() { (String::new(), String::new()) } else { machines(facts, "") };
    format!(
        "  {name}:
    if: ${{{{ always() }}}}
    needs: shard
{each}    runs-on: {linux}
    timeout-minutes: 15
    steps:
{checkout}{restore}{notes}{setup}{install}      - uses: {download}
        with:
          pattern: manifest{of_image}-*
          path: ${{{{ runner.temp }}}}/manifests
          merge-multiple: true
      - name: Put together what was found
        run: {merge}
{save}",
        linux = System::Linux.image(),
        checkout = checkout(facts),
        restore = kept(restore(&scope)),
        notes = notes(facts),
        setup = setup("setup-merge"),
        install = install(facts),
        download = pin::DOWNLOAD.uses(),
        merge = line(&format!("{} merge-runs \"$RUNNER_TEMP\"/manifests/*.json", facts.call)),
        save = kept(save(&scope)),
    )
}

/// Returns the strategy of a job, with further lines for its matrix, and its machine.
fn machines(facts: &CiFacts, more: &str) -> (String, String) {
    let images: Vec<&str> = facts.systems.iter().map(|system| system.image()).collect();
    let (row, image) = match &*images {
        [one] => (String::new(), (*one).to_owned()),
        several => (format!("        image: [{}]\n", several.join(", ")), "${{ matrix.image }}".to_owned()),
    };
    if row.is_empty() && more.is_empty() {
        return (String::new(), image);
    }
    (format!("    strategy:\n      fail-fast: false\n      matrix:\n{row}{more}"), image)
}

impl System {
    /// Returns the image of GitHub's machines.
    fn image(self) -> &'static str {
        match self {
            Self::Linux => "ubuntu-24.04",
            Self::MacOs => "macos-15",
        }
    }
}

/// Fetches the whole history, which `--affected` and baselines need.
fn checkout(facts: &CiFacts) -> String {
    format!(
        "      - uses: {}\n        with:\n          fetch-depth: 0\n          persist-credentials: false\n{}{}",
        pin::CHECKOUT.uses(),
        if facts.checkout.submodules { "          submodules: recursive\n" } else { "" },
        if facts.checkout.lfs { "          lfs: true\n" } else { "" },
    )
}

fn key(scope: &str) -> String {
    format!("xtask-${{{{ runner.os }}}}-${{{{ runner.arch }}}}{scope}-")
}

fn restore(scope: &str) -> String {
    let key = key(scope);
    format!(
        "      - name: Restore the results of earlier runs
        uses: {uses}
        with:
          path: {STATE}
          key: {key}{HASH}-{RUN}
          restore-keys: |
            {key}{HASH}-
            {key}
",
        uses = pin::RESTORE.uses(),
    )
}

/// Fetches the recorded facts of earlier trees. If that fails, the gates report that there is no baseline.
/// The checkout leaves no credentials, so git gets the token for this step only.
fn notes(facts: &CiFacts) -> String {
    if !facts.compares {
        return String::new();
    }
    format!(
        "      - name: Fetch the recorded gates of earlier trees
        continue-on-error: true
        env:
          TOKEN: ${{{{ github.token }}}}
          GIT_TERMINAL_PROMPT: \"0\"
          GIT_CONFIG_COUNT: \"1\"
          GIT_CONFIG_KEY_0: credential.helper
          GIT_CONFIG_VALUE_0: {HELPER}
        run: {fetch}
",
        fetch = line(NOTES),
    )
}

const HELPER: &str = r#"'!f() { echo username=x-access-token; echo "password=$TOKEN"; }; f'"#;
const HASH: &str = "${{ hashFiles('**/tasks.toml') }}";
const RUN: &str = "${{ github.run_id }}-${{ github.run_attempt }}";

/// Also saves if something failed, so that what passed is not run again.
fn save(scope: &str) -> String {
    format!(
        "      - name: Save the results of this run
        if: ${{{{ !cancelled() }}}}
        uses: {uses}
        with:
          path: {STATE}
          key: {key}{HASH}-{RUN}
",
        uses = pin::SAVE.uses(),
        key = key(scope),
    )
}

fn setup(part: &str) -> String {
    format!(
        "      # Your own steps, such as the setup of tools:
      # xtask: begin {part}
      # xtask: end {part}
"
    )
}

fn install(facts: &CiFacts) -> String {
    let Some(install) = &facts.install else { return String::new() };
    let script = install.script("echo \"$runner\" >> \"$GITHUB_PATH\"");
    Step::run("Install the runner", &script).lines(6).join("\n") + "\n"
}
