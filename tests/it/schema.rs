//! `xtask schema`: the schema for editors in the repository is the one that the program prints.

use std::fs;
use std::path::Path;

use crate::project::Project;

const FIRST_LINE: &str =
    "#:schema https://raw.githubusercontent.com/taskgate/taskgate/main/schema/tasks.schema.json";

fn read_file(path: &str) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(top.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn schema_file_is_current() {
    let printed = Project::new("").xtask(&["schema"]).ends(0).out;
    assert!(
        printed == read_file("schema/tasks.schema.json"),
        "schema/tasks.schema.json is stale: it is not what the program prints\n  \
         cargo xtask schema > schema/tasks.schema.json"
    );
}

#[test]
fn schema_needs_no_tasks_toml() {
    let project = Project::without_git("[tasks.broken");
    assert_eq!(project.xtask(&["schema"]).ends(0).json()["title"], "tasks.toml");
}

#[test]
fn each_tasks_toml_of_this_repository_names_the_schema() {
    for path in ["tasks.toml", "examples/deploy/tasks.toml", "examples/polyglot/tasks.toml"] {
        assert_eq!(read_file(path).lines().next(), Some(FIRST_LINE), "{path}");
    }
}
