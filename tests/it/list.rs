//! `xtask`: the list, the help and the version.

use crate::project::Project;

#[test]
fn tasks_are_listed_by_group() {
    let project = Project::new(
        "[tasks.ci]\nneeds = [\"lint\"]\n[tasks.fmt]\ngroup = \"lint\"\nrun = \"cargo fmt\"\n\
         [tasks.clippy]\ngroup = \"lint\"\ndescription = \"Lint it\"\nrun = \"x\"\n",
    );
    insta::assert_snapshot!("list", project.xtask(&[]).ends(0).out);
}

#[test]
fn an_empty_file_shows_a_first_task() {
    Project::new("").xtask(&[]).ends(0).prints("[tasks.hello]");
}

#[test]
fn without_a_tasks_toml_it_says_where_it_looked() {
    let project = Project::new("");
    std::fs::remove_file(project.path("tasks.toml")).unwrap();
    project
        .xtask(&[])
        .ends(3)
        .says("there is no tasks.toml in")
        .says("hint: `xtask init` writes a first one");
}

#[test]
fn each_command_explains_itself_with_an_example() {
    let project = Project::new("");
    project.xtask(&["--help"]).ends(0).prints("Exit status:");
    for command in ["run", "plan", "why", "graph", "fix", "log", "init", "cache", "schema", "completions"] {
        project.xtask(&[command, "--help"]).ends(0).prints("xtask").prints("Example");
    }
    project.xtask(&["--version"]).ends(0).prints("xtask ");
    project.xtask(&["ci", "--no-such-option"]).ends(2);
}
