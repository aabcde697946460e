//! Tests that a full disk does not change the result of a run: storing fails with one clear line.

#![cfg(target_os = "linux")]

use crate::project::{Project, Ran};

#[test]
fn a_full_disk_fails_the_store_and_not_the_run() {
    let project = Project::new(
        "[tasks.t]\nrun = \"head -c 3000000 /dev/urandom > out\"\ninputs = [\"?in\"]\noutputs = [\"out\"]\n",
    );
    project.write(".gitignore", "out\n").commit("ignore");
    // The state is on a small disk, in a mount namespace that ends with the program.
    let script = format!(
        "mkdir -p .git/xtask && mount -t tmpfs -o size=1m tmpfs .git/xtask && {xtask} t; status=$?; \
         {xtask} cache verify && exit $status",
        xtask = env!("CARGO_BIN_EXE_xtask")
    );
    let own_user = if rustix::process::geteuid().is_root() { "-m" } else { "-mr" };
    let ran = Ran::of(project.command("unshare").args([own_user, "sh", "-c", &script]).output().unwrap());
    assert!(
        !ran.err.contains("unshare") && !ran.err.contains("mount:"),
        "this test needs to mount a disk: run it as root, or allow user namespaces\n{}",
        ran.err
    );
    let ran = ran.ends(0).says("✓ t").says("no space left on the disk").prints("clean");
    assert_eq!(ran.err.matches("warning: ").count(), 1, "one line says so:\n{}", ran.err);
    assert_eq!(std::fs::metadata(project.path("out")).unwrap().len(), 3_000_000);
}
