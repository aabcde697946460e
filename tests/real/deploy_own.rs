//! Tests the environment of this repository's own tasks.toml: a clone deploys the program to a folder, and the
//! deployed program works.

use std::path::Path;
use std::process::Command;

use crate::project::{CommandOutput, Project};

#[test]
fn clone_deploys_the_program_to_its_local_environment() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let project = Project::without_git("");
    let clone = project.path("clone");
    let cloned = Command::new("git").args(["clone", "-q"]).arg(top).arg(&clone).status().unwrap();
    assert!(cloned.success());
    // Without a remote, policy is that of the clone.
    project.git(&["-C", clone.to_str().unwrap(), "remote", "remove", "origin"]);
    let xtask = |args: &[&str]| {
        let mut command = project.xtask_command(args);
        // The packages that the program needs are built there already.
        let target = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap().parent().unwrap();
        command.current_dir(&clone).env("CARGO_TARGET_DIR", target);
        CommandOutput::from_output(command.output().unwrap())
    };
    xtask(&["deploy", "--env", "local"]).ends(0).says(" serves");
    let mut deployed = project.command(clone.join("target/local/bin/xtask"));
    let version = deployed.arg("--version").output().unwrap();
    assert!(String::from_utf8(version.stdout).unwrap().starts_with("xtask "));
    xtask(&["status", "--env", "local"]).ends(0).prints("local: 1-").prints("is current");
    xtask(&["deploy", "--env", "local"]).ends(0).says("nothing to do");
}
