//! The help of all commands, and the messages that users see when a command can't do its work.

use std::fmt::Write as _;

use crate::project::Project;

#[test]
fn help_of_each_command() {
    let project = Project::new("");
    let commands = [
        "",
        "run",
        "watch",
        "plan",
        "why",
        "graph",
        "fix",
        "audit",
        "gate",
        "explain-gate",
        "hooks",
        "hook",
        "log",
        "diff-run",
        "merge-runs",
        "init",
        "ci",
        "doctor",
        "baseline",
        "sonar",
        "cache",
        "schema",
        "completions",
    ];
    let mut screens = String::new();
    for command in commands {
        let args: Vec<&str> = [command, "--help"].into_iter().filter(|arg| !arg.is_empty()).collect();
        write!(screens, "$ xtask {}\n{}\n", args.join(" "), project.xtask(&args).ends(0).out).unwrap();
    }
    insta::assert_snapshot!(screens);
}

#[test]
fn failures_say_what_is_wrong_and_what_to_do() {
    let project = Project::new(
        r#"
        [tasks.unit]
        run = "true"
        [tasks.all]
        needs = ["unit"]
        "#,
    );
    let lines = [
        "run unti",
        "plnt",
        "run unit --dry-run --no-cache",
        "run unit all -- --nocapture",
        "run unit --shard 3/2",
        "run unit --shard 1",
        "run unit --shard 1/0",
        "run unit --timings t.json",
        "why all",
        "why nothing",
        "plan --at no-such-rev",
        "fix",
        "audit",
        "explain-gate quality",
        "hooks install",
        "hooks status",
        "hook no-such-stage",
        "log no-such-run",
        "log --last",
        "diff-run last~1 last",
        "merge-runs no-such-file.json",
        "init",
        "ci init",
        "ci check",
        "baseline show",
        "baseline write baseline.json",
        "sonar",
        "completions tcsh",
    ];
    let head = project.git(&["rev-parse", "HEAD"]);
    let mut screens = String::new();
    for line in lines {
        let ran = project.xtask(&line.split(' ').collect::<Vec<_>>());
        let text = format!("{}{}", ran.out, ran.err);
        let text = text.replace(&project.path("").display().to_string(), "[PROJECT]/");
        let text = text.replace(&head.trim()[..10], "[HEAD]");
        writeln!(screens, "$ xtask {line}\n{text}[exit status {}]\n", ran.status).unwrap();
    }
    insta::assert_snapshot!(screens);
}
