//! `xtask run`: hits, misses and their reasons.

use crate::project::Project;

const ONE: &str = r#"
[tasks.check]
run = "cat src/*.txt && echo ran >> ../ran"
inputs = ["src/**"]
"#;

fn one() -> Project {
    let project = Project::new(ONE);
    project.write("src/a.txt", "a\n").write("src/b.txt", "b\n").commit("files");
    project
}

fn executions(project: &Project) -> usize {
    project.lines("../ran").len()
}

#[test]
fn a_second_run_executes_nothing() {
    let project = one();
    project.xtask(&["check"]).ends(0).says("first run").says("1 ran");
    project.xtask(&["check"]).ends(0).says("1 cached, nothing ran");
    assert_eq!(executions(&project), 1);
}

#[test]
fn an_edit_is_a_miss_that_names_the_file() {
    let project = one();
    project.xtask(&["check"]).ends(0);
    project.write("src/a.txt", "c\n");
    project.xtask(&["check"]).ends(0).says("src/a.txt changed");
    project.write("src/new.txt", "d\n");
    project.xtask(&["check"]).ends(0).says("src/new.txt added");
    project.write("other.txt", "not an input\n");
    project.xtask(&["check"]).ends(0).says("nothing ran");
    assert_eq!(executions(&project), 3);
}
