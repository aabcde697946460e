//! `matrix`: one task for each combination of values.

use crate::project::Project;

const TASKS: &str = r#"
    [tasks.wheel]
    matrix = { python = ["3.11", "3.12"] }
    run = "echo built for {{ matrix.python }}; mkdir -p dist; echo {{ matrix.python }} > dist/{{ matrix.python }}"
    inputs = ["src"]
    outputs = ["dist/{{ matrix.python }}"]
    [tasks.ci]
    needs = ["wheel"]
    "#;

#[test]
fn each_variant_is_a_task() {
    let project = Project::new(TASKS);
    project.write(".gitignore", "dist/\n").write("src", "");
    project.xtask(&["ci", "-o", "grouped", "-j1"]).ends(0);
    assert_eq!(project.read("dist/3.12"), "3.12\n");
    project.xtask(&["wheel"]).ends(0);
    project.xtask(&["wheel[python=3.12]"]).ends(0);
    // A new value adds a task; the other tasks are still hits.
    project.write("tasks.toml", TASKS.replace("\"3.12\"]", "\"3.12\", \"3.13\"]"));
    project.xtask(&["wheel"]).ends(0);
    project.xtask(&["why", "wheel[python=3.13]"]).ends(0);
    project.xtask(&["list-nothing"]).ends(4);
    project.xtask(&["whel"]).ends(4);
    project.xtask(&[]).ends(0);
    assert_screens!();
}

#[test]
fn failed_variant_is_named() {
    let project = Project::new(
        r#"
        [tasks.t]
        matrix = { v = ["0", "1"] }
        run = "exit {{ matrix.v }}"
        [hooks]
        pre-push = ["t"]
        "#,
    );
    project.xtask(&["t", "-k"]).ends(1);
    project.xtask(&["gate"]).ends(1);
    project.xtask(&["log", "--last", "--task", "t[v=1]"]).ends(0);
    assert_screens!();
}
