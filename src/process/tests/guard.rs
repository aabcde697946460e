//! Tests of the guard. The test program itself is started again as the guard and as the runner.

use super::*;

/// The variable that makes a process a guard. Its value is the id of the run.
const GUARD_ROLE: &str = "TASKGATE_TEST_GUARD";
/// The variable that makes a process a runner. Its value is the id of the run.
const RUNNER_ROLE: &str = "TASKGATE_TEST_RUNNER";
/// The variable that prevents a runner from reporting to its guard what it starts.
const MUTE: &str = "TASKGATE_TEST_MUTE";

/// Returns the path of the test program. The symlink is resolved here, because `/proc/self` differs for
/// each process.
pub(super) fn own_program() -> PathBuf {
    fs::read_link("/proc/self/exe").unwrap()
}

/// Returns the arguments with which the test program acts as a role of a file of these tests.
pub(super) fn role(name: &str) -> [String; 4] {
    [
        format!("process::tests::{name}"),
        "--exact".to_owned(),
        "--ignored".to_owned(),
        "--nocapture".to_owned(),
    ]
}

pub(super) fn start_guard(mark: &str) -> Guard {
    let role = role("guard::guard_role");
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

/// The script that [`runner_role`] runs. It starts a process without the run's id, one that ignores TERM
/// and one in a new session. Each process creates a file when it is ready.
const PARTS: &str = "env -i /bin/sh -c ': > unmarked; exec sleep 61' &
sh -c \"trap '' TERM; : > deaf; sleep 61; :\" &
setsid sh -c ': > apart; exec sleep 61' &
: > leader; sleep 61; :";

/// Acts as a runner that another test kills. It runs in that test's folder.
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

/// Starts the test program as the runner of a case, in the folder of the case.
fn start_runner(case: &Case, mute: bool) -> duct::Handle {
    let runner = duct::cmd(own_program(), role("guard::runner_role")).env(RUNNER_ROLE, &case.run);
    let runner = if mute { runner.env(MUTE, "1") } else { runner };
    runner.dir(&case.spawn.dir).stdout_null().stderr_null().unchecked().start().unwrap()
}

/// Returns the number of guards of a run.
fn guards(run: &str) -> usize {
    orphans::find_by_variable(GUARD_ROLE, run).len()
}

/// Returns the number of processes whose current folder is `folder`, whatever their environment.
fn working_in(folder: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|at| at == folder)).count()
}

/// Kills a runner and waits until its guard has ended everything.
fn kill_runner(case: &Case, runner: &duct::Handle) {
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_until("the guard is gone", || guards(&case.run) == 0);
    // A killed process may need a moment to end.
    wait_until("nothing is left", || working_in(&case.spawn.dir) == 0);
}

#[test]
fn no_process_survives_the_kill_of_a_runner() {
    // A mute runner behaves like one that is killed between starting the group and reporting it.
    for mute in [false, true] {
        let case = Case::new("").in_folder();
        let runner = start_runner(&case, mute);
        wait_until("all have started", || {
            ["unmarked", "deaf", "apart", "leader"].iter().all(|name| case.has(name))
        });
        // Two shells and three sleeps have the run's id. The sleep of `env -i` does not.
        wait_until("all sleep", || case.alive() == 5);
        kill_runner(&case, &runner);
    }
}

#[test]
fn no_process_survives_the_kill_of_a_runner_at_any_moment() {
    for round in 0..12 {
        let case = Case::new("").in_folder();
        let runner = start_runner(&case, false);
        wait_until("some have started", || case.alive() > round % 6 || case.has("apart"));
        kill_runner(&case, &runner);
    }
}

#[test]
fn guard_ends_nothing_after_a_normal_exit() {
    let script = "setsid sh -c ': > up; exec sleep 60' & until [ -e up ]; do sleep 0.01; done";
    let case = Case::new(script).in_folder();
    let guard = Arc::new(start_guard(&case.run));
    wait_until("the guard has started", || guards(&case.run) == 1);
    let spawn = Spawn { guard: Some(Arc::clone(&guard)), ..case.spawn.clone() };
    assert_eq!(run(&spawn, &Stop::new(), &mut ()).ended, Ended::Exit(0));
    drop(spawn);
    drop(guard);
    wait_until("the guard is gone", || guards(&case.run) == 0);
    assert_eq!(case.alive(), 1);
}
