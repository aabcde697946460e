//! Tests of `xtask fix`: fixes run one after the other, and their results are not stored.

use crate::project::Project;

#[test]
fn fixes_run_one_after_the_other() {
    let fix = "mkdir ../alone && echo fixed >> fixed && rmdir ../alone";
    let project = Project::new(&format!(
        r#"
        [tasks.a]
        group = "lint"
        run = "false"
        fix = "{fix}"
        [tasks.b]
        group = "lint"
        run = "false"
        fix = "{fix}"
        needs = ["a"]
        [tasks.c]
        run = "true"
        "#
    ));
    project.xtask(&["fix"]).ends(0);
    project.xtask(&["fix", "lint"]).ends(0);
    assert_eq!(project.lines("fixed").len(), 4);
    project.xtask(&["fix", "c"]).ends(2);
    assert_screens!();
}

#[test]
fn definitions_used_only_by_tasks_are_not_unused() {
    let project = Project::new(
        r#"
        [files]
        text = ["*.txt"]
        [tools]
        sh = "echo 1"
        [services.s]
        run = "sleep 60"
        [tasks.a]
        run = "true"
        fix = "true"
        inputs = ["@text"]
        tools = ["sh"]
        [tasks.b]
        run = "true"
        services = ["s"]
        "#,
    );
    project.write("a.txt", "");
    project.xtask(&["fix"]).ends(0);
    assert_screens!();
}
