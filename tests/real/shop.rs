//! Tests `examples/polyglot` as a whole.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::project::{CommandOutput, Project, processes, signal, wait_for};

/// Runs a test with the example in a repository of its own. Tests share it one after the other, so that its
/// results are built only once.
fn shop(test: impl FnOnce(&Project)) {
    static SHOP: OnceLock<Mutex<Project>> = OnceLock::new();
    let shop = SHOP.get_or_init(|| {
        needs_components();
        Mutex::new(copy("polyglot"))
    });
    test(&shop.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Copies the example with this name, without ignored files, into a repository with one commit.
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

/// Fails with a message about what to install if a component is missing.
fn needs_components() {
    let postgres = std::fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut all| all.next().is_some())
        || which("postgres").is_some();
    let modules = "import packaging, psycopg2, pytest, pytest_cov, redis";
    let python = Command::new("/usr/bin/python3").args(["-c", modules]).status();
    let missing: Vec<&str> = [
        ("PostgreSQL", postgres),
        ("Redis", which("redis-server").is_some()),
        ("node", which("node").is_some()),
        ("npm", which("npm").is_some()),
        ("Debian's Python with what the worker needs", python.is_ok_and(|status| status.success())),
        ("Chromium", Path::new("/usr/bin/chromium").exists()),
        ("Semgrep", which("semgrep").is_some()),
        ("zizmor", which("zizmor").is_some()),
        ("cyclonedx-py", which("cyclonedx-py").is_some()),
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
fn example_passes_and_a_change_runs_what_it_affects() {
    shop(|shop| {
        // `--force` is needed because another test may have run the same tasks before.
        shop.xtask(&["run", "web-integration", "--force"]).ends(0).says("▲ catalog");
        shop.xtask(&["ci"]).ends(0).says("passed: ");
        shop.xtask(&["ci"]).ends(0).says("nothing ran");
        shop.write("worker/extra.py", "ANSWER = 42\n");
        let ran = shop.xtask(&["ci", "--format", "json"]).ends(0);
        let names: Vec<String> = ran
            .events()
            .iter()
            .filter(|event| event["event"] == "task-finished" && event["attempts"] != 0)
            .map(|event| event["task"].as_str().unwrap().to_owned())
            .collect();
        // The scanners read all files, and the gate judges their reports again.
        let reached = |name: &String| {
            name.starts_with("worker-") || ["secrets", "semgrep", "quality"].contains(&name.as_str())
        };
        assert!(names.contains(&"worker-unit".to_owned()) && names.iter().all(reached), "{names:?}");
        std::fs::remove_file(shop.path("worker/extra.py")).unwrap();
        // A tree that has passed can be pushed without a checkout.
        shop.xtask(&["gate"]).ends(0).says("0 ran");
    });
}

/// Returns the name, the verdict and the whole JSON of each rule after the gate was judged.
fn rulings(ran: &CommandOutput) -> Vec<(String, String, serde_json::Value)> {
    let judged = ran.events().into_iter().find(|event| {
        event["event"] == "task-finished" && event["task"] == "quality" && event["evidence"].is_object()
    });
    let judged = judged.unwrap_or_else(|| panic!("the gate was not judged:\n{}", ran.err));
    let rulings = judged["evidence"]["rules"].as_array().unwrap().iter();
    let text = |ruling: &serde_json::Value, key: &str| ruling[key].as_str().unwrap().to_owned();
    rulings.map(|ruling| (text(ruling, "rule"), text(ruling, "verdict"), ruling.clone())).collect()
}

#[test]
fn gate_has_a_report_for_each_rule() {
    shop(|shop| {
        shop.xtask(&["run", "quality"]).ends(0);
        let again = shop.xtask(&["run", "quality", "--format", "json"]).ends(0);
        let rulings = rulings(&again);
        for rule in ["coverage.min", "tests.min-count", "findings.total", "secrets", "licences"] {
            assert!(rulings.iter().any(|(name, ..)| name == rule), "{rule}: {rulings:?}");
        }
        assert!(rulings.iter().any(|(name, ..)| name.contains("http_req_duration.p95")), "{rulings:?}");
        assert!(rulings.iter().all(|(_, verdict, _)| verdict == "holds"), "{rulings:?}");
        // The reports of all parts were counted, whatever format they have.
        let judged = again.events().into_iter().find(|event| event["evidence"].is_object()).unwrap();
        let reports: Vec<&str> = judged["evidence"]["reports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|report| report["path"].as_str().unwrap())
            .collect();
        for part in ["catalog/out/", "worker/out/", "web/out/", "checks/out/"] {
            assert!(reports.iter().any(|path| path.starts_with(part)), "{part}: {reports:?}");
        }
        shop.xtask(&["explain-gate", "quality"]).ends(0).prints("coverage.min");
    });
}

/// A way to break the example, and the rule that fails. Such faults are not committed to this repository.
struct Fault {
    rule: &'static str,
    /// A text that the gate must show.
    named: &'static str,
    inject: fn(&Project),
}

const FAULTS: [Fault; 4] = [
    Fault {
        rule: "secrets",
        named: "worker/deploy.txt",
        inject: |shop| {
            let token = "abcdefghijklmnopqrstuvwxyz0123456789";
            shop.write("worker/deploy.txt", format!("token = ghp_{token}\n"));
        },
    },
    Fault {
        rule: "findings.total",
        named: ".github/workflows/label.yml",
        inject: |shop| {
            let workflow = "name: label\non: pull_request_target\npermissions: write-all\njobs:\n  label:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo ${{ github.event.pull_request.title }}\n";
            shop.write(".github/workflows/label.yml", workflow);
        },
    },
    Fault {
        rule: "licences",
        named: "copyleft",
        inject: |shop| {
            let metadata =
                "Metadata-Version: 2.4\nName: copyleft\nVersion: 1.0\nLicense-Expression: GPL-3.0-only\n";
            shop.write("worker/copyleft-1.0.dist-info/METADATA", metadata);
            let requirements = shop.read("worker/requirements.txt") + "copyleft\n";
            shop.write("worker/requirements.txt", requirements);
        },
    },
    Fault {
        rule: "coverage.min",
        named: "worker/shop_worker/__main__.py",
        inject: |shop| {
            let file = "worker/tests/integration/test_worker.py";
            let tests = shop.read(file);
            let (others, _) = tests.split_once("def test_worker_runs_until").unwrap();
            shop.write(file, others.trim_end().to_owned() + "\n");
        },
    },
];

#[test]
fn each_fault_fails_only_its_own_rule() {
    shop(|shop| {
        shop.xtask(&["run", "quality"]).ends(0);
        for fault in &FAULTS {
            (fault.inject)(shop);
            let judged = shop.xtask(&["run", "quality", "--format", "json"]).ends(1);
            let broken: Vec<_> =
                rulings(&judged).into_iter().filter(|(_, verdict, _)| verdict == "broken").collect();
            let names: Vec<&str> = broken.iter().map(|(rule, ..)| rule.as_str()).collect();
            assert_eq!(names, [fault.rule], "{broken:?}");
            assert!(broken[0].2["violations"].to_string().contains(fault.named), "{broken:?}");
            // A second run judges the gate again, and its output for people names the fault.
            let ran = shop.xtask(&["run", "quality"]).ends(1).says(fault.rule).says(fault.named);
            // The value of a secret is never printed.
            assert!(!ran.err.contains("ghp_"), "{}", ran.err);
            shop.git(&["checkout", "-q", "."]);
            shop.git(&["clean", "-qfd"]);
        }
        shop.xtask(&["run", "quality"]).ends(0).says("nothing ran");
    });
}

#[test]
fn two_runs_at_once_do_not_interfere() {
    shop(|shop| {
        shop.xtask(&["run", "catalog-build", "web-build"]).ends(0);
        let other = shop.xtask_command(&["run", "integration", "--force"]);
        let second = std::thread::spawn(move || {
            let mut other = other;
            CommandOutput::from_output(other.output().unwrap())
        });
        let first = shop.xtask(&["run", "integration", "--force"]);
        first.ends(0);
        second.join().unwrap().ends(0);
    });
}

#[test]
fn database_killed_during_a_test_is_named() {
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
                let home = shop.parent_folder().join("home").display().to_string();
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
        let mark = shop.parent_folder().display().to_string();
        assert_eq!(processes(&mark), Vec::<i32>::new(), "processes are left");
    });
}
