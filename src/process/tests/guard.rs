//! Tests of the guard, with the test's own program as guard and as runner.

use super::*;

/// Tells the guard's process of a test that it is one, and of which run.
const GUARD_ROLE: &str = "TASKGATE_TEST_GUARD";
/// The same for the runner's process.
const RUNNER_ROLE: &str = "TASKGATE_TEST_RUNNER";
/// Tells the runner's process to keep from its guard what it starts.
const MUTE: &str = "TASKGATE_TEST_MUTE";

/// The path of this test's program; the link in `/proc` means another file in each process.
fn own_program() -> PathBuf {
    fs::read_link("/proc/self/exe").unwrap()
}

fn role(name: &str) -> [String; 4] {
    [
        format!("process::tests::guard::{name}"),
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
