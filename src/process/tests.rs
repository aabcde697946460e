//! Runs of real processes. Each run has a mark of its own, by which the process table shows what is
//! left of it. It must not wait for a time to pass where it can wait for something to happen.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::ground::clock::Clock;
use crate::ground::env::Env;
use crate::process::guard::{Guard, guard_main};
use crate::process::log::LogLimits;
use crate::process::marked;
use crate::process::mask::Mask;
use crate::process::run::{Ended, Finished, Watcher, run};
use crate::process::spawn::{Limits, Spawn};
use crate::process::stop::Stop;
use crate::process::strays::{self, RUN_VARIABLE, TASK_VARIABLE};

/// Tells the guard's process of a test that it is one, and of which run.
const GUARD_ROLE: &str = "TASKGATE_TEST_GUARD";
/// The same for the runner's process.
const RUNNER_ROLE: &str = "TASKGATE_TEST_RUNNER";
/// Tells the runner's process to keep from its guard what it starts.
const MUTE: &str = "TASKGATE_TEST_MUTE";

/// A shell command with a mark of its own. What it leaves is killed when this is dropped.
struct Case {
    spawn: Spawn,
    mark: String,
    folder: Option<TempDir>,
}

impl Case {
    fn new(script: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), (RUN_VARIABLE, &mark), (TASK_VARIABLE, "unit")];
        let spawn = Spawn {
            program: PathBuf::from("/bin/sh"),
            args: vec!["-c".into(), script.into()],
            dir: PathBuf::from("/"),
            env: env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect(),
            mask: Arc::default(),
            limits: Limits::default(),
            guard: None,
        };
        Self { spawn, mark, folder: None }
    }

    /// Runs in a folder of its own.
    fn in_folder(mut self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        self.spawn.dir = folder.path().canonicalize().unwrap();
        self.folder = Some(folder);
        self
    }

    fn has(&self, name: &str) -> bool {
        self.spawn.dir.join(name).exists()
    }

    fn timeout(mut self, millis: u64) -> Self {
        self.spawn.limits.timeout = Some(Duration::from_millis(millis));
        self
    }

    fn grace(mut self, millis: u64) -> Self {
        self.spawn.limits.grace = Duration::from_millis(millis);
        self
    }

    fn run(&self) -> Finished {
        run(&self.spawn, &Stop::new(), &mut ())
    }

    fn alive(&self) -> usize {
        strays::find(&self.mark).len()
    }

    fn assert_nothing_is_left(&self) {
        assert_eq!(strays::find(&self.mark), []);
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        strays::end_all(&self.mark, Duration::ZERO);
    }
}

/// Calls the function with each text.
struct OnOutput<F>(F);

impl<F: FnMut(&str)> Watcher for OnOutput<F> {
    fn output(&mut self, text: &str) {
        self.0(text);
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let clock = Clock::system();
    while !condition() {
        assert!(clock.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn not_started(ended: &Ended) -> &str {
    match ended {
        Ended::NotStarted(why) => why,
        other => panic!("it was started: {other:?}"),
    }
}

#[test]
fn outputs_keep_their_order_and_the_status_is_the_commands() {
    let case = Case::new("for n in 1 2 3; do echo out $n; echo err $n >&2; done; exit 3");
    let mut heard = String::new();
    let finished = run(&case.spawn, &Stop::new(), &mut OnOutput(|text: &str| heard.push_str(text)));
    assert_eq!(finished.ended, Ended::Exit(3));
    assert_eq!(finished.log.text, "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n");
    assert_eq!((heard, finished.log.left_out, finished.left_behind), (finished.log.text, 0, false));
}

#[test]
fn a_signal_from_elsewhere_is_told_from_a_status() {
    assert_eq!(Case::new("kill -USR1 $$").run().ended, Ended::Signal(10));
    assert_eq!(Case::new("kill -KILL $$").run().ended, Ended::Signal(9));
}

#[test]
fn nothing_is_inherited_but_what_is_given() {
    let case = Case::new("pwd; cat; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | sort").in_folder();
    let expected = format!(
        "{}\nPATH=/usr/local/bin:/usr/bin:/bin\nXTASK_RUN={}\nXTASK_TASK=unit\n",
        case.spawn.dir.display(),
        case.mark
    );
    assert_eq!(case.run().log.text, expected);
}

#[test]
fn bytes_that_are_not_text_are_replaced() {
    assert_eq!(Case::new(r"printf '\377a\n\303'; printf '\251'").run().log.text, "\u{fffd}a\né");
}

#[test]
fn what_can_not_be_started_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: &str| {
        let path = dir.path().join(name);
        // Written by another process, so that no child of this one can hold it open for writing.
        let script = "printf '%s\\n' \"$1\" > \"$0\"; chmod \"$2\" \"$0\"";
        duct::cmd!("/bin/sh", "-c", script, &path, text, mode).run().unwrap();
        path
    };
    let start = |program: &Path, dir: &Path| {
        let mut case = Case::new("");
        case.spawn.program = program.to_owned();
        case.spawn.dir = dir.to_owned();
        not_started(&case.run().ended).to_owned()
    };
    let at = dir.path();
    let missing = at.join("missing");
    let sh = Path::new("/bin/sh");
    assert_eq!(start(&missing, at), format!("there is no file {}", missing.display()));
    assert_eq!(start(sh, &missing), format!("there is no folder {}", missing.display()));
    assert_eq!(start(at, at), format!("{} is not a file", at.display()));
    let plain = file("plain", "text", "644");
    assert_eq!(start(&plain, at), format!("{} is not executable", plain.display()));
    let script = file("script", "#!/no/such/interpreter", "755");
    let why = format!("the interpreter that {} names in its first line is missing", script.display());
    assert_eq!(start(&script, at), why);
    let mut zero = Case::new("");
    zero.spawn.args.push("a\0b".into());
    assert!(not_started(&zero.run().ended).contains("nul byte"));
}

#[test]
fn a_program_that_was_just_written_is_waited_for() {
    let case = Case::new("").in_folder();
    let program = case.spawn.dir.join("program");
    fs::copy("/bin/true", &program).unwrap();
    let open = fs::File::options().append(true).open(&program).unwrap();
    let spawn = Spawn { program, args: Vec::new(), ..case.spawn.clone() };
    thread::scope(|scope| {
        let run = scope.spawn(|| run(&spawn, &Stop::new(), &mut ()).ended);
        thread::sleep(Duration::from_millis(20));
        drop(open);
        assert_eq!(run.join().unwrap(), Ended::Exit(0));
    });
}

#[test]
fn a_stop_ends_the_whole_group() {
    for kill in [false, true] {
        let case = Case::new("sleep 60 & sh -c 'sleep 60 & sleep 60; :' & echo ready; sleep 60; :");
        let stop = Stop::new();
        let mut started = 0;
        let mut watcher = OnOutput(|_: &str| {
            until("all have started", || case.alive() >= 6);
            started = case.alive();
            if kill { stop.kill() } else { stop.terminate() }
        });
        let finished = run(&case.spawn, &stop, &mut watcher);
        assert_eq!((finished.ended, finished.log.text.as_str()), (Ended::Stopped, "ready\n"));
        assert!(started >= 6 && !finished.left_behind);
        case.assert_nothing_is_left();
    }
}

#[test]
fn a_timeout_ends_the_whole_group() {
    let case = Case::new("sleep 60 & sh -c 'sleep 60 & sleep 60'").timeout(200);
    assert_eq!(case.run().ended, Ended::TimedOut);
    case.assert_nothing_is_left();
}

#[test]
fn a_status_after_the_timeout_is_still_a_timeout() {
    let case = Case::new("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    assert_eq!(case.timeout(300).run().ended, Ended::TimedOut);
}

#[test]
fn what_ignores_term_is_killed_after_the_grace() {
    let case = Case::new("trap '' TERM; echo ready; sleep 60 & sleep 60").grace(300);
    let stop = Stop::new();
    let finished = run(&case.spawn, &stop, &mut OnOutput(|_: &str| stop.terminate()));
    assert_eq!(finished.ended, Ended::Stopped);
    assert!(finished.took >= Duration::from_millis(300));
    case.assert_nothing_is_left();
}

#[test]
fn a_member_that_ignores_term_is_killed_after_its_leader_obeyed() {
    let case = Case::new("sh -c \"trap '' TERM; echo ready; sleep 60\" & wait").grace(300);
    let stop = Stop::new();
    let finished = run(&case.spawn, &stop, &mut OnOutput(|_: &str| stop.terminate()));
    assert_eq!(finished.ended, Ended::Stopped);
    assert!(finished.took >= Duration::from_millis(300));
    case.assert_nothing_is_left();
}

#[test]
fn a_second_stop_does_not_wait_for_the_grace() {
    let script = "trap 'echo told' TERM; echo ready; while :; do sleep 0.01; done";
    let case = Case::new(script).grace(3_600_000);
    let stop = Stop::new();
    let mut watcher =
        OnOutput(|text: &str| if text.contains("told") { stop.kill() } else { stop.terminate() });
    assert_eq!(run(&case.spawn, &stop, &mut watcher).ended, Ended::Stopped);
    case.assert_nothing_is_left();
}

#[test]
fn a_process_that_stands_still_is_ended() {
    for (grace, script) in [(3_600_000, "kill -STOP $$"), (100, "trap '' TERM; kill -STOP $$; sleep 60")] {
        let case = Case::new(script).timeout(200).grace(grace);
        assert_eq!(case.run().ended, Ended::TimedOut);
        case.assert_nothing_is_left();
    }
}

#[test]
fn what_a_leader_leaves_in_its_group_is_ended() {
    for (script, expected) in [
        ("sleep 60 & exit 4", Ended::Exit(4)),
        ("sh -c \"trap '' TERM; sleep 60\" & kill -KILL $$", Ended::Signal(9)),
        ("(exec >/dev/null 2>&1; sleep 60) & exit 0", Ended::Exit(0)),
        ("trap '' HUP; sleep 60 & kill -STOP $!; exit 1", Ended::Exit(1)),
    ] {
        let case = Case::new(script);
        let finished = case.run();
        assert_eq!((&finished.ended, finished.left_behind), (&expected, true), "{script}");
        case.assert_nothing_is_left();
    }
}

#[test]
fn a_command_that_closes_its_output_goes_on() {
    let case = Case::new("echo begun; exec >&- 2>&-; sleep 0.05; : > made; exit 5").in_folder();
    let finished = case.run();
    assert_eq!((finished.ended, finished.log.text.as_str()), (Ended::Exit(5), "begun\n"));
    assert!(case.has("made"));
}

#[test]
fn a_daemon_that_keeps_the_output_can_not_hold_the_run() {
    for daemon in ["exec sleep 60", "while :; do echo more; done"] {
        let script =
            format!("setsid sh -c ': > up; {daemon}' & until [ -e up ]; do sleep 0.01; done; echo done");
        let case = Case::new(&script).in_folder();
        let finished = case.run();
        assert_eq!((finished.ended, finished.left_behind), (Ended::Exit(0), false), "{daemon}");
        assert!(finished.log.text.contains("done\n"), "{daemon}");
    }
}

#[test]
fn strays_are_found_and_ended() {
    let script = "setsid sh -c ': > up; exec sleep 60' & until [ -e up ]; do sleep 0.01; done";
    let case = Case::new(script).in_folder();
    assert_eq!(case.run().ended, Ended::Exit(0));
    until("it is a sleep", || strays::find(&case.mark).iter().all(|stray| stray.command == "sleep 60"));
    let strays = strays::end_all(&case.mark, Duration::from_secs(60));
    let found: Vec<_> = strays.iter().map(|stray| (stray.task.as_deref(), stray.command.as_str())).collect();
    assert_eq!(found, [(Some("unit"), "sleep 60")]);
    case.assert_nothing_is_left();
    assert_eq!(strays::end_all(&case.mark, Duration::from_secs(60)), []);
}

#[test]
fn strays_that_ignore_term_are_killed() {
    let script = "setsid sh -c \"trap '' TERM; : > up; sleep 60\" & until [ -e up ]; do sleep 0.01; done";
    let case = Case::new(script).in_folder();
    assert_eq!(case.run().ended, Ended::Exit(0));
    assert!(!strays::end_all(&case.mark, Duration::from_millis(50)).is_empty());
    case.assert_nothing_is_left();
}

#[test]
fn what_was_stopped_before_does_not_start() {
    let case = Case::new(": > made").in_folder();
    let stop = Stop::new();
    stop.clone().terminate();
    assert_eq!(run(&case.spawn, &stop, &mut ()).ended, Ended::Stopped);
    assert!(!case.has("made"));
}

#[test]
fn one_stop_ends_many_commands_from_another_thread() {
    let stop = Stop::new();
    let cases: Vec<Case> = (0..8).map(|_| Case::new("sleep 60 & sleep 60")).collect();
    thread::scope(|scope| {
        let runs: Vec<_> =
            cases.iter().map(|case| scope.spawn(|| run(&case.spawn, &stop, &mut ()).ended)).collect();
        until("all have started", || cases.iter().all(|case| case.alive() >= 2));
        stop.terminate();
        for run in runs {
            assert_eq!(run.join().unwrap(), Ended::Stopped);
        }
    });
    cases.iter().for_each(Case::assert_nothing_is_left);
}

#[test]
fn stops_at_any_moment_of_a_start_leave_nothing() {
    for round in 0..100u32 {
        let case = Case::new("sleep 60 & exec sleep 60");
        let stop = Stop::new();
        thread::scope(|scope| {
            let run = scope.spawn(|| run(&case.spawn, &stop, &mut ()).ended);
            for _ in 0..round * 300 {
                std::hint::spin_loop();
            }
            if round % 2 == 0 {
                stop.terminate();
            } else {
                stop.kill();
            }
            assert_eq!(run.join().unwrap(), Ended::Stopped);
        });
        case.assert_nothing_is_left();
    }
}

#[test]
fn a_log_without_end_stays_within_its_bounds() {
    const PRINTED: u64 = 64_000_000;
    let mut case = Case::new(&format!("head -c {PRINTED} /dev/zero | tr '\\0' x"));
    case.spawn.limits.log = LogLimits { head: 10_000, tail: 20_000 };
    let (mut heard, mut longest) = (0, 0);
    let mut watcher = OnOutput(|text: &str| {
        heard += text.len() as u64;
        longest = longest.max(text.len());
    });
    let finished = run(&case.spawn, &Stop::new(), &mut watcher);
    assert_eq!(finished.ended, Ended::Exit(0));
    assert_eq!(finished.log.left_out, PRINTED - 30_000);
    let expected = format!("{}\n[… 61.0 MiB left out …]\n{}", "x".repeat(10_000), "x".repeat(20_000));
    assert!(finished.log.text == expected, "{}", finished.log.text.len());
    assert_eq!((heard, longest), (PRINTED, 64 * 1024));
}

#[test]
fn a_printer_without_end_is_stopped_in_time() {
    let case = Case::new("yes").timeout(200);
    let finished = case.run();
    assert_eq!(finished.ended, Ended::TimedOut);
    assert!(finished.log.text.len() <= 9 << 20);
    case.assert_nothing_is_left();
}

#[test]
fn secrets_are_masked_for_the_log_and_the_watcher() {
    let mut case = Case::new("printf 'a hun'; sleep 0.05; echo 'ter2 b' >&2; printf 'hunter'");
    case.spawn.mask = Arc::new(Mask::new(vec![b"hunter2".to_vec()]).unwrap());
    let mut heard = Vec::new();
    let finished = run(&case.spawn, &Stop::new(), &mut OnOutput(|text: &str| heard.push(text.to_owned())));
    assert_eq!(finished.log.text, "a *** b\nhunter");
    assert_eq!(heard, ["a *** b\n", "hunter"]);
}

#[test]
fn a_slow_command_is_told_of_once() {
    struct Slow(PathBuf, u32);
    impl Watcher for Slow {
        fn output(&mut self, _: &str) {}
        fn slow(&mut self) {
            self.1 += 1;
            fs::write(&self.0, "").unwrap();
        }
    }
    let mut case = Case::new("until [ -e slow ]; do sleep 0.01; done; sleep 0.05").in_folder();
    case.spawn.limits.slow_after = Some(Duration::from_millis(10));
    let mut watcher = Slow(case.spawn.dir.join("slow"), 0);
    assert_eq!(run(&case.spawn, &Stop::new(), &mut watcher).ended, Ended::Exit(0));
    assert_eq!(watcher.1, 1);
    let mut quick = Case::new("exit 0");
    quick.spawn.limits.slow_after = Some(Duration::from_secs(3600));
    assert_eq!(run(&quick.spawn, &Stop::new(), &mut watcher).ended, Ended::Exit(0));
    assert_eq!(watcher.1, 1);
}

#[test]
fn a_command_that_ended_while_the_watcher_was_busy_was_in_time() {
    let case = Case::new("echo ready; until [ -e heard ]; do sleep 0.01; done").in_folder().timeout(2000);
    let clock = Clock::system();
    let mut watcher = OnOutput(|_: &str| {
        fs::write(case.spawn.dir.join("heard"), "").unwrap();
        until("it has ended", || case.alive() == 0);
        until("its timeout has passed", || clock.elapsed() > Duration::from_millis(2100));
    });
    assert_eq!(run(&case.spawn, &Stop::new(), &mut watcher).ended, Ended::Exit(0));
}

#[test]
fn a_watcher_that_panics_leaves_nothing() {
    let case = Case::new("sleep 60 & echo ready; sleep 60");
    let mut watcher = OnOutput(|_: &str| std::panic::resume_unwind(Box::new(())));
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(&case.spawn, &Stop::new(), &mut watcher)
    }));
    assert!(unwound.is_err());
    until("the group is gone", || case.alive() == 0);
}

/// The path of this test's program; the link in `/proc` means another file in each process.
fn own_program() -> PathBuf {
    fs::read_link("/proc/self/exe").unwrap()
}

fn role(name: &str) -> [String; 4] {
    [
        format!("process::tests::{name}"),
        "--exact".to_owned(),
        "--ignored".to_owned(),
        "--nocapture".to_owned(),
    ]
}

fn start_guard(mark: &str) -> Guard {
    let role = role("guard_role");
    Guard::start_as(&own_program(), &role.each_ref().map(String::as_str), &[(GUARD_ROLE, mark)], None)
        .unwrap()
}

#[test]
#[ignore = "no test of its own: the guard of other tests"]
fn guard_role() {
    if let Some(mark) = Env::capture().unwrap().var(GUARD_ROLE) {
        guard_main(mark.to_str().unwrap());
    }
}

/// What the runner of [`runner_role`] runs. Each part says when it stands: one has lost the mark, one is
/// deaf to TERM, one is in a session of its own.
const PARTS: &str = "env -i /bin/sh -c ': > unmarked; exec sleep 61' &
sh -c \"trap '' TERM; : > deaf; sleep 61; :\" &
setsid sh -c ': > apart; exec sleep 61' &
: > leader; sleep 61; :";

/// A runner that another test kills. It works in that test's folder.
#[test]
#[ignore = "no test of its own: a runner that another test kills"]
fn runner_role() {
    let env = Env::capture().unwrap();
    let Some(mark) = env.var(RUNNER_ROLE) else { return };
    let mut case = Case::new(PARTS);
    case.spawn.dir = fs::read_link("/proc/self/cwd").unwrap();
    case.spawn.env.retain(|(name, _)| name != RUN_VARIABLE);
    case.spawn.env.push((RUN_VARIABLE.into(), mark.into()));
    let guard = Arc::new(start_guard(mark.to_str().unwrap()));
    case.spawn.guard = env.var(MUTE).is_none().then(|| Arc::clone(&guard));
    case.run();
}

/// The test's program as the runner of a case, in the case's folder.
fn start_runner(case: &Case, mute: bool) -> duct::Handle {
    let runner = duct::cmd(own_program(), role("runner_role")).env(RUNNER_ROLE, &case.mark);
    let runner = if mute { runner.env(MUTE, "1") } else { runner };
    runner.dir(&case.spawn.dir).stdout_null().stderr_null().unchecked().start().unwrap()
}

/// The processes that work in the folder, whether they bear a mark or not.
fn working_in(folder: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|at| at == folder)).count()
}

/// Kills a runner and waits until its guard has ended all that it had.
fn kill_runner(case: &Case, runner: &duct::Handle) {
    runner.kill().unwrap();
    runner.wait().unwrap();
    until("the guard is gone", || marked::find(GUARD_ROLE, &case.mark).is_empty());
    // What was killed may take a moment to die.
    until("nothing is left", || working_in(&case.spawn.dir) == 0);
}

#[test]
fn nothing_survives_the_kill_of_a_runner() {
    // Without a word: it was killed after it started the group, and before it told its guard.
    for mute in [false, true] {
        let case = Case::new("").in_folder();
        let runner = start_runner(&case, mute);
        until("all have started", || {
            ["unmarked", "deaf", "apart", "leader"].iter().all(|name| case.has(name))
        });
        // Two shells and three sleeps bear the mark; the sleep behind `env -i` has lost it.
        until("all sleep", || case.alive() == 5);
        kill_runner(&case, &runner);
    }
}

#[test]
fn nothing_survives_the_kill_of_a_runner_at_any_moment() {
    for round in 0..12 {
        let case = Case::new("").in_folder();
        let runner = start_runner(&case, false);
        until("some have started", || case.alive() > round % 6 || case.has("apart"));
        kill_runner(&case, &runner);
    }
}

#[test]
fn a_process_is_seen_while_it_changes_its_program() {
    let again = "exec /bin/sh -c \"$AGAIN\"";
    let mut case = Case::new(again);
    case.spawn.env.push(("AGAIN".into(), again.into()));
    let stop = Stop::new();
    thread::scope(|scope| {
        let run = scope.spawn(|| run(&case.spawn, &stop, &mut ()).ended);
        until("it has started", || case.alive() == 1);
        let unseen = (0..300).filter(|_| case.alive() == 0).count();
        stop.kill();
        assert_eq!(run.join().unwrap(), Ended::Stopped);
        assert_eq!(unseen, 0);
    });
}

#[test]
fn a_guard_that_heard_goodbye_leaves_all_alone() {
    let script = "setsid sh -c ': > up; exec sleep 60' & until [ -e up ]; do sleep 0.01; done";
    let case = Case::new(script).in_folder();
    let guard = Arc::new(start_guard(&case.mark));
    until("the guard has started", || marked::find(GUARD_ROLE, &case.mark).len() == 1);
    let spawn = Spawn { guard: Some(Arc::clone(&guard)), ..case.spawn.clone() };
    assert_eq!(run(&spawn, &Stop::new(), &mut ()).ended, Ended::Exit(0));
    drop(spawn);
    drop(guard);
    until("the guard is gone", || marked::find(GUARD_ROLE, &case.mark).is_empty());
    assert_eq!(case.alive(), 1);
}
