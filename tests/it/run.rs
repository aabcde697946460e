//! `xtask run`: hits, misses and their reasons, failures, retries and limits.

use crate::project::Project;
use crate::project::screens::mask;

const TASK: &str = r#"
    [tasks.check]
    run = "cat src/*.txt && echo ran >> ../ran"
    inputs = ["src/**"]
    "#;

fn project_with_task() -> Project {
    let project = Project::new(TASK);
    project.write("src/a.txt", "a\n").write("src/b.txt", "b\n").commit("files");
    project
}

fn executions(project: &Project) -> usize {
    project.lines("../ran").len()
}

#[test]
fn second_run_executes_nothing() {
    let project = project_with_task();
    project.xtask(&["check"]).ends(0);
    project.xtask(&["check"]).ends(0);
    assert_eq!(executions(&project), 1);
    assert_screens!();
}

#[test]
fn edited_input_is_a_miss_that_names_the_file() {
    let project = project_with_task();
    project.xtask(&["check"]).ends(0);
    project.write("src/a.txt", "c\n");
    project.xtask(&["check"]).ends(0);
    project.write("src/new.txt", "d\n");
    project.xtask(&["check"]).ends(0);
    project.write("other.txt", "not an input\n");
    project.xtask(&["check"]).ends(0);
    assert_eq!(executions(&project), 3);
    assert_screens!();
}

#[test]
fn same_size_with_a_restored_mtime_is_a_miss() {
    let project = project_with_task();
    project.xtask(&["check"]).ends(0);
    project.command("cp").args(["-p", "src/a.txt", "../stamp"]).status().unwrap();
    project.write("src/a.txt", "x\n");
    project.command("touch").args(["-r", "../stamp", "src/a.txt"]).status().unwrap();
    project.xtask(&["check"]).ends(0);
    assert_screens!();
}

#[test]
fn changed_executable_bit_is_a_miss() {
    let project = project_with_task();
    project.xtask(&["check"]).ends(0);
    project.chmod("src/a.txt", 0o755);
    project.xtask(&["check"]).ends(0);
    assert_screens!();
}

#[test]
fn reverted_edit_is_a_hit() {
    let project = project_with_task();
    project.xtask(&["check"]).ends(0);
    project.write("src/a.txt", "c\n").xtask(&["check"]).ends(0);
    project.write("src/a.txt", "a\n").xtask(&["check"]).ends(0);
    assert_screens!();
}

#[test]
fn command_arguments_environment_and_tools_are_in_the_key() {
    let text = |run: &str, env: &str| {
        format!(
            r#"
            [tools]
            version = "cat ../version"
            [tasks.t]
            run = {run}
            inputs = ["?src/**"]
            env = {{ A = "{env}" }}
            pass-env = ["P", "?Q"]
            tools = ["version"]
            "#
        )
    };
    let project = Project::new(&text("\"true\"", "1"));
    std::fs::write(project.parent_folder().join("version"), "tool 1.0\nsame\n").unwrap();
    let run = |vars: &[(&str, &str)]| project.xtask_env(&["t"], vars).ends(0);
    run(&[]);
    run(&[("Q", "unkeyed")]);
    run(&[("P", "x")]);
    project.write("tasks.toml", text("\"true\"", "2"));
    run(&[]);
    project.write("tasks.toml", text("[\"true\", \"a\", \"b\"]", "2"));
    run(&[]);
    project.write("tasks.toml", text("[\"true\", \"b\", \"a\"]", "2"));
    run(&[]);
    std::fs::write(project.parent_folder().join("version"), "tool 1.1\nsame\n").unwrap();
    run(&[]);
    project.xtask(&["run", "t", "--", "z"]).ends(0);
    assert_screens!();
}

#[test]
fn arguments_go_to_the_named_task() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "printf '%s\\n'"
        [tasks.all]
        needs = ["t"]
        "#,
    );
    project.xtask(&["run", "t", "-o", "grouped", "--", "a b", "$x"]).ends(0);
    project.xtask(&["run", "all", "--", "x"]).ends(2);
    assert_screens!();
}

#[test]
fn failure_is_shown_last_and_dependents_are_skipped() {
    let project = Project::new(
        r#"
        [tasks.all]
        needs = ["bad", "good", "after"]
        [tasks.good]
        run = "true"
        [tasks.bad]
        run = "echo the reason; exit 7"
        [tasks.after]
        run = "echo never >> ../never"
        needs = ["bad"]
        "#,
    );
    let ran = project.xtask(&["all", "-k"]).ends(1);
    let log = ran.err.find("the reason\n").unwrap();
    assert!(log > ran.err.find("✓ good").unwrap(), "{}", ran.err);
    assert!(ran.err.trim_end().lines().rev().take(5).any(|line| line.contains("failed: bad")), "{}", ran.err);
    assert!(project.lines("../never").is_empty());
    project.xtask(&["bad"]).ends(1);
    assert_screens!();
}

#[test]
fn failure_stops_the_run_except_with_keep_going() {
    let project = Project::new(
        r#"
        [tasks.all]
        needs = ["bad", "slow"]
        [tasks.bad]
        run = "until test -e ../started; do sleep 0.01; done; exit 1"
        [tasks.slow]
        run = "echo > ../started; sleep 60"
        finally = "echo cleaned > ../cleaned"
        "#,
    );
    project.xtask(&["all", "-j2"]).ends(1);
    assert!(project.path("../cleaned").exists(), "`finally` runs after a failure elsewhere");
    assert_screens!();
}

#[test]
fn flaky_task_passes_and_is_not_stored() {
    let project = Project::new(
        r#"
        [tasks.flaky]
        run = "if test -e ../once; then echo good; else echo > ../once; echo bad; exit 1; fi"
        inputs = ["?src/**"]
        retries = 2
        "#,
    );
    project.xtask(&["flaky"]).ends(0);
    project.xtask(&["flaky"]).ends(0);
    project.xtask(&["flaky"]).ends(0);
    assert_screens!();
}

#[test]
fn timeout_ends_the_task() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "echo begun; sleep 60"
        timeout = "2s"
        "#,
    );
    project.xtask(&["t"]).ends(1);
    project.xtask(&["t"]).ends(1);
    assert_screens!();
}

#[test]
fn slow_task_is_named() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "sleep 0.5"
        slow-after = "50ms"
        "#,
    );
    project.xtask(&["t"]).ends(0);
    assert_screens!();
}

#[test]
fn one_job_is_enough_for_any_graph() {
    let project = Project::new(
        r#"
        [tasks.all]
        needs = ["a", "b", "c"]
        [tasks.a]
        run = "true"
        slots = 8
        locks = ["x"]
        [tasks.b]
        run = "true"
        needs = ["a"]
        locks = ["x", "y"]
        [tasks.c]
        run = "true"
        locks = ["y"]
        "#,
    );
    project.xtask(&["all", "--jobs", "1"]).ends(0);
    assert_screens!();
}

#[test]
fn lock_has_one_holder_at_a_time() {
    let holder = "mkdir ../held && sleep 0.1 && rmdir ../held";
    let project = Project::new(&format!(
        r#"
        [tasks.all]
        needs = ["a", "b"]
        [tasks.a]
        run = "{holder}"
        locks = ["port"]
        [tasks.b]
        run = "{holder}"
        locks = ["port"]
        "#
    ));
    project.xtask(&["all", "-j4"]).ends(0);
}

#[test]
fn task_for_another_system_is_skipped() {
    let project = Project::new(
        r#"
        [tasks.mac]
        run = "false"
        os = ["macos"]
        [tasks.t]
        run = "true"
        needs = ["mac"]
        "#,
    );
    if cfg!(target_os = "linux") {
        project.xtask(&["t"]).ends(0);
    }
    assert_screens!();
}

#[test]
fn force_and_no_cache_execute_again() {
    let project = project_with_task();
    project.xtask(&["check", "--no-cache"]).ends(0);
    project.xtask(&["check"]).ends(0);
    project.xtask(&["check", "--force"]).ends(0);
    project.xtask(&["check"]).ends(0);
    assert_eq!(executions(&project), 3);
    assert_screens!();
}

#[test]
fn only_leaves_out_the_needs() {
    let project = Project::new(
        r#"
        [tasks.a]
        run = "echo a >> ../ran"
        [tasks.b]
        run = "echo b >> ../ran"
        needs = ["a"]
        "#,
    );
    project.xtask(&["b", "--only"]).ends(0);
    assert_eq!(project.lines("../ran"), ["b"]);
}

#[test]
fn misspelt_name_suggests_the_nearest() {
    let project = project_with_task();
    project.xtask(&["chekc"]).ends(4);
    assert_screens!();
}

#[test]
fn without_a_repository_tasks_run_and_are_not_cached() {
    let project = Project::without_git(
        r#"
        [tasks.t]
        run = "echo ran >> ../ran"
        [tasks.bad]
        run = "exit 9"
        "#,
    );
    for _ in 0..2 {
        let ran = project.xtask(&["t"]).ends(0);
        assert_eq!(ran.err.matches("nothing is cached").count(), 1);
    }
    assert_eq!(executions(&project), 2);
    project.xtask(&["bad"]).ends(1);
    project.xtask(&["log"]).ends(5);
    assert_screens!();
}

#[test]
fn run_works_in_a_subfolder() {
    let project = project_with_task();
    let ran = project.xtask_command(&["check"]).current_dir(project.path("src")).output().unwrap();
    crate::project::CommandOutput::from_output(ran).ends(0);
    project.xtask(&["-C", "src", "check"]).ends(0);
    assert_screens!();
}

#[test]
fn task_gets_empty_stdin_and_declared_variables_only() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "cat; env | cut -d= -f1 | sort > ../env"
        env = { DECLARED = "1" }
        "#,
    );
    let vars = [("GIT_DIR", "/nowhere"), ("SECRET", "x"), ("CI", "true"), ("LANG", "de_DE.UTF-8")];
    // The program itself ignores the variables that git sets for a hook too.
    project.xtask_env(&["t"], &vars).ends(0);
    let names = project.lines("../env");
    for name in ["DECLARED", "HOME", "LANG", "PATH", "TERM", "XTASK_RUN", "XTASK_TASK"] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    for name in ["GIT_DIR", "SECRET", "CI", "GIT_AUTHOR_NAME"] {
        assert!(!names.iter().any(|known| known == name), "{name}: {names:?}");
    }
}

#[test]
fn changed_dependency_with_equal_outputs_is_still_a_hit() {
    let project = Project::new(
        r#"
        [tasks.gen]
        run = "grep -v '^#' gen.in > gen.out"
        inputs = ["gen.in"]
        outputs = ["gen.out"]
        [tasks.use]
        run = "cat gen.out; echo use >> ../ran"
        inputs = ["use.in"]
        needs = ["gen"]
        "#,
    );
    project.write(".gitignore", "gen.out\n").write("gen.in", "# one\nvalue\n").commit("in");
    project.xtask(&["use"]).ends(0);
    project.write("gen.in", "# two\nvalue\n");
    project.xtask(&["use"]).ends(0);
    project.write("gen.in", "# two\nother\n");
    project.xtask(&["use"]).ends(0);
    assert_eq!(executions(&project), 2);
    assert_screens!();
}

#[test]
fn failed_probe_fails_its_task_with_the_reason() {
    let project = Project::new(
        r#"
        [tools]
        x = "no-such-tool --version"
        [tasks.t]
        run = "true"
        tools = ["x"]
        "#,
    );
    project.xtask(&["t"]).ends(1);
    assert_screens!();
}

#[test]
fn output_for_people() {
    let project = Project::new(
        r#"
        [tasks.all]
        needs = ["a", "b"]
        [tasks.a]
        run = "true"
        inputs = ["?a.txt"]
        [tasks.b]
        run = "echo out; exit 3"
        inputs = ["?b.txt"]
        needs = ["a"]
        "#,
    );
    let ran = project.xtask(&["all", "-j1"]).ends(1);
    insta::assert_snapshot!("lines", mask(&ran.err));
    let ran = project.xtask(&["a"]).ends(0);
    insta::assert_snapshot!("lines_of_hits", mask(&ran.err));
}

#[test]
fn probe_gets_the_variables_of_the_tasks_that_use_it() {
    let project = Project::new(
        r#"
        [tools]
        x = "echo version $WHERE"
        [tasks.t]
        run = "true"
        inputs = ["?in"]
        tools = ["x"]
        pass-env = ["?WHERE"]
        "#,
    );
    let run = |value: &str| project.xtask_env(&["t"], &[("WHERE", value)]).ends(0);
    run("1");
    run("2");
    assert_screens!();
}
