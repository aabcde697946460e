//! `examples/polyglot`, end to end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::project::{Project, Ran, processes, signal, wait_for};

/// The example in a repository of its own, used by one test at a time: what one builds, the next has.
fn shop(test: impl FnOnce(&Project)) {
    static SHOP: OnceLock<Mutex<Project>> = OnceLock::new();
    let shop = SHOP.get_or_init(|| {
        needs_components();
        Mutex::new(copy("polyglot"))
    });
    test(&shop.lock().unwrap_or_else(PoisonError::into_inner));
}

/// The example of this name as a repository with one commit. What git ignores is left behind.
pub(crate) fn copy(example: &str) -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = format!("examples/{example}");
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", &folder])
        .current_dir(&root)
        .output()
        .unwrap();
    let project = Project::new("");
    for path in String::from_utf8(listed.stdout).unwrap().split_terminator('\0') {
        let to = project.path(path.strip_prefix(&folder).unwrap().trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(root.join(path), to).unwrap();
    }
    project.commit("the example");
    project
}

/// Fails, and says what to install, if a component is missing.
fn needs_components() {
    let postgres = std::fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut all| all.next().is_some())
        || which("postgres").is_some();
    let python = Command::new("/usr/bin/python3").args(["-c", "import psycopg2, pytest, redis"]).status();
    let missing: Vec<&str> = [
        ("PostgreSQL", postgres),
        ("Redis", which("redis-server").is_some()),
        ("node", which("node").is_some()),
        ("npm", which("npm").is_some()),
        ("Debian's Python with psycopg2, pytest and redis", python.is_ok_and(|status| status.success())),
    ]
    .into_iter()
    .filter(|(_, is_there)| !is_there)
    .map(|(name, _)| name)
    .collect();
    assert!(missing.is_empty(), "missing: {}; run examples/polyglot/install.sh", missing.join(", "));
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.exists())
}

#[test]
fn it_passes_and_a_change_runs_what_it_reaches() {
    shop(|shop| {
        shop.xtask(&["ci"]).ends(0).says("▲ catalog").says("passed: ");
        shop.xtask(&["ci"]).ends(0).says("nothing ran");
        shop.write("worker/extra.py", "ANSWER = 42\n");
        let ran = shop.xtask(&["ci", "--format", "json"]).ends(0);
        let names: Vec<String> = ran
            .events()
            .iter()
            .filter(|event| event["event"] == "task-finished" && event["attempts"] != 0)
            .map(|event| event["task"].as_str().unwrap().to_owned())
            .collect();
        assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("worker-")), "{names:?}");
        std::fs::remove_file(shop.path("worker/extra.py")).unwrap();
        // What has passed may be pushed without a checkout.
        shop.xtask(&["gate"]).ends(0).says("0 ran");
    });
}

#[test]
fn two_runs_at_once_do_not_meet() {
    shop(|shop| {
        shop.xtask(&["run", "catalog-build", "web-build"]).ends(0);
        let other = shop.xtask_command(&["run", "integration", "--force"]);
        let second = std::thread::spawn(move || {
            let mut other = other;
            Ran::of(other.output().unwrap())
        });
        let first = shop.xtask(&["run", "integration", "--force"]);
        first.ends(0);
        second.join().unwrap().ends(0);
    });
}

#[test]
fn a_database_that_is_killed_in_mid_test_is_named() {
    shop(|shop| {
        let tasks = shop.read("tasks.toml");
        let hold =
            "\n[tasks.hold]\nrun = \"touch holding; sleep 1000\"\nservices = [\"db\"]\ncache = false\n";
        shop.write("tasks.toml", tasks.clone() + hold);
        let run = std::thread::scope(|scope| {
            let run = scope.spawn(|| shop.xtask(&["hold"]));
            wait_for("the test holds the database", || shop.path("holding").exists());
            let own = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                let line = std::fs::read(entry.path().join("cmdline")).ok()?;
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                let is_server = line.starts_with("postgres -D") || line.contains("/postgres -D");
                let environment = std::fs::read(entry.path().join("environ")).ok()?;
                let home = shop.beside().join("home").display().to_string();
                (is_server && String::from_utf8_lossy(&environment).contains(&home)).then_some(pid)
            });
            let servers: Vec<i32> = own.collect();
            assert!(!servers.is_empty(), "no server of this run: {:?}", processes("postgres"));
            for pid in servers {
                signal("KILL", pid);
            }
            run.join().unwrap()
        });
        run.ends(1).says("service db: ").says("while it was used").says("tasks.toml:").says("service db");
        std::fs::remove_file(shop.path("holding")).unwrap();
        shop.write("tasks.toml", tasks);
        let mark = shop.beside().display().to_string();
        assert_eq!(processes(&mark), Vec::<i32>::new(), "something is left");
    });
}
