//! Tests of `xtask watch` with real changes, switches of branches and signals.

use std::process::Child;

use crate::project::{Project, processes, signal, wait_for};

const IDLE: &str = "watching for changes";

/// A running `xtask watch`.
struct WatchProcess<'p> {
    project: &'p Project,
    run: Child,
}

impl<'p> WatchProcess<'p> {
    fn start(project: &'p Project, names: &[&str]) -> Self {
        let args: Vec<&str> = std::iter::once("watch").chain(names.iter().copied()).collect();
        let watching = Self { project, run: project.start(&args) };
        watching.says(IDLE, 1);
        watching
    }

    /// Starts the watch in a namespace in which a kernel setting has the given value. Prints a note and
    /// returns `None` if the system doesn't allow such a namespace.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn start_limited(project: &'p Project, names: &[&str], (setting, value): (&str, u32)) -> Option<Self> {
        let set = format!("echo {value} > /proc/sys/user/{setting}");
        let tried = project.command("unshare").args(["-Ur", "sh", "-c", &set]).output();
        if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
            eprintln!("not tested: {setting} can't be set in a namespace: {tried:?}");
            return None;
        }
        let mut command = project.command("unshare");
        command.args(["-Ur", "sh", "-c", &format!("{set} && exec \"$@\""), "sh"]);
        command.arg(env!("CARGO_BIN_EXE_xtask")).arg("watch").args(names);
        let watching = Self { project, run: project.start_command(command) };
        watching.says(IDLE, 1);
        Some(watching)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.project.parent_folder().join("err")).unwrap_or_default()
    }

    /// Waits until the watch has printed `what` at least `times` times.
    #[track_caller]
    fn says(&self, what: &str, times: usize) {
        let said = || self.text().matches(what).count() >= times;
        wait_for(&format!("{what} printed {times} times; printed so far:\n{}", self.text()), said);
    }

    /// Ends the watch with Ctrl-C, and returns what it printed.
    fn stop(mut self) -> String {
        signal("INT", i32::try_from(self.run.id()).unwrap());
        assert_eq!(self.run.wait().unwrap().code(), Some(130), "{}", self.text());
        let folder = self.project.parent_folder().display().to_string();
        assert_eq!(processes(&folder), Vec::<i32>::new(), "processes are left");
        self.text()
    }
}

const TWO_TASKS: &str = r"
    [tasks.a]
    run = 'cat src/a; echo a >> ran'
    inputs = ['src/**']
    [tasks.b]
    run = 'echo b >> ran'
    inputs = ['lib/**']
    [tasks.all]
    needs = ['a', 'b']
    ";

fn project_with_two_tasks(tasks: &str) -> Project {
    let project = Project::new(tasks);
    project.write("src/a", "1\n").write("lib/b", "1\n").commit("sources");
    project
}

#[test]
fn change_reruns_only_affected_tasks() {
    let project = project_with_two_tasks(TWO_TASKS);
    let watching = WatchProcess::start(&project, &["all"]);
    project.write("src/a", "2\n");
    watching.says(IDLE, 2);
    // A new folder, and a little later a file in it.
    std::fs::create_dir_all(project.path("lib/new/deep")).unwrap();
    project.write("README", "of no account");
    std::thread::sleep(std::time::Duration::from_millis(300));
    project.write("lib/new/deep/c", "1\n");
    watching.says(IDLE, 3);
    let text = watching.stop();
    assert!(text.contains("note: src/a changed") && text.contains("note: lib/new/deep/c added"), "{text}");
    let mut ran = project.lines("ran");
    ran[..2].sort();
    assert_eq!(ran, ["a", "b", "a", "b"], "{text}");
}

#[test]
fn changed_version_file_of_a_tool_starts_a_round() {
    let project = project_with_two_tasks(
        r"
        [tools]
        v = 'cat version'
        [tasks.a]
        run = 'echo a >> ran'
        inputs = ['src/**']
        tools = ['v']
        ",
    );
    project.write("version", "1\n").commit("version");
    let watching = WatchProcess::start(&project, &["a"]);
    project.write("version", "2\n");
    watching.says(IDLE, 2);
    let text = watching.stop();
    assert!(text.contains("note: version changed") && text.contains("tool v: 1 → 2"), "{text}");
}

#[test]
fn files_written_by_tasks_start_no_round() {
    let project = project_with_two_tasks(
        r"
        [tasks.a]
        run = 'cp src/a out; echo line >> undeclared; cat src/a > ignored; echo a >> ran'
        outputs = ['out']
        ",
    );
    project.write(".gitignore", "ignored\n").commit("ignore");
    let watching = WatchProcess::start(&project, &["a"]);
    project.write("src/a", "2\n");
    watching.says(IDLE, 2);
    project.write("src/a", "3\n");
    watching.says(IDLE, 3);
    watching.stop();
    assert_eq!(project.lines("ran").len(), 3);
    assert_eq!(project.read("out"), "3\n");
}

#[test]
fn task_that_writes_its_own_inputs_is_stopped() {
    let project = project_with_two_tasks(
        r"
        [tasks.a]
        run = 'echo x >> src/a; echo a >> ran'
        inputs = ['src/**']
        ",
    );
    let watching = WatchProcess::start(&project, &["a"]);
    let text = watching.stop();
    assert!(text.contains("src/a changed in each of the last rounds"), "{text}");
    assert!(project.lines("ran").len() > 2);
}

#[test]
fn only_a_task_with_changed_inputs_is_restarted() {
    let gate = "touch started-$XTASK_TASK; until test -e go; do sleep 0.02; done; echo $XTASK_TASK >> ran";
    let project = project_with_two_tasks(&format!(
        r"
        [tasks.a]
        run = '{gate}'
        inputs = ['src/**']
        [tasks.b]
        run = '{gate}'
        inputs = ['lib/**']
        [tasks.after]
        run = 'echo after >> ran'
        needs = ['a']
        inputs = []
        [tasks.all]
        needs = ['after', 'b']
        "
    ));
    project.write(".gitignore", "go\nstarted-*\nran\n").commit("ignore");
    let run = project.start(&["watch", "all", "--jobs", "2"]);
    let watching = WatchProcess { project: &project, run };
    wait_for("both tasks run", || project.path("started-a").exists() && project.path("started-b").exists());
    std::fs::remove_file(project.path("started-b")).unwrap();
    project.write("src/a", "2\n");
    watching.says("src/a changed, so it starts again", 1);
    assert!(!project.path("started-b").exists(), "b continued");
    project.write("go", "");
    watching.says(IDLE, 1);
    watching.stop();
    let mut ran = project.lines("ran");
    ran.sort();
    assert_eq!(ran, ["a", "after", "b"]);
}

/// Creates a repository with 10,000 more files on its branch `many`.
fn project_with_many_files() -> Project {
    let project = project_with_two_tasks(
        r"
        [tasks.a]
        run = 'echo a >> ran'
        inputs = ['?many/**']
        ",
    );
    project.git(&["switch", "-q", "-c", "many"]);
    for folder in 0..100 {
        for file in 0..100 {
            project.write(&format!("many/{folder}/{file}"), format!("{folder} {file}\n"));
        }
    }
    project.commit("many files");
    project.git(&["switch", "-q", "main"]);
    project
}

#[test]
fn switched_branch_is_one_round() {
    let project = project_with_many_files();
    let watching = WatchProcess::start(&project, &["a"]);
    project.git(&["switch", "-q", "many"]);
    watching.says(IDLE, 2);
    project.git(&["switch", "-q", "main"]);
    watching.says(IDLE, 3);
    let text = watching.stop();
    assert!(text.contains("and 9997 more"), "{text}");
    assert_eq!(text.matches("passed:").count(), 3, "{text}");
    // The third round tests the same tree as the first, whose result is stored.
    assert_eq!(project.lines("ran").len(), 2, "{text}");
}

#[test]
fn replaced_folder_is_still_watched() {
    let project = project_with_two_tasks(
        r"
        [tasks.a]
        run = 'cat src/deep/a >> ../ran || echo none >> ../ran'
        inputs = ['?src/**']
        ",
    );
    project.write("src/deep/a", "1\n").commit("deep");
    let rename = |from: &str, to: &str| std::fs::rename(project.path(from), project.path(to)).unwrap();
    let watching = WatchProcess::start(&project, &["a"]);
    let ran = |what: &str| {
        // Changes during a round, or together with another change, are found even without a watch. So
        // this waits until the round is over.
        let said = || {
            let lines = std::fs::read_to_string(project.parent_folder().join("ran")).unwrap_or_default();
            let (lines, text) = (lines.lines().collect::<Vec<_>>(), watching.text());
            let is_idle = text.rfind(IDLE) > text.rfind("passed:");
            lines.last() == Some(&what) && text.matches("passed:").count() >= lines.len() && is_idle
        };
        wait_for(&format!("a round with {what}; printed so far:\n{}", watching.text()), said);
    };
    ran("1");
    project.write("src.new/deep/a", "2\n");
    rename("src", "src.old");
    rename("src.new", "src");
    std::fs::remove_dir_all(project.path("src.old")).unwrap();
    ran("2");
    project.write("src/deep/a", "3\n");
    ran("3");
    rename("src", "away");
    ran("none");
    project.write("away/deep/a", "4\n");
    rename("away", "src");
    ran("4");
    project.write("src/deep/a", "5\n");
    ran("5");
    watching.stop();
}

#[test]
fn services_stay_up_between_rounds_and_restart_when_they_change() {
    let project = project_with_two_tasks(
        r"
        [services.s]
        run = 'echo start >> starts; echo up; exec sleep 1000'
        ready = { log = 'up' }
        inputs = ['conf']
        [tasks.a]
        run = 'echo a >> ran'
        inputs = ['src/**']
        services = ['s']
        ",
    );
    let watching = WatchProcess::start(&project, &["a"]);
    for (round, text) in ["2\n", "3\n"].iter().enumerate() {
        project.write("src/a", text);
        watching.says(IDLE, round + 2);
    }
    assert_eq!(project.lines("starts").len(), 1);
    project.write("conf", "1\n");
    watching.says(IDLE, 4);
    assert_eq!(project.lines("starts").len(), 2);
    watching.stop();
    assert_eq!(project.lines("ran").len(), 4);
    let own = project.root().display().to_string();
    let left = processes("sleep 1000").into_iter().filter(|pid| {
        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.display().to_string() == own)
    });
    assert_eq!(left.count(), 0, "a service is still running");
}

#[test]
fn watch_waits_for_the_fix_of_a_broken_file_and_runs_new_tasks() {
    let project = project_with_two_tasks(TWO_TASKS);
    let watching = WatchProcess::start(&project, &["a"]);
    project.write("tasks.toml", "[tasks.a\n");
    watching.says("waiting for a fix", 1);
    project.write("tasks.toml", TWO_TASKS.replace("cat src/a; echo a", "echo mended"));
    watching.says(IDLE, 2);
    watching.stop();
    assert_eq!(project.lines("ran"), ["a", "mended"]);
}

#[test]
fn without_a_repository_watch_is_refused() {
    let project = Project::without_git(TWO_TASKS);
    project.xtask(&["watch", "a"]).ends(5).says("this is not a git repository");
    let project = Project::new(TWO_TASKS);
    project.xtask(&["watch", "b2"]).ends(4).says("unknown task or group `b2`");
}

#[test]
fn changes_beyond_the_watch_limit_are_found_and_the_setting_is_named() {
    let project = project_with_two_tasks(TWO_TASKS);
    for folder in ["one", "two", "three", "four"] {
        project.write(&format!("lib/{folder}/deep/file"), "1\n");
    }
    project.commit("folders");
    let limit = ("max_inotify_watches", 3);
    let Some(watching) = WatchProcess::start_limited(&project, &["all"], limit) else { return };
    watching.says("warning: the system watches only 3 of 11 folders", 1);
    watching.says("since the limit user.max_inotify_watches = 3 is reached", 1);
    watching.says("hint: sudo sysctl user.max_inotify_watches=524288", 1);
    project.write("lib/four/deep/file", "2\n");
    watching.says(IDLE, 2);
    // A new folder in a folder that is not watched, and a little later a file in it.
    std::fs::create_dir(project.path("lib/four/deep/new")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    project.write("lib/four/deep/new/file", "1\n");
    watching.says(IDLE, 3);
    // A change in a watched folder still starts a round.
    project.write("src/a", "2\n");
    watching.says(IDLE, 4);
    let text = watching.stop();
    assert!(text.contains("note: lib/four/deep/file changed"), "{text}");
    assert!(text.contains("note: lib/four/deep/new/file added"), "{text}");
    assert_eq!(text.matches("the system watches only").count(), 1, "{text}");
}

#[test]
fn new_folder_beyond_the_limit_is_reported_while_nothing_runs() {
    let project = project_with_two_tasks(TWO_TASKS);
    let limit = ("max_inotify_watches", 3);
    let Some(watching) = WatchProcess::start_limited(&project, &["all"], limit) else { return };
    assert!(!watching.text().contains("the system watches only"), "{}", watching.text());
    project.write("lib/new/file", "1\n");
    watching.says("warning: the system watches only 3 of 4 folders", 1);
    watching.says(IDLE, 2);
    project.write("lib/new/file", "2\n");
    watching.says(IDLE, 3);
    watching.stop();
}

#[test]
fn changes_are_found_without_any_watch() {
    let project = project_with_two_tasks(TWO_TASKS);
    let limit = ("max_inotify_instances", 0);
    let Some(watching) = WatchProcess::start_limited(&project, &["all"], limit) else { return };
    watching.says("warning: the system can't watch this work tree, since too many programs watch files", 1);
    watching.says("user.max_inotify_instances = 0", 1);
    project.write("src/a", "2\n");
    watching.says(IDLE, 2);
    let text = watching.stop();
    assert!(text.contains("note: src/a changed"), "{text}");
}

#[test]
#[cfg(target_os = "linux")]
fn lost_events_are_reported_and_everything_is_scanned() {
    let project = project_with_two_tasks(TWO_TASKS);
    project.write(".gitignore", "*.tmp\n").commit("ignore");
    let most = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let most: usize = most.trim().parse().unwrap();
    let watching = WatchProcess::start(&project, &["all"]);
    let pid = i32::try_from(watching.run.id()).unwrap();
    signal("STOP", pid);
    // Each file causes at least three events.
    for file in 0..most / 2 {
        std::fs::write(project.path(&format!("lib/{file}.tmp")), "1").unwrap();
    }
    project.write("src/late/file", "1\n");
    signal("CONT", pid);
    watching.says("note: too many files changed at once, so the system lost some changes", 1);
    watching.says(&format!("fs.inotify.max_queued_events = {most}"), 1);
    watching.says(IDLE, 2);
    project.write("src/late/file", "2\n");
    watching.says(IDLE, 3);
    let text = watching.stop();
    assert!(
        text.contains("note: src/late/file added") && text.contains("note: src/late/file changed"),
        "{text}"
    );
}
