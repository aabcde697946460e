//! Tests how the generated jobs get the results of earlier trees: the state in the CI cache, and git notes.

use std::fs;

use crate::ci_workflows::{GITHUB, GITLAB, project_with_workflows};
use crate::project::{CommandOutput, Project};

/// A gate that compares with another tree, on several machines.
const COMPARING: &str = r#"
    [ci]
    shards = 2
    providers = ["github", "gitlab"]
    install = ""

    [tasks.ci]
    run = "true"
    reports = { junit = "out/junit.xml", lcov = "out/lcov.info" }

    [gates.quality]
    coverage = { max-drop = 1 }
    "#;

/// Returns the job that merges the shards, as text.
fn merge_job(text: &str) -> &str {
    &text[text.find("\n  ci:\n").or_else(|| text.find("\nci:\n")).unwrap()..]
}

#[test]
fn gate_job_has_the_baseline_of_a_single_machine() {
    let one = COMPARING.replace("shards = 2", "shards = 1");
    let notes = "git fetch --quiet origin '+refs/notes/xtask*:refs/notes/xtask*'";
    for tasks in [COMPARING, &one] {
        let project = project_with_workflows(tasks);
        let text = project.read(GITHUB);
        let job = merge_job(&text);
        for part in ["fetch-depth: 0", "actions/cache/restore@", "actions/cache/save@", notes] {
            assert!(job.contains(part), "{part}: {job}");
        }
        assert_eq!(text.matches(notes).count(), 1, "only gates fetch the notes: {text}");
        let text = project.read(GITLAB);
        assert!(merge_job(&text).contains("cache:\n    key: xtask-$CI_JOB_NAME_SLUG"), "{text}");
        assert!(merge_job(&text).contains(&format!("    - {notes} || true\n")), "{text}");
        // If several jobs had a coverage, GitLab would show their mean.
        assert_eq!(text.matches("coverage: '/").count(), 1, "{text}");
        assert!(merge_job(&text).contains("coverage: '/"), "{text}");
        assert!(merge_job(&text).contains("codequality: "), "{text}");
    }
    let project = project_with_workflows(&COMPARING.replace("max-drop", "min"));
    assert!(!project.read(GITHUB).contains(notes) && !project.read(GITLAB).contains(notes));
}

#[test]
fn token_is_only_passed_to_git_for_the_notes() {
    let project = project_with_workflows(COMPARING);
    let text = project.read(GITHUB);
    assert_eq!(text.matches("github.token").count(), 1, "{text}");
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: "))).unwrap();
        line.trim_matches(['"', '\'']).to_owned()
    };
    let mut git = project.command("git");
    for name in ["GIT_TERMINAL_PROMPT", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"] {
        git.env(name, value(name));
    }
    git.env("TOKEN", "t0ken").current_dir(project.root());
    git.args(["-c", "credential.interactive=false", "credential", "fill"]);
    fs::write(project.path("asked"), "protocol=https\nhost=example.com\n\n").unwrap();
    git.stdin(fs::File::open(project.path("asked")).unwrap());
    CommandOutput::from_output(git.output().unwrap()).ends(0);
    assert_screens!();
}

#[test]
fn coverage_drop_of_shards_is_judged_by_the_notes() {
    let tasks =
        COMPARING.replace("run = \"true\"", "run = \"mkdir -p out && cp in/* out/\"\ninputs = [\"in/**\"]");
    let project = Project::new(&tasks);
    let junit = "<testsuites tests=\"1\"><testsuite name=\"s\" tests=\"1\"><testcase classname=\"s\" name=\"a\"/></testsuite></testsuites>\n";
    let lcov = "SF:a.py\nDA:1,1\nDA:2,1\nend_of_record\n";
    project
        .write(".gitignore", "out/\n")
        .write("in/junit.xml", junit)
        .write("in/lcov.info", lcov)
        .write("a.py", "\n\n");
    project.commit("reports");
    project.publish();
    project.xtask(&["ci"]).ends(0);
    project.xtask(&["baseline", "push"]).ends(0);
    let other = project.clone_remote();
    other.git(&["switch", "-q", "-c", "topic"]);
    other.write("in/lcov.info", lcov.replace("DA:2,1", "DA:2,0")).commit("less");
    let merge = || {
        let files = ["1", "2"].map(|shard| {
            let file = format!(".git/{shard}.json");
            other.xtask(&["ci", "--shard", &format!("{shard}/2"), "--manifest", &file]).ends(0);
            file
        });
        other.xtask(&["merge-runs", &files[0], &files[1]])
    };
    // A checkout has no notes. The command of the workflow fetches them.
    merge().ends(0);
    other.git(&["fetch", "--quiet", "origin", "+refs/notes/xtask*:refs/notes/xtask*"]);
    merge().ends(1);
    // If there are no notes yet, the command must not fail.
    other.git(&["fetch", "--quiet", "origin", "+refs/notes/none*:refs/notes/none*"]);
    assert_screens!();
}
