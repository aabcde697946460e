//! Tests of `env-file`: variables from files, whose values are hidden like secrets.

use crate::project::Project;

const TASKS: &str = r"
    [tasks.show]
    run = 'echo $A-$B-$C-$TOKEN'
    env-file = ['.env', '?.env.local']
    env = { B = 'own' }
    pass-env = ['C']
    secret-env = ['TOKEN']
    inputs = ['?src/**']
    [tasks.other]
    run = 'true'
    ";

fn project(env: &str) -> Project {
    let project = Project::new(TASKS);
    project.write(".gitignore", ".env*\n").write(".env", env).commit("ignore");
    project
}

const ENV: &str = "# of this machine\nA=1\nexport B=2\nC='3 4' # quoted\nTOKEN=\"hunter\\\"2\"\n";

fn log(project: &Project) -> String {
    project.xtask(&["log", "--last", "--task", "show"]).ends(0).out
}

#[test]
fn file_provides_variables_missing_in_task_and_caller() {
    let project = project(ENV);
    project.xtask(&["show"]).ends(0);
    assert!(log(&project).contains("1-own-3 4-***"), "{}", log(&project));
    project.xtask(&["show"]).ends(0);
    project.xtask_env(&["show"], &[("C", "caller"), ("TOKEN", "other-secret")]).ends(0);
    assert!(log(&project).contains("1-own-caller-***"), "{}", log(&project));
    project.write(".env.local", "A=local\n");
    project.xtask(&["show"]).ends(0);
    assert!(log(&project).contains("local-own-3 4"), "{}", log(&project));
    assert_screens!();
}

#[test]
fn values_are_in_the_key_and_never_printed() {
    let project = project("A=visible-to-nobody\n");
    project.xtask(&["show"]).ends(0);
    project.write(".env", "A=neither-is-this\n");
    project.xtask(&["why", "show"]).ends(0);
    project.xtask(&["plan", "show"]).ends(0);
    assert_screens!();
}

#[test]
fn missing_file_fails_only_tasks_that_name_it() {
    let project = Project::new(TASKS);
    project.xtask(&["other"]).ends(0);
    project.xtask(&[]).ends(0);
    project.xtask(&["show"]).ends(1);
    assert_screens!();
}

#[test]
fn invalid_file_is_reported_with_its_line_and_without_values() {
    let project = project("A=1\nTOKEN='hunter2\n");
    let ran = project.xtask(&["other"]).ends(3).does_not_say("hunter2");
    insta::assert_snapshot!(ran.err, @r#"
    error: a quote that is never closed
     --> .env:2:1
      |
    2 | TOKEN=…
      | ^^^^^ can't be read; values are not shown
      |
      = help: close it, or put the value between single quotes
    "#);
}

#[test]
fn gate_reads_the_file_of_the_tree_or_else_of_the_work_tree() {
    let project = Project::new(TASKS);
    project.write(".env", "A=tracked\n").commit("tracked");
    project.write("tasks.toml", TASKS.to_owned() + "[hooks]\npre-push = ['show']\n").commit("hooks");
    project.write(".env", "A=edited\n");
    project.xtask(&["gate"]).ends(0);
    assert!(log(&project).contains("tracked-own"), "{}", log(&project));
    project.git(&["rm", "-q", "--cached", ".env"]);
    project.git(&["commit", "-q", "-m", "untracked"]);
    project.xtask(&["gate"]).ends(0);
    assert!(log(&project).contains("edited-own"), "{}", log(&project));
}
