//! Tests of how the output of a command is read.

use super::*;

#[test]
fn outputs_keep_their_order_and_the_status_is_returned() {
    let case = Case::new("for n in 1 2 3; do echo out $n; echo err $n >&2; done; exit 3");
    let mut heard = String::new();
    let finished = run(&case.spawn, &Stop::new(), &mut OnOutput(|text: &str| heard.push_str(text)));
    assert_eq!(finished.ended, Ended::Exit(3));
    assert_eq!(finished.log.text, "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n");
    assert_eq!((heard, finished.log.left_out, finished.left_behind), (finished.log.text, 0, false));
}

#[test]
fn invalid_utf8_is_replaced() {
    assert_eq!(Case::new(r"printf '\377a\n\303'; printf '\251'").run().log.text, "\u{fffd}a\né");
}

#[test]
fn command_that_closes_its_output_continues() {
    let case = Case::new("echo begun; exec >&- 2>&-; sleep 0.05; : > made; exit 5").in_folder();
    let finished = case.run();
    assert_eq!((finished.ended, finished.log.text.as_str()), (Ended::Exit(5), "begun\n"));
    assert!(case.has("made"));
}

#[test]
fn daemon_that_keeps_the_output_open_does_not_block_the_run() {
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
fn endless_log_stays_within_its_limits() {
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
fn command_that_prints_endlessly_is_stopped_in_time() {
    let case = Case::new("yes").timeout(200);
    let finished = case.run();
    assert_eq!(finished.ended, Ended::TimedOut);
    assert!(finished.log.text.len() <= 9 << 20);
    case.assert_nothing_is_left();
}

#[test]
fn secrets_are_masked_for_the_log_and_the_observer() {
    let mut case = Case::new("printf 'a hun'; sleep 0.05; echo 'ter2 b' >&2; printf 'hunter'");
    case.spawn.mask = Arc::new(Mask::new(vec![b"hunter2".to_vec()]).unwrap());
    let mut heard = Vec::new();
    let finished = run(&case.spawn, &Stop::new(), &mut OnOutput(|text: &str| heard.push(text.to_owned())));
    assert_eq!(finished.log.text, "a *** b\nhunter");
    assert_eq!(heard, ["a *** b\n", "hunter"]);
}
