//! Tests of how a command and its whole process group end.

use super::*;

#[test]
fn signal_from_elsewhere_is_distinguished_from_a_status() {
    assert_eq!(Case::new("kill -USR1 $$").run().ended, Ended::Signal(10));
    assert_eq!(Case::new("kill -KILL $$").run().ended, Ended::Signal(9));
}

#[test]
fn stop_ends_the_whole_group() {
    for kill in [false, true] {
        let case = Case::new("sleep 60 & sh -c 'sleep 60 & sleep 60; :' & echo ready; sleep 60; :");
        let stop = Stop::new();
        let mut started = 0;
        let mut watcher = OnOutput(|_: &str| {
            wait_until("all have started", || case.alive() >= 6);
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
fn timeout_ends_the_whole_group() {
    let case = Case::new("sleep 60 & sh -c 'sleep 60 & sleep 60'").timeout(200);
    assert_eq!(case.run().ended, Ended::TimedOut);
    case.assert_nothing_is_left();
}

#[test]
fn exit_after_the_timeout_is_still_a_timeout() {
    let case = Case::new("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    assert_eq!(case.timeout(300).run().ended, Ended::TimedOut);
}

#[test]
fn process_that_ignores_term_is_killed_after_the_grace_period() {
    let case = Case::new("trap '' TERM; echo ready; sleep 60 & sleep 60").grace(300);
    let stop = Stop::new();
    let finished = run(&case.spawn, &stop, &mut OnOutput(|_: &str| stop.terminate()));
    assert_eq!(finished.ended, Ended::Stopped);
    assert!(finished.took >= Duration::from_millis(300));
    case.assert_nothing_is_left();
}

#[test]
fn member_that_ignores_term_is_killed_after_its_leader_ended() {
    let case = Case::new("sh -c \"trap '' TERM; echo ready; sleep 60\" & wait").grace(300);
    let stop = Stop::new();
    let finished = run(&case.spawn, &stop, &mut OnOutput(|_: &str| stop.terminate()));
    assert_eq!(finished.ended, Ended::Stopped);
    assert!(finished.took >= Duration::from_millis(300));
    case.assert_nothing_is_left();
}

#[test]
fn second_stop_does_not_wait_for_the_grace_period() {
    let script = "trap 'echo told' TERM; echo ready; while :; do sleep 0.01; done";
    let case = Case::new(script).grace(3_600_000);
    let stop = Stop::new();
    let mut watcher =
        OnOutput(|text: &str| if text.contains("told") { stop.kill() } else { stop.terminate() });
    assert_eq!(run(&case.spawn, &stop, &mut watcher).ended, Ended::Stopped);
    case.assert_nothing_is_left();
}

#[test]
fn suspended_process_is_ended() {
    for (grace, script) in [(3_600_000, "kill -STOP $$"), (100, "trap '' TERM; kill -STOP $$; sleep 60")] {
        let case = Case::new(script).timeout(200).grace(grace);
        assert_eq!(case.run().ended, Ended::TimedOut);
        case.assert_nothing_is_left();
    }
}

#[test]
fn background_processes_of_the_group_are_ended() {
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
fn one_stop_ends_many_commands_from_another_thread() {
    let stop = Stop::new();
    let cases: Vec<Case> = (0..8).map(|_| Case::new("sleep 60 & sleep 60")).collect();
    thread::scope(|scope| {
        let runs: Vec<_> =
            cases.iter().map(|case| scope.spawn(|| run(&case.spawn, &stop, &mut ()).ended)).collect();
        wait_until("all have started", || cases.iter().all(|case| case.alive() >= 2));
        stop.terminate();
        for run in runs {
            assert_eq!(run.join().unwrap(), Ended::Stopped);
        }
    });
    cases.iter().for_each(Case::assert_nothing_is_left);
}
