//! `xtask graph`: the same graph in four formats.

use crate::project::Project;

const TASKS: &str = r#"
    [tasks.ci]
    needs = ["lint", "test"]
    [tasks.fmt]
    group = "lint"
    run = "true"
    [tasks.clippy]
    group = "lint"
    run = "true"
    needs = ["gen"]
    [tasks.test]
    run = "true"
    needs = ["gen"]
    [tasks.gen]
    run = "true"
    "#;

#[test]
fn graph_is_printed_in_each_format() {
    let project = Project::new(TASKS);
    for format in ["text", "dot", "mermaid", "json"] {
        let ran = project.xtask(&["graph", "ci", "--format", format]).ends(0);
        insta::assert_snapshot!(format!("graph_{format}"), ran.out);
    }
}
