//! Tests `examples/rust-tasks` as a repository of its own: `cargo xtask` builds its program, and a gate
//! builds the program of the tree that it checks.

use std::path::Path;

use crate::project::{Project, Ran};

fn cargo_xtask(project: &Project, args: &[&str]) -> Ran {
    let mut command = project.command("cargo");
    command.args(["xtask"]).args(args);
    Ran::of(command.output().unwrap())
}

#[test]
fn gate_builds_the_program_of_its_tree() {
    let project = crate::shop::copy("rust-tasks");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let manifest = project.read("xtask/Cargo.toml");
    project.write("xtask/Cargo.toml", manifest.replace("../../..", &root.display().to_string()));
    project.commit("where taskgate is");
    cargo_xtask(&project, &["ci"]).ends(0).says("✓ codegen");
    cargo_xtask(&project, &["gate"]).ends(0).says("3 cached, 0 ran");
    // In a tree with another program, the function of that tree writes the file, not the one of the work
    // tree.
    let code = project.read("xtask/src/main.rs");
    let other = code.replace("// Made by", "// Made anew by");
    assert_ne!(code, other);
    project.write("xtask/src/main.rs", &other).commit("another function");
    project.write("xtask/src/main.rs", &code);
    let made = project.read("src/colors.rs").replace("// Made by", "// Made anew by");
    cargo_xtask(&project, &["gate"]).ends(0).says("codegen").does_not_say("0 ran");
    cargo_xtask(&project, &["codegen", "--at", "HEAD"]).ends(0);
    let worktrees = project.pool().unwrap();
    let found = std::fs::read_dir(worktrees).unwrap().flatten().any(|entry| {
        std::fs::read_to_string(entry.path().join("src/colors.rs")).is_ok_and(|text| text == made)
    });
    assert!(found, "the function of the pushed tree made the file");
}
