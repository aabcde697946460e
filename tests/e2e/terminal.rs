//! Tests that no task has a terminal, and that what users do at theirs (keys, closing the window) reaches all
//! processes. Each test types into a shell with job control on its own terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::project::{Project, processes, signal, wait_for};

const CTRL_C: &str = "\u{3}";
const CTRL_Z: &str = "\u{1a}";
/// The start of a script that tries to read from the terminal and fails with status 9 if it can. Otherwise
/// it prints the words that tests append, such as `task >> $HOME/asked`.
const ASK: &str = "if read line </dev/tty; then exit 9; fi; echo";

/// A shell with a terminal of its own.
struct Shell {
    child: Child,
    keys: Option<File>,
    seen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    is_closed: Arc<AtomicBool>,
}

impl Shell {
    fn new(project: &Project) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = File::from(
            rustix::fs::open(ptsname(&master, Vec::new()).unwrap(), flags, Mode::empty()).unwrap(),
        );
        // A terminal's shell ignores no signal, even if the tests run in the background of a script.
        let child = project
            .command("env")
            .args(["--default-signal", "setsid", "--ctty", "sh", "-im"])
            .env("TERM", "xterm")
            .env("PS1", "")
            .env("NO_COLOR", "1")
            .env("XTASK", env!("CARGO_BIN_EXE_xtask"))
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal)
            .spawn()
            .unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let screen = Arc::clone(&seen);
        let keys = File::from(master);
        rustix::io::ioctl_fionbio(&keys, true).unwrap();
        let mut drawn = keys.try_clone().unwrap();
        let is_closed = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_closed);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !ends.load(Ordering::Relaxed) {
                match drawn.read(&mut bytes) {
                    Ok(read @ 1..) => screen.lock().unwrap().extend_from_slice(&bytes[..read]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    // Reading fails as soon as no process has the terminal open.
                    _ => break,
                }
            }
        });
        let shell = Self { child, keys: Some(keys), seen, reader, is_closed };
        shell.line("echo sh-is-$((1+1))");
        shell.shows("sh-is-2");
        shell
    }

    /// Presses keys.
    fn press(&self, keys: &str) {
        self.keys.as_ref().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Types a command.
    fn line(&self, command: &str) {
        self.press(&format!("{command}\n"));
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        let start = Instant::now();
        while !self.text().contains(text) {
            assert!(start.elapsed().as_secs() < 60, "the terminal does not show {text:?}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types a command and waits until it has ended with this status.
    #[track_caller]
    fn runs(&self, command: &str, status: i32) {
        self.line(&format!("{command}; echo ended-$?-"));
        self.shows(&format!("ended-{status}-"));
    }

    /// Ends the shell.
    fn close(mut self) {
        // The first `exit` may fail because the shell thinks that a dead job is still stopped.
        let exit = self.keys.as_ref().unwrap().write_all(b"exit\nexit\n");
        exit.unwrap();
        self.child.wait().unwrap();
        self.reader.join().unwrap();
    }

    /// Closes the terminal's window.
    fn hang_up(mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.reader.join().unwrap();
        self.keys = None;
        self.child.wait().unwrap();
    }
}

/// Returns the states, such as `T`, of the processes whose command line contains `mark`.
fn states(mark: &str) -> Vec<char> {
    let state = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    };
    processes(mark).into_iter().filter_map(state).collect()
}

#[track_caller]
fn assert_no_process_left(mark: &str) {
    wait_for("no process is left", || processes(mark).is_empty());
}

#[test]
fn tasks_of_a_run_cannot_read_the_terminal() {
    let project = Project::new(&format!(
        r#"
        [tools]
        tool = "{ASK} probe >> $HOME/asked; echo 1"

        [services.web]
        run = "{ASK} service >> $HOME/asked; exec sleep 1000"
        ready = {{ command = "{ASK} ready >> $HOME/asked; grep -q service $HOME/asked" }}

        [tasks.task]
        run = "{ASK} task >> $HOME/asked"
        finally = "{ASK} finally >> $HOME/asked"
        tools = ["tool"]
        services = ["web"]
        sandbox = true
        inputs = ["?in"]

        [tasks.shell]
        run = "echo 'echo shell >> $HOME/asked' | sh -im; stty -echo </dev/tty || echo stty >> $HOME/asked"

        [tasks.session]
        run = "test $(cut -d ' ' -f 6 /proc/$$/stat) = $$ && echo session >> $HOME/asked"
        "#
    ));
    let shell = Shell::new(&project);
    shell.runs("$XTASK run task shell session --keep-going", 0);
    shell.close();
    let mut asked = project.lines("../home/asked");
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["finally", "probe", "ready", "service", "session", "shell", "stty", "task"]);
}

#[test]
fn people_see_what_goes_on_before_the_first_task() {
    let project = Project::new(
        "[tools]\nslow = \"until [ -e go ]; do sleep 0.01; done\"\n[tasks.t]\nrun = \"true\"\ntools = [\"slow\"]\n",
    );
    project.write(".gitignore", "go\n").commit("ignore");
    let shell = Shell::new(&project);
    shell.line("\"$XTASK\" t");
    shell.shows("looking at files and tools");
    assert!(!shell.text().contains("passed"));
    project.write("go", "");
    shell.shows("passed");
    shell.close();
}

#[test]
fn tasks_of_a_push_cannot_read_the_terminal() {
    let project = Project::with_gate(
        &format!(
            r#"
            [tasks.task]
            run = "{ASK} task >> $HOME/asked; grep -q smudged file"

            [worktree]
            setup = "{ASK} setup >> $HOME/asked"
            filters = ["asks"]

            [hooks]
            pre-push = ["task"]
            "#
        ),
        &["pre-push"],
    );
    project.git(&["config", "filter.asks.clean", "cat"]);
    project.git(&["config", "filter.asks.smudge", &format!("{ASK} filter >> $HOME/asked; echo smudged")]);
    project.write(".gitattributes", "file filter=asks\n").write("file", "clean\n").commit("filtered");
    let shell = Shell::new(&project);
    shell.runs("git push -q origin main", 0);
    shell.close();
    let mut asked = project.lines("../home/asked");
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["filter", "setup", "task"]);
}

#[test]
fn traced_tasks_and_fixes_cannot_read_the_terminal() {
    let project = Project::new(&format!(
        r#"
        [tasks.task]
        run = "{ASK} task >> $HOME/asked; cat in"
        fix = "{ASK} fix >> $HOME/asked"
        inputs = ["?in"]
        "#
    ));
    project.write("in", "").commit("in");
    let shell = Shell::new(&project);
    shell.line("$XTASK audit task; echo audited-$?-");
    shell.shows("audited-");
    shell.line("$XTASK fix task; echo fixed-$?-");
    shell.shows("fixed-0-");
    shell.close();
    assert_eq!(project.lines("../home/asked"), ["task", "fix"]);
}

#[test]
fn ctrl_c_ends_processes_without_a_terminal() {
    let mark = "62.0101";
    let sleep = format!("sleep {mark}");
    for (tasks, started) in [
        (format!("[tasks.t]\nrun = \"{sleep} & {sleep}\"\nfinally = \"echo cleaned >> $HOME/cleaned\"\n"), 2),
        (format!("[tools]\ntool = \"{sleep}\"\n[tasks.t]\nrun = \"true\"\ntools = [\"tool\"]\n"), 1),
        (
            format!(
                "[services.s]\nrun = \"{sleep}\"\nready = {{ command = \"{sleep}\" }}\n[tasks.t]\nrun = \"true\"\nservices = [\"s\"]\n"
            ),
            2,
        ),
    ] {
        let project = Project::new(&tasks);
        let shell = Shell::new(&project);
        shell.line("$XTASK run t; echo ended-$?-");
        let line = format!("sleep\0{mark}");
        wait_for("the task runs", || processes(&line).len() >= started);
        shell.press(CTRL_C);
        assert_no_process_left(mark);
        shell.runs("true", 0);
        shell.close();
        if tasks.contains("finally") {
            assert_eq!(project.lines("../home/cleaned"), ["cleaned"]);
        }
    }
}

#[test]
fn ctrl_z_suspends_the_run_with_its_tasks_and_fg_resumes_them() {
    let mark = "62.0201";
    // One process is in a session of its own, and one has no environment. The shell waits without starting
    // processes: until one that it starts has executed its program, the shell is in state `D`.
    let tasks = format!(
        r#"
        [tasks.stopped]
        run = "setsid sleep {mark} & a=$!; env -i sleep {mark} & b=$!; wait $a || wait $b || true"
        timeout = "60s"
        "#
    );
    let project = Project::new(&tasks);
    let shell = Shell::new(&project);
    shell.line("$XTASK run stopped; echo ended-$?-");
    let (line, runner) = (format!("sleep\0{mark}"), "xtask\0run\0stopped");
    wait_for("the task runs", || processes(&line).len() == 2);
    for _ in 0..2 {
        shell.press(CTRL_Z);
        wait_for("all processes are stopped", || {
            states(mark).iter().chain(&states(runner)).all(|state| *state == 'T')
        });
        assert_eq!(states(&line).len(), 2);
        // Meanwhile, the shell can use the terminal.
        shell.runs("true", 0);
        shell.line("fg");
        wait_for("all processes continue", || {
            states(&line).iter().chain(&states(runner)).all(|state| *state != 'T')
        });
        shell.seen.lock().unwrap().clear();
    }
    for sleep in processes(&line) {
        signal("TERM", sleep);
    }
    shell.shows("passed: 1 ran");
    shell.close();
    assert_no_process_left(mark);
}

#[test]
fn push_is_suspended_by_ctrl_z_and_ended_by_ctrl_c() {
    let mark = "62.0301";
    let project = Project::with_gate(
        &format!(
            r#"
            [tasks.t]
            run = "sleep {mark}"
            [hooks]
            pre-push = ["t"]
            "#
        ),
        &["pre-push"],
    );
    let shell = Shell::new(&project);
    shell.line("git push -q origin main; echo ended-$?-");
    let line = format!("sleep\0{mark}");
    wait_for("the task runs", || processes(&line).len() == 1);
    shell.press(CTRL_Z);
    let hook = format!("pre-push\0origin\0{}", project.parent_folder().join("bare.git").display());
    wait_for("all processes are stopped", || states(&line) == ['T'] && states(&hook).contains(&'T'));
    shell.line("fg");
    wait_for("the run continues", || states(&line) != ['T']);
    shell.press(CTRL_C);
    assert_no_process_left(mark);
    shell.runs("true", 0);
    shell.close();
    assert_eq!(project.remote("main"), None);
}

#[test]
fn closed_terminal_ends_even_a_suspended_run() {
    let mark = "62.0401";
    let line = format!("sleep\0{mark}");
    for is_stopped in [false, true] {
        let tasks = format!(
            r#"
            [tasks.closed]
            run = "sleep {mark}"
            finally = "echo cleaned >> $HOME/cleaned"
            "#
        );
        let project = Project::new(&tasks);
        let shell = Shell::new(&project);
        shell.line("$XTASK run closed");
        wait_for("the task runs", || processes(&line).len() == 1);
        if is_stopped {
            shell.press(CTRL_Z);
            wait_for("the run is stopped", || states("xtask\0run\0closed") == ['T']);
        }
        shell.hang_up();
        assert_no_process_left(mark);
        wait_for("the run has cleaned up", || project.lines("../home/cleaned") == ["cleaned"]);
    }
}

#[test]
fn killed_suspended_run_leaves_no_process() {
    let mark = "62.0501";
    let line = format!("sleep\0{mark}");
    let project = Project::new(&format!("[tasks.t]\nrun = \"sleep {mark} & sleep {mark}\"\n"));
    let shell = Shell::new(&project);
    shell.line("$XTASK run t");
    wait_for("the task runs", || processes(&line).len() == 2);
    shell.press(CTRL_Z);
    wait_for("all processes are stopped", || states(&line) == ['T', 'T']);
    shell.line("kill -KILL %1; wait %1");
    assert_no_process_left(mark);
    shell.close();
}

#[test]
fn background_run_is_not_suspended_when_it_prints() {
    let project = Project::new("[tasks.t]\nrun = \"echo printed; exit 3\"\n");
    let shell = Shell::new(&project);
    shell.line("stty tostop");
    shell.line("$XTASK run t & wait $!; echo ended-$?-");
    shell.shows("ended-1-");
    // The run must not draw over the output of the foreground job.
    let text = shell.text();
    assert!(text.contains("printed") && !text.contains("task left"), "{text}");
    shell.close();
}

#[test]
fn session_leader_is_not_suspended_by_ctrl_z() {
    // If the run is the session's leader, as in a container, nobody could continue it.
    let project = Project::new("[tasks.t]\nrun = \"touch ../up; until [ -e ../go ]; do sleep 0.01; done\"\n");
    let shell = Shell::new(&project);
    shell.line("exec $XTASK run t");
    wait_for("the task runs", || project.path("../up").exists());
    shell.press(CTRL_Z);
    project.write("../go", "");
    shell.shows("passed: 1 ran");
    let mut child = shell.child;
    assert_eq!(child.wait().unwrap().code(), Some(0));
    shell.reader.join().unwrap();
}

#[test]
fn orphans_are_reaped_while_their_task_runs() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = """
        i=0
        while [ $i -lt 300 ]; do
            (sleep 0.01 &)
            i=$((i + 1))
        done
        touch ../started
        until [ -e ../go ]; do sleep 0.01; done
        """
        "#,
    );
    let mut runner = project.xtask_command(&["t"]).stderr(Stdio::null()).spawn().unwrap();
    let own = format!(" {} ", runner.id());
    let zombies = || {
        let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
            Some(stat.rsplit_once(')')?.1.to_owned())
        });
        stats.filter(|stat| stat.starts_with(" Z") && stat[2..].starts_with(&own)).count()
    };
    wait_for("all processes were started", || project.path("../started").exists());
    wait_for("no zombie is left", || zombies() == 0);
    assert!(!project.path("../go").exists() && runner.try_wait().unwrap().is_none());
    project.write("../go", "");
    assert_eq!(runner.wait().unwrap().code(), Some(0));
}
