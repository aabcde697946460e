//! Tests of commands that are killed while they remember the configuration, or that do so at the same time.

use std::fs;
use std::time::Duration;

use crate::project::{Project, signal};

/// Returns a file with enough tasks that it takes a while to remember them.
fn tasks(round: u32) -> String {
    (0..200).map(|task| format!("[tasks.t{task}]\nrun = 'echo {round} {task}'\n")).collect()
}

#[test]
fn killed_commands_leave_a_usable_configuration() {
    let project = Project::new(&tasks(0));
    fs::create_dir(project.state()).unwrap();
    // A fixed seed, so that each run of the test uses the same delays.
    let mut seed = 11_u64;
    for round in 1..=60 {
        project.write("tasks.toml", tasks(round));
        let mut children: Vec<_> = (0..2).map(|_| project.start(&[])).collect();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // This doesn't wait for a result: the delay determines when the signal is sent.
        std::thread::sleep(Duration::from_micros((seed >> 33) % 60_000));
        for child in &mut children {
            if child.try_wait().unwrap().is_none() {
                signal("KILL", i32::try_from(child.id()).unwrap());
            }
            child.wait().unwrap();
        }
        for _ in 0..2 {
            let listed = project.xtask(&[]).ends(0);
            assert_eq!(listed.out.matches(&format!("echo {round} ")).count(), 200, "{}", listed.out);
            assert_eq!(listed.err, "");
        }
    }
    assert!(fs::read_dir(project.state().join("config")).unwrap().count() <= 36);
}
