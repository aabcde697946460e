//! Tests of several runs at the same time that use one cache.

use crate::project::{Project, signal, wait_for};

#[test]
fn two_runs_of_one_key_execute_it_once() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = '''
        echo ran >> ../ran
        until test -e ../end; do sleep 0.01; done
        mkdir -p out; echo x > out/app
        '''
        inputs = ["?in"]
        outputs = ["out/**"]
        "#,
    );
    project.write(".gitignore", "out\n").commit("ignore");
    let mut first = project.start(&["t"]);
    wait_for("the first run executes the task", || project.lines("../ran").len() == 1);
    let mut second = project.start(&["t"]);
    wait_for("the second run waits", || {
        project.lines("../err").iter().any(|line| line.contains("waits for another run"))
    });
    std::fs::write(project.parent_folder().join("end"), "").unwrap();
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert_eq!(project.lines("../ran").len(), 1);
    assert!(project.lines("../err").iter().any(|line| line.contains("another run passed it just now")));
}

#[test]
fn waiting_run_takes_over_when_the_other_is_killed() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "echo ran >> ../ran; until test -e ../end; do sleep 0.01; done"
        inputs = ["?in"]
        "#,
    );
    let mut first = project.start(&["t"]);
    wait_for("the first run executes the task", || project.lines("../ran").len() == 1);
    let mut second = project.start(&["t"]);
    wait_for("the second run waits", || {
        project.lines("../err").iter().any(|line| line.contains("waits for another run"))
    });
    signal("KILL", i32::try_from(first.id()).unwrap());
    first.wait().unwrap();
    wait_for("the second run executes the task", || project.lines("../ran").len() == 2);
    std::fs::write(project.parent_folder().join("end"), "").unwrap();
    assert!(second.wait().unwrap().success());
}

/// `make` writes files that `use` reads. `use` goes on reading until the test ends it.
const READER: &str = r#"
    [tasks.make]
    run = "echo ran >> ../made; rm -rf out; sleep 0.05; mkdir out; cp in out/app"
    inputs = ["in"]
    outputs = ["out/**"]
    [tasks.use]
    run = """
    test -e out/app && echo used >> ../used
    until test -e ../end; do test -e out/app || exit 7; sleep 0.001; done
    """
    needs = ["make"]
    inputs = ["in"]
    "#;

fn reader() -> Project {
    let project = Project::new(READER);
    project.write(".gitignore", "out\n").write("in", "1\n").commit("in");
    project
}

fn has_printed(project: &Project, what: &str) -> bool {
    project.lines("../err").iter().any(|line| line.contains(what))
}

fn end(project: &Project) {
    std::fs::write(project.parent_folder().join("end"), "").unwrap();
}

#[test]
fn files_in_use_by_a_task_are_not_written_by_another_run() {
    let project = reader();
    let mut first = project.start(&["use"]);
    wait_for("the task of the first run reads", || project.lines("../used").len() == 1);
    let mut second = project.start(&["use", "--force"]);
    wait_for("the second run waits", || {
        has_printed(&project, "make  waits for another run that uses its outputs")
    });
    assert_eq!(project.lines("../made").len(), 1);
    end(&project);
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert_eq!((project.lines("../made").len(), project.lines("../used").len()), (2, 2));
    assert_eq!(std::fs::read_dir(project.state().join("locks")).unwrap().count(), 0, "lock files are left");
}

#[test]
fn files_in_use_by_a_task_are_not_restored_by_another_run() {
    let project = reader();
    project.xtask(&["make"]).ends(0);
    project.write("in", "2\n");
    let mut first = project.start(&["use"]);
    wait_for("the task of the first run reads", || project.lines("../used").len() == 1);
    project.write("in", "1\n");
    let mut second = project.start(&["make"]);
    wait_for("the second run waits", || {
        has_printed(&project, "make  waits for another run that uses its outputs")
    });
    assert_eq!(project.read("out/app"), "2\n");
    end(&project);
    first.wait().unwrap();
    assert!(second.wait().unwrap().success());
    assert_eq!((project.read("out/app").as_str(), project.lines("../made").len()), ("1\n", 2));
}

#[test]
fn outputs_of_another_run_are_read_only_when_complete() {
    let project = reader();
    project.xtask(&["make"]).ends(0);
    let hold = "[tasks.hold]\nrun = \"touch ../holds; until test -e ../go; do sleep 0.01; done\"\n";
    let tasks = READER.replace("needs = [\"make\"]", "needs = [\"make\", \"hold\"]") + hold;
    project.write("tasks.toml", tasks);
    end(&project);
    let mut reader = project.start(&["use"]);
    wait_for("the reader has found all files", || project.parent_folder().join("holds").exists());
    let slow = READER.replace("sleep 0.05", "touch ../writes; until test -e ../written; do sleep 0.01; done");
    project.write("tasks.toml", slow);
    let mut writer = project.start(&["make"]);
    wait_for("the file is being rewritten", || project.parent_folder().join("writes").exists());
    std::fs::write(project.parent_folder().join("go"), "").unwrap();
    wait_for("the reader waits", || {
        has_printed(&project, "use   waits for another run that writes the outputs of make")
    });
    std::fs::write(project.parent_folder().join("written"), "").unwrap();
    assert!(writer.wait().unwrap().success() && reader.wait().unwrap().success());
    assert_eq!(project.lines("../used").len(), 1);
}

#[test]
fn nested_run_does_not_wait_for_its_own_task() {
    let inner = format!(
        "{READER}[tasks.outer]\nrun = '\"$XTASK\" make --force && touch ../end'\nneeds = [\"make\"]\npass-env = [\"XTASK\"]\n"
    );
    let project = Project::new(&inner);
    project.write(".gitignore", "out\n").write("in", "1\n").commit("in");
    project.xtask_env(&["outer"], &[("XTASK", env!("CARGO_BIN_EXE_xtask"))]).ends(0);
    assert_eq!(project.lines("../made").len(), 2);
}

#[test]
fn nested_run_has_the_locks_of_its_task() {
    let project = Project::new(
        r#"
        [defaults]
        pass-env = ["?XTASK"]
        [tasks.outer]
        run = '"$XTASK" run middle'
        locks = ["port"]
        [tasks.middle]
        run = '"$XTASK" run inner'
        [tasks.inner]
        run = "touch ../inner"
        locks = ["port"]
        [tasks.circle]
        run = '"$XTASK" run user'
        [tasks.user]
        run = "touch ../user"
        needs = ["circle"]
        "#,
    );
    let vars = [("XTASK", env!("CARGO_BIN_EXE_xtask"))];
    project.xtask_env(&["outer"], &vars).ends(0);
    assert!(project.parent_folder().join("inner").exists());
    // The last run is the one that was started by a user, even if runs within it started later.
    assert_eq!(project.xtask(&["log"]).ends(0).out.lines().count(), 3);
    project.xtask(&["log", "--last"]).ends(0).prints("outer: 1 task");
    project.xtask(&["diff-run", "last~1", "last"]).ends(4).says("there is no run `last~1`");
    let ran = project.xtask_env(&["circle"], &vars).ends(1);
    ran.says("circle  ").says("the task that started this run is already running it");
    assert!(!project.parent_folder().join("user").exists());
}

#[test]
fn removed_entry_is_no_hit_whatever_killed_runs_left_in_the_index() {
    let tasks: String = (0..6)
        .map(|i| format!("[tasks.t{i}]\ngroup = \"all\"\nrun = \"echo {i} >> ran\"\ninputs = [\"in\"]\n"))
        .collect();
    let project = Project::new(&tasks);
    project.write(".gitignore", "ran\n").write("in", "0\n").commit("in");
    project.xtask(&["all"]).ends(0);
    let entries = project.state().join("cache/entries");
    for round in 0..8u64 {
        let mut children: Vec<_> = ["all", "all", "--force"]
            .map(|arg| project.start(&["all", arg][usize::from(arg == "all")..]))
            .into();
        std::thread::sleep(std::time::Duration::from_millis(round * 7 % 40));
        for child in &mut children {
            if matches!(child.try_wait(), Ok(None)) {
                signal("KILL", i32::try_from(child.id()).unwrap());
            }
            child.wait().unwrap();
        }
        project.xtask(&["all"]).ends(0);
        let files: Vec<_> =
            project.cache_files().into_iter().filter(|file| file.starts_with(&entries)).collect();
        assert_eq!(files.len(), 6);
        std::fs::remove_file(&files[usize::try_from(round).unwrap() % 6]).unwrap();
        // A process of a killed run may still write into `ran`, so the run itself is asked.
        project.xtask(&["all"]).ends(0).says("5 cached, 1 ran");
        project.xtask(&["all"]).ends(0).says("nothing ran");
    }
    project.xtask(&["cache", "verify"]).ends(0).prints("clean");
}

#[test]
fn runs_killed_at_random_leave_a_clean_cache() {
    let tasks: String = (0..6)
        .map(|i| {
            format!(
                "[tasks.t{i}]\ngroup = \"all\"\nrun = \"mkdir -p out{i}; head -c 150000 /dev/urandom > out{i}/big; \
                 echo {i} > out{i}/small; sleep 0.0{i}\"\ninputs = [\"in\"]\noutputs = [\"out{i}/**\"]\n"
            )
        })
        .collect();
    let project = Project::new(&tasks);
    project.write(".gitignore", "out*\n").write("in", "0\n").commit("in");
    let mut seed = 12345_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut children = Vec::new();
    for round in 0..20 {
        if round % 5 == 4 {
            project.write("in", format!("{round}\n"));
        }
        children.push(project.start(&["all", "--force", "-j4"]));
        std::thread::sleep(std::time::Duration::from_millis(random(40)));
        let victim = usize::try_from(random(children.len() as u64)).unwrap();
        if random(3) > 0 && matches!(children[victim].try_wait(), Ok(None)) {
            signal("KILL", i32::try_from(children[victim].id()).unwrap());
        }
    }
    for child in &mut children {
        child.wait().unwrap();
    }
    project.xtask(&["cache", "verify"]).ends(0).prints("clean");
    project.xtask(&["all"]).ends(0);
    project.xtask(&["all"]).ends(0).says("nothing ran");
}
