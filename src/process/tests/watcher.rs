//! Tests of the calls that a watcher gets, and of a watcher that is busy or panics.

use super::*;

#[test]
fn slow_command_is_reported_once() {
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
fn command_that_ended_while_the_observer_was_busy_was_in_time() {
    let case = Case::new("echo ready; until [ -e heard ]; do sleep 0.01; done").in_folder().timeout(6000);
    let clock = Clock::system();
    let mut watcher = OnOutput(|_: &str| {
        fs::write(case.spawn.dir.join("heard"), "").unwrap();
        wait_until("it has ended", || case.alive() == 0);
        wait_until("its timeout has passed", || clock.elapsed() > Duration::from_millis(6100));
    });
    assert_eq!(run(&case.spawn, &Stop::new(), &mut watcher).ended, Ended::Exit(0));
}

#[test]
fn panic_of_the_observer_leaves_no_process() {
    let case = Case::new("sleep 60 & echo ready; sleep 60");
    let mut watcher = OnOutput(|_: &str| std::panic::resume_unwind(Box::new(())));
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(&case.spawn, &Stop::new(), &mut watcher)
    }));
    assert!(unwound.is_err());
    wait_until("the group is gone", || case.alive() == 0);
}
