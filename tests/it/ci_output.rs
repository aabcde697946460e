//! Tests of what a run prints for the CI service that it runs in.

use crate::project::screens::mask;
use crate::project::{CommandOutput, Project};

const TASKS: &str = r#"
    [tasks.all]
    needs = ["good", "bad"]
    [tasks.good]
    run = "echo fine"
    inputs = ["?in"]
    [tasks.bad]
    run = "printf '::add-mask::forged\\n##[group]forged\\n##vso[task.complete]forged\\n+++ forged\\ncoverage: 1%%\\n'; exit 1"
    inputs = ["?in"]
    [hooks]
    pre-push = ["good"]
    "#;

const GITHUB: (&str, &str) = ("GITHUB_ACTIONS", "true");

/// Replaces the tokens of fences, which are random.
fn without_tokens(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(at) = text.find("::stop-commands::") {
        let token = text[at + 17..].lines().next().unwrap().to_owned();
        text = text.replace(&format!("::stop-commands::{token}"), "::stop::").replace(&token, "<token>");
    }
    text
}

#[test]
fn github_gets_annotations_and_a_summary() {
    let project = Project::new(TASKS);
    let summary = project.parent_folder().join("summary.md");
    std::fs::write(&summary, "the summary of the previous step\n").unwrap();
    let vars = [GITHUB, ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    let failed = project.xtask_env(&["bad"], &vars).ends(1);
    insta::assert_snapshot!(without_tokens(&mask(&failed.err)), @r"
    bad: 1 task · tree <tree>
    ✗ bad  <time>  exit status 1 · first run
    ── bad: exit status 1, <time> ──
    ::stop::
    ::add-mask::forged
    ## [group]forged
    ##vso[task.complete]forged
    +++ forged
    coverage: 1%
    ::<token>::
    $ printf '::add-mask::forged\n## [group]forged\n##vso[task.complete]forged\n+++ forged\ncoverage: 1%%\n'; exit 1

    failed: bad
    failed: 1 ran, in <time>
    show this again: xtask log <run>
    ::error title=bad failed%3A exit status 1::::add-mask::forged%0A## [group]forged%0A##vso[task.complete]forged%0A+++ forged%0Acoverage: 1%25
    ");
    assert_eq!(failed.out, "");
    let text = std::fs::read_to_string(&summary).unwrap();
    let (before, after) = text.split_once('\n').unwrap();
    assert_eq!(before, "the summary of the previous step");
    assert!(after.starts_with("## `bad` ❌ failed\n"), "{text}");
    assert!(
        after.contains("| `bad` | ❌ failed |") && after.contains("### The last lines of `bad`"),
        "{text}"
    );
    let passed = project.xtask_env(&["good", "--force"], &vars).ends(0);
    let plain = project.xtask(&["good", "--force"]).ends(0);
    assert_eq!(mask(&passed.err), mask(&plain.err));
    let text = std::fs::read_to_string(&summary).unwrap();
    assert!(text.contains("❌ failed") && text.contains("## `good` ✅ passed\n"), "{text}");
}

#[test]
fn recorded_run_is_printed_again_for_any_service() {
    let project = Project::new(TASKS);
    for (name, value, service) in [
        ("GITHUB_ACTIONS", "true", "github"),
        ("GITLAB_CI", "true", "gitlab"),
        ("BUILDKITE", "true", "buildkite"),
        ("TF_BUILD", "True", "azure"),
    ] {
        let summary = project.parent_folder().join("summary.md");
        let vars = [(name, value), ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
        let ran = project.xtask_env(&["all", "-k", "-o", "all", "--force"], &vars).ends(1);
        let _ = std::fs::remove_file(&summary);
        let log = project.xtask(&["log", "--last", "-o", "all", "--ci", service]).ends(0);
        assert_eq!(without_tokens(&log.out), without_tokens(&ran.err), "{service}");
        let plain = project.xtask(&["log", "--last", "-o", "all"]).ends(0);
        assert_ne!(plain.out, log.out, "{service}");
        assert!(!summary.exists(), "`log` writes no files");
        // In CI, `xtask log` only uses the commands of a service if `--ci` asks for it.
        let unasked = project.xtask_env(&["log", "--last", "-o", "all"], &vars).ends(0);
        assert_eq!(unasked.out, plain.out, "{service}");
    }
}

#[test]
fn gitlab_files_are_not_part_of_the_tree() {
    let project = Project::new(TASKS);
    let tree = |ran: &CommandOutput| ran.events()[0]["tree"].clone();
    let before = tree(&project.xtask(&["good", "--format", "json"]).ends(0));
    project.xtask_env(&["all", "-k"], &[("GITLAB_CI", "true")]).ends(1);
    let junit = project.read(".xtask-artifacts/junit.xml");
    assert!(junit.contains("failures=\"1\""), "{junit}");
    assert_eq!(project.read(".xtask-artifacts/gl-code-quality-report.json"), "[]");
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    let after = project.xtask(&["good", "--format", "json"]).ends(0);
    assert_eq!(tree(&after), before);
    assert_screens!();
}

#[test]
fn azure_uploads_an_existing_summary() {
    let project = Project::new(TASKS);
    let path = project.path(".xtask-artifacts/summary.md");
    let command = format!("\n##vso[task.uploadsummary]{}\n", path.display());
    project.xtask_env(&["all", "-k"], &[("TF_BUILD", "True")]).ends(1).says(&command);
    assert!(project.read(".xtask-artifacts/summary.md").starts_with("## `all` ❌ failed\n"));
    assert_screens!();
}

#[test]
fn buildkite_gets_headings() {
    let project = Project::new(TASKS);
    let ran = project.xtask_env(&["all", "-k"], &[("BUILDKITE", "true")]).ends(1);
    let headings: Vec<&str> =
        ran.err.lines().filter(|line| line.starts_with("--- ") || line.starts_with("+++ ")).collect();
    assert_eq!(headings.len(), 3, "{}", ran.err);
    assert!(headings[1].starts_with("+++ bad: exit status 1"), "{headings:?}");
}

#[test]
fn service_can_be_named_or_turned_off_by_events() {
    let project = Project::new(TASKS);
    let command = "::error title=bad failed";
    project.xtask_env(&["bad", "--ci", "none"], &[GITHUB]).ends(1).does_not_say(command);
    project.xtask(&["bad", "--ci", "github"]).ends(1).says(command);
    let events = project.xtask_env(&["bad", "--format", "json"], &[GITHUB]).ends(1);
    assert_eq!((events.err.as_str(), events.events()[0]["event"].as_str()), ("", Some("run-started")));
    let both = project.xtask(&["bad", "--format", "json", "--ci", "github"]).ends(1).says(command);
    assert_eq!(both.events()[0]["event"], "run-started");
    project.xtask(&["bad", "--ci", "jenkins"]).ends(2);
    assert_screens!();
}

#[test]
fn unwritable_step_summary_is_a_warning() {
    let project = Project::new(TASKS);
    project.write("file", "");
    let vars = [GITHUB, ("GITHUB_STEP_SUMMARY", "file/summary.md")];
    project.xtask_env(&["good"], &vars).ends(0);
    assert_screens!();
}

#[test]
fn gate_prints_for_the_service() {
    let project = Project::new(&TASKS.replace("pre-push = [\"good\"]", "pre-push = [\"all\"]"));
    project.xtask_env(&["gate"], &[GITHUB]).ends(1).says("::error title=bad failed");
    project.xtask_env(&["gate", "--ci", "none"], &[GITHUB]).ends(1).does_not_say("::error");
}

#[test]
fn summary_can_be_written_to_any_path() {
    let project = Project::new(TASKS);
    for _ in 0..2 {
        project.xtask(&["good", "--force", "--summary", "../reports/summary.md"]).ends(0);
    }
    let text = project.read("../reports/summary.md");
    assert_eq!(text.matches("## `good` ✅ passed").count(), 1, "{text}");
}

#[test]
fn findings_on_changed_lines_come_first() {
    let project = Project::new(TASKS);
    project.write("src/a.rs", "1\n2\n3\n4\n5\n").commit("second");
    project.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    project.git(&["update-ref", "refs/remotes/origin/next", "HEAD"]);
    project.write("src/a.rs", "1\n2\n3\nfour\n5\n").commit("third");
    project.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    project.xtask(&["good"]).ends(0);
    // Changes the record of a run so that its task has a finding in each line.
    let files = std::fs::read_dir(project.state().join("runs")).unwrap().map(|file| file.unwrap().path());
    let mut records = files.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    let record = records.next().unwrap();
    let text = std::fs::read_to_string(&record).unwrap();
    let found: Vec<String> = (1..=5)
        .map(|line| {
            format!(
                r#"{{"severity":"medium","tool":"t","rule":"r","message":"m{line}","place":{{"path":"{}/src/a.rs","line":{line}}}}}"#,
                project.root().display()
            )
        })
        .collect();
    let reported = format!(r#""task":"good","reported":{{"findings":[{}]}}"#, found.join(","));
    let text = text.lines().map(|line| {
        if line.contains("task-finished") {
            line.replacen(r#""task":"good""#, &reported, 1) + "\n"
        } else {
            format!("{line}\n")
        }
    });
    std::fs::write(&record, text.collect::<String>()).unwrap();
    let order = |base: &str| -> Vec<String> {
        let vars = [("GITHUB_BASE_REF", base)];
        let log = project.xtask_env(&["log", "--last", "--ci", "github"], &vars).ends(0);
        let lines = log.out.lines().filter_map(|line| line.strip_prefix("::warning file=src/a.rs,line="));
        lines.map(|line| line[..1].to_owned()).collect()
    };
    assert_eq!(order("next"), ["4", "1", "2", "3", "5"]);
    // With the branch itself, or with one that this clone does not have, no line counts as changed.
    assert_eq!(order(""), ["1", "2", "3", "4", "5"]);
    assert_eq!(order("gone"), ["1", "2", "3", "4", "5"]);
}
