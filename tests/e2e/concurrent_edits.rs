//! Tests that inputs which change during a run never lead to a stale hit.

use crate::project::{CommandOutput, Project, wait_for};

/// A task that writes a file when it has started, and waits for a file of the test before it reads its input.
const GATED: &str = r#"
    [tasks.t]
    run = '''
    echo > ../started
    until test -e ../read; do sleep 0.01; done
    cat in > ../seen
    echo > ../done-reading
    until test -e ../end; do sleep 0.01; done
    '''
    inputs = ["in"]
    "#;

fn run_with(change: impl FnOnce(&Project), when: &str) -> (Project, CommandOutput) {
    let project = Project::new(GATED);
    project.write("in", "one\n").commit("in");
    let touch = |name: &str| std::fs::write(project.parent_folder().join(name), "").unwrap();
    let mut child = project.start(&["t"]);
    wait_for("the task runs", || project.path("../started").exists());
    if when == "after" {
        touch("read");
        wait_for("the task has read its input", || project.path("../done-reading").exists());
    }
    change(&project);
    touch("read");
    touch("end");
    let status = child.wait().unwrap().code().unwrap();
    let read = |name: &str| std::fs::read_to_string(project.parent_folder().join(name)).unwrap();
    let ran = CommandOutput { status, out: read("out"), err: read("err") };
    (project, ran)
}

#[test]
fn input_edited_around_its_read_is_reported_and_not_stored() {
    for when in ["before", "after"] {
        let (project, ran) = run_with(|project| drop(project.write("in", "two\n").root()), when);
        ran.ends(0).says("not stored: in changed while it ran");
        assert_eq!(project.read("../seen"), if when == "before" { "two\n" } else { "one\n" });
        project.xtask(&["t"]).ends(0).says("1 ran");
        project.write("in", "one\n");
        project.xtask(&["t"]).ends(0).says("1 ran");
        project.xtask(&["t"]).ends(0).says("nothing ran");
    }
}

#[test]
fn input_edited_and_reverted_during_the_task_is_not_stored() {
    let back = |project: &Project| {
        project.command("cp").args(["-p", "in", "../stamp"]).status().unwrap();
        project.write("in", "two\n");
        project.write("in", "one\n");
        project.command("touch").args(["-r", "../stamp", "in"]).status().unwrap();
    };
    let (project, ran) = run_with(back, "before");
    ran.ends(0).says("not stored: in was written while it ran");
    project.xtask(&["t"]).ends(0).says("1 ran");
}

#[test]
fn new_file_among_the_inputs_is_noticed() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "echo x > src/new"
        inputs = ["src/**"]
        "#,
    );
    project.write("src/a", "").commit("a");
    project.xtask(&["t"]).ends(0).says("not stored: src/new appeared while it ran");
    project.xtask(&["t"]).ends(0).says("not stored: src/new was written");
}

#[test]
fn result_after_a_task_with_changed_inputs_is_not_stored() {
    let project = Project::new(
        r#"
        [tasks.first]
        run = "echo changed > in"
        inputs = ["in"]
        [tasks.second]
        run = "echo second >> ../ran"
        inputs = ["?other"]
        needs = ["first"]
        "#,
    );
    project.write("in", "one\n").commit("in");
    project.xtask(&["second"]).ends(0).says("not stored: the inputs of first changed while it ran");
    project.write("in", "one\n");
    project.xtask(&["second"]).ends(0).says("2 ran");
}
