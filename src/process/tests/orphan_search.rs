//! Tests of finding and stopping processes that left their group.

use super::guard::{own_program, role, start_guard};
use super::*;
use crate::process::orphans::Orphan;

/// The variable that makes a process adopt the orphans of a test.
const ADOPTING_ROLE: &str = "TASKGATE_TEST_ADOPTING";

/// Ends the processes of a case and returns those that were its own. This process may adopt those of
/// other tests at the same time, which may have no run's id.
fn end_own(case: &Case) -> Vec<Orphan> {
    let mut orphans = orphans::end_all(&case.run, Duration::from_secs(60));
    orphans.retain(|orphan| orphan.task.is_some());
    orphans
}

#[test]
fn orphans_are_found_and_ended() {
    let script = "setsid sh -c ': > up; exec sleep 60' & until [ -e up ]; do sleep 0.01; done";
    let case = Case::new(script).in_folder();
    assert_eq!(case.run().ended, Ended::Exit(0));
    wait_until("it is a sleep", || {
        let found = orphans::find(&case.run);
        found.len() == 1 && found.iter().all(|orphan| orphan.command == "sleep 60")
    });
    let orphans = end_own(&case);
    let found: Vec<_> =
        orphans.iter().map(|orphan| (orphan.task.as_deref(), orphan.command.as_str())).collect();
    assert_eq!(found, [(Some("unit"), "sleep 60")]);
    case.assert_nothing_is_left();
    assert_eq!(end_own(&case), []);
}

#[test]
fn orphans_that_ignore_term_are_killed() {
    let script = "setsid sh -c \"trap '' TERM; : > up; sleep 60\" & until [ -e up ]; do sleep 0.01; done";
    let case = Case::new(script).in_folder();
    assert_eq!(case.run().ended, Ended::Exit(0));
    assert!(!orphans::end_all(&case.run, Duration::from_millis(50)).is_empty());
    case.assert_nothing_is_left();
}

#[test]
fn process_that_ends_is_no_orphan_of_another_run() {
    // In a process of its own, no processes of other tests are adopted.
    let role = role("orphan_search::adopting_role");
    let adopting = duct::cmd(own_program(), role).env(ADOPTING_ROLE, "1").stderr_to_stdout();
    let output = adopting.stdout_capture().unchecked().run().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "no test of its own: a process that adopts the orphans of one test"]
fn adopting_role() {
    if Env::capture().unwrap().var(ADOPTING_ROLE).is_none() {
        return;
    }
    // Much memory takes long to give back.
    let script = "for i in $(seq 20); do (setsid dd if=/dev/zero of=/dev/null bs=99M count=1 &); done";
    let case = Case::new(script);
    // It makes this process adopt orphans.
    let _guard = start_guard("none");
    thread::scope(|scope| {
        let run = scope.spawn(|| case.run());
        while !run.is_finished() || case.alive() > 0 {
            assert_eq!(orphans::end_all("another run", Duration::from_secs(60)), []);
        }
        assert_eq!(run.join().unwrap().ended, Ended::Exit(0));
    });
}

#[test]
fn process_is_seen_during_exec() {
    let again = "exec /bin/sh -c \"$AGAIN\"";
    let mut case = Case::new(again);
    case.spawn.env.push(("AGAIN".into(), again.into()));
    let stop = Stop::new();
    thread::scope(|scope| {
        let run = scope.spawn(|| run(&case.spawn, &stop, &mut ()).ended);
        wait_until("it has started", || case.alive() == 1);
        let unseen = (0..300).filter(|_| case.alive() == 0).count();
        stop.kill();
        assert_eq!(run.join().unwrap(), Ended::Stopped);
        assert_eq!(unseen, 0);
    });
}
