//! Tests of `xtask completions SHELL`. The bash script is run in a real bash, which these tests need in
//! addition to Rust, git and a C compiler. For zsh and fish, they check what the program answers their
//! scripts.

use std::fmt::Write as _;
use std::path::Path;

use crate::project::{CommandOutput, Project};

const TASKS: &str = "\
include = [\"api/tasks.toml\"]
[tools]
probe = \"touch probed\"
[tasks.ci]
description = \"All that: has to hold\"
needs = [\"lint\"]
[tasks.clippy]
group = \"lint\"
run = \"cargo clippy\"
tools = [\"probe\"]
[tasks.fmt]
group = \"lint\"
run = \"cargo fmt\"
[tasks.wheel]
matrix = { python = [\"3.11\", \"3.12\"] }
run = \"tox {{ matrix.python }}\"
[services.db]
run = \"postgres\"
";

fn project() -> Project {
    let project = Project::new(TASKS);
    project.write(
        "api/tasks.toml",
        r#"
        [tasks.test]
        run = "x"
        [tasks.build]
        run = "x"
        "#,
    );
    project.write("web/app/x", "");
    project
}

/// Runs a bash script in a folder of the project, with the program in PATH.
#[track_caller]
fn bash(project: &Project, folder: &str, script: &str) -> CommandOutput {
    let programs = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let script = format!("eval \"$(xtask completions bash)\"\n{script}");
    let mut command = project.command("bash");
    command.args(["--norc", "--noprofile", "-c", &script]).env("PATH", path);
    let output = command.current_dir(project.path(folder)).output();
    CommandOutput::from_output(
        output.unwrap_or_else(|error| panic!("this test needs bash, which can't be started: {error}")),
    )
}

/// Returns a bash script that completes each line, with the cursor at its end, and prints the completions as
/// one line.
fn lines(function: &str, lines: &[&str]) -> String {
    let mut script = String::new();
    for line in lines {
        let words: Vec<String> =
            line.split(' ').map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        let line = line.replace('\'', "'\\''");
        write!(
            script,
            "COMP_WORDS=({}); COMP_CWORD={}; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}\n\
             {function}; echo \"${{COMPREPLY[*]}}\"\n",
            words.join(" "),
            words.len() - 1,
        )
        .unwrap();
    }
    script
}

#[test]
fn bash_completes_commands_options_and_names() {
    let cases = [
        ("xtask cl", "clippy"),
        ("xtask w", "watch why wheel[python=3.11] wheel[python=3.12] wheel"),
        ("xtask run c", "ci clippy"),
        ("xtask plan f", "fmt"),
        ("xtask graph li", "lint"),
        ("xtask fix f", "fmt"),
        ("xtask ci --keep", "--keep-going"),
        (
            "xtask ci ",
            "init check ci clippy fmt wheel[python=3.11] wheel[python=3.12] api:test api:build lint wheel",
        ),
        ("xtask ci ch", "check"),
        ("xtask ci f", "fmt"),
        ("xtask run ci i", ""),
        ("xtask ci init --ba", "--badges"),
        ("xtask ci -j 2 li", "lint"),
        ("xtask why l", ""),
        ("xtask why f", "fmt"),
        ("xtask log --task f", "fmt"),
        ("xtask log --service ", "db"),
        ("xtask hooks i", "install"),
        ("xtask hook pre-pu", "pre-push"),
        ("xtask completions z", "zsh"),
        ("xtask ci --output ", "failed grouped stream all"),
        // Bash ends words at `:` and `=`, and only replaces the part after them.
        ("xtask a", "audit approve api:test api:build"),
        ("xtask api:t", "test"),
        ("xtask ci --color=al", "always"),
        ("xtask wheel\\[python=3.12", "3.12]"),
        ("xtask 'wheel[python=3.12", "wheel[python=3.12]"),
        ("xtask :te", "test"),
        ("xtask __", ""),
        ("xtask ci --junit x", ""),
        ("cargo-xtask cl", "clippy"),
    ];
    let asked: Vec<&str> = cases.iter().map(|(line, _)| *line).collect();
    for folder in ["", "web/app"] {
        let ran = bash(&project(), folder, &lines("_xtask", &asked)).ends(0);
        assert_eq!(ran.err, "");
        for ((line, expected), offered) in cases.iter().zip(ran.out.lines()) {
            // Outside of quotes, brackets are escaped.
            let expected = if line.contains('\'') {
                (*expected).to_owned()
            } else {
                expected.replace('[', "\\[").replace(']', "\\]")
            };
            assert_eq!(offered, expected, "{line} in {folder:?}");
        }
    }
}

#[test]
fn cargo_xtask_completes_and_other_cargo_completion_is_unchanged() {
    let asked = lines(
        "_xtask_of_cargo",
        &["cargo xtask cl", "cargo +nightly -v xtask why f", "cargo build -p xtask c"],
    );
    let (before, after) = ("_cargo() { COMPREPLY=(own); }\n", "complete -p cargo\n");
    // If cargo's completion is already loaded, the script is added to it.
    let script = format!("{before}complete -o nospace -F _cargo cargo\n_xtask_join_cargo\n{asked}{after}");
    let ran = bash(&project(), "", &script).ends(0);
    assert_eq!(ran.out, "clippy\nfmt\nown\ncomplete -o nospace -F _xtask_of_cargo cargo\n");
    // With bash-completion, cargo's completion is loaded when it is first needed.
    let script = format!("{before}__load_completion() {{ complete -F _cargo cargo; }}\n{asked}{after}");
    let ran = bash(&project(), "", &script).ends(0);
    assert_eq!(ran.out, "clippy\nfmt\nown\ncomplete -F _xtask_of_cargo cargo\n");
    // Without cargo's completion, files are completed as before.
    let ran = bash(&project(), "", &format!("{asked}{after}")).ends(0);
    assert_eq!(ran.out, "clippy\nfmt\n\ncomplete -o bashdefault -o default -F _xtask_of_cargo cargo\n");
    assert_eq!(ran.err, "");
}

/// Returns what the program answers the script of a shell.
fn complete(project: &Project, shell: &str, words: &[&str]) -> CommandOutput {
    let ran = project.xtask(&[&["__complete", shell, "--"], words].concat()).ends(0);
    assert_eq!(ran.err, "");
    ran
}

#[test]
fn zsh_and_fish_get_descriptions() {
    let project = project();
    let out = complete(&project, "fish", &["xtask", "plan", ""]).out;
    insta::assert_snapshot!(out, @r"
    ci	All that: has to hold
    clippy	cargo clippy
    fmt	cargo fmt
    wheel[python=3.11]	tox 3.11
    wheel[python=3.12]	tox 3.12
    api:test	x
    api:build	x
    lint	all of clippy, fmt
    wheel	all of wheel[python=3.11], wheel[python=3.12]
    ");
    complete(&project, "zsh", &["xtask", "plan", ""])
        .prints("ci:All that: has to hold\n")
        .prints("api\\:test:x\n")
        .prints("wheel[python=3.11]:tox 3.11\n");
    complete(&project, "zsh", &["xtask", ""])
        .prints("hooks:Install git hooks that call the gate\n")
        .prints("lint:all of");
    complete(&project, "fish", &["xtask", "--color="]).prints("--color=never\t");
    assert_eq!(complete(&project, "fish", &["xtask", "-C", ""]).out, "!folders\n");
    let outside = project.parent_folder();
    let mut from_outside =
        project.xtask_command(&["__complete", "fish", "--", "xtask", "-C", "repo/api", "run", ""]);
    CommandOutput::from_output(from_outside.current_dir(outside).output().unwrap())
        .ends(0)
        .prints("clippy\t");
    assert_eq!(complete(&project, "zsh", &["xtask", "ci", "--junit", ""]).out, "!files\n");
}

#[test]
fn completion_never_fails_and_starts_nothing() {
    let project = project();
    complete(&project, "bash", &["xtask c", ":="]);
    complete(&project, "fish", &["xtask", "log", ""]);
    assert!(!project.path("probed").exists() && !project.state().exists());

    project.write("tasks.toml", "[tasks.clippy]\nrun = 1\n");
    assert_eq!(complete(&project, "bash", &["xtask cl", ""]).out, "");
    complete(&project, "zsh", &["xtask", ""]);
    for words in [
        &[][..],
        &[""],
        &["xtask"],
        &["cargo", ""],
        &["xtask", "--no-such", "--", ""],
        &["\u{e9}", "-\u{e9}"],
    ] {
        for shell in ["bash", "zsh", "fish"] {
            complete(&project, shell, words);
        }
    }
    let outside = Project::without_git("");
    std::fs::remove_file(outside.path("tasks.toml")).unwrap();
    complete(&outside, "fish", &["xtask", "r"]);
    assert_screens!();
}

#[test]
fn each_shell_has_a_script() {
    let project = Project::new("");
    for shell in ["bash", "zsh", "fish"] {
        project.xtask(&["completions", shell]).ends(0);
    }
    project.xtask(&["completions", "csh"]).ends(2);
    assert_screens!();
}
