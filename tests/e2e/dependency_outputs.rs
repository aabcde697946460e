//! Tests what happens if another process changes the outputs of a needed task before they are read, or
//! meanwhile.

use crate::project::{Project, wait_for};

/// A task that runs until the test ends it.
const SLOW: &str = r#"
    [tasks.slow]
    run = "touch ../holds; until test -e ../go; do sleep 0.01; done"
    inputs = ["docs"]
    "#;

/// `test` needs `slow` and `build`, whose output is `bin`.
const TASKS: &str = r#"
    [tasks.build]
    run = "cp src bin"
    inputs = ["?src"]
    outputs = ["bin"]
    [tasks.test]
    run = "grep -q good bin; touch ../tests; until test -e ../done; do sleep 0.01; done"
    needs = ["build", "slow"]
    inputs = ["?tests"]
    "#;

/// Creates a project with these tasks, `slow` and one file.
fn project_of(tasks: &str, (file, text): (&str, &str)) -> Project {
    let project = Project::new(&format!("{SLOW}{tasks}"));
    project.write(".gitignore", "bin\nout\n").write(file, text).write("docs", "").commit("all");
    project
}

fn project(src: &str) -> Project {
    project_of(TASKS, ("src", src))
}

fn touch(project: &Project, name: &str) {
    std::fs::write(project.parent_folder().join(name), "").unwrap();
}

fn output_of(project: &Project) -> String {
    project.lines("../err").join("\n")
}

const NO_LONGER: &str = "outputs of build that it needs have changed: bin was edited";

#[test]
fn pass_with_outputs_of_another_run_does_not_count_for_this_tree() {
    let project = project("bad\n");
    touch(&project, "done");
    let mut first = project.start(&["test"]);
    wait_for("`build` has passed", || output_of(&project).contains("✓ build"));
    project.write("src", "good\n");
    project.xtask(&["build"]).ends(0);
    project.write("src", "bad\n");
    touch(&project, "go");
    assert!(first.wait().unwrap().success());
    assert!(output_of(&project).contains(NO_LONGER), "{}", output_of(&project));
    // With the output that is built from this tree, the task fails.
    project.xtask(&["test"]).ends(1);
}

#[test]
fn pass_is_not_stored_if_its_dependency_outputs_changed() {
    let project = project("good\n");
    touch(&project, "go");
    let mut run = project.start(&["test"]);
    wait_for("the task reads", || project.parent_folder().join("tests").exists());
    project.write("bin", "good, too\n");
    touch(&project, "done");
    assert!(run.wait().unwrap().success());
    assert!(output_of(&project).contains(NO_LONGER), "{}", output_of(&project));
    project.xtask(&["test"]).ends(0).says("restored: bin was edited").says("1 ran");
}

#[test]
fn failure_with_changed_dependency_outputs_says_so() {
    let project = project("good\n");
    let mut run = project.start(&["test"]);
    wait_for("`build` has passed", || output_of(&project).contains("✓ build"));
    project.write("bin", "bad\n");
    touch(&project, "done");
    touch(&project, "go");
    assert!(!run.wait().unwrap().success());
    assert!(output_of(&project).contains(&format!("test: {NO_LONGER}")), "{}", output_of(&project));
}

/// `gen` writes the files that `in` lists, and `use` adds a file to them, as tools do with their caches.
const CACHES: &str = r#"
    [tasks.gen]
    run = "mkdir -p out; touch out/always; for name in $(cat in); do touch out/$name; done"
    inputs = ["?in"]
    outputs = ["out/**"]
    [tasks.use]
    run = "ls out; touch out/cache"
    needs = ["gen", "slow"]
    inputs = ["?tests"]
    "#;

#[test]
fn files_added_to_dependency_outputs_by_the_task_are_ignored() {
    let project = project_of(CACHES, ("in", ""));
    touch(&project, "go");
    project.xtask(&["use"]).ends(0).does_not_say("no longer");
    project.xtask(&["use"]).ends(0).says("nothing ran");
}

#[test]
fn files_added_to_dependency_outputs_by_another_run_count() {
    let project = project_of(CACHES, ("in", ""));
    let mut first = project.start(&["use"]);
    wait_for("`gen` has passed", || output_of(&project).contains("✓ gen"));
    project.write("in", "more\n");
    project.xtask(&["gen"]).ends(0);
    project.write("in", "");
    touch(&project, "go");
    assert!(first.wait().unwrap().success());
    let output = output_of(&project);
    assert!(output.contains("outputs of gen that it needs have changed: out/more is extra"), "{output}");
    project.xtask(&["use"]).ends(0).says("1 ran");
}
