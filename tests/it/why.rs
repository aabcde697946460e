//! `xtask why`: prints the fields of a key, and which of them differ.

use crate::project::Project;

const TASKS: &str = r#"
    [tasks.t]
    run = "true"
    inputs = ["?src/**"]
    pass-env = ["P"]
    [tasks.all]
    needs = ["t"]
    "#;

#[test]
fn only_the_changed_field_differs() {
    let project = Project::new(TASKS);
    project.write("src/a.rs", "// one\n").write("src/b.rs", "").commit("src");
    project.xtask(&["why", "t"]).ends(0);
    project.xtask(&["t"]).ends(0);
    project.xtask(&["why", "t"]).ends(0);
    project.write("src/a.rs", "// two\n");
    let json = project.xtask(&["why", "t", "--json"]).ends(0).json();
    assert_eq!(json["decision"], "miss");
    let changes = json["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["field"], "inputs");
    assert_eq!(changes[0]["text"], "src/a.rs changed");
    project.write("src/a.rs", "// one\n");
    let json = project.xtask_env(&["why", "t", "--json"], &[("P", "x")]).ends(0).json();
    let fields: Vec<_> = json["changes"].as_array().unwrap().iter().map(|change| &change["field"]).collect();
    assert_eq!(fields, ["env P"]);
    assert_screens!();
}

#[test]
fn group_or_aggregate_has_no_key() {
    let project = Project::new(TASKS);
    project.xtask(&["why", "all"]).ends(2);
    project.xtask(&["why", "tt"]).ends(4);
    assert_screens!();
}
