//! Tests with real processes. Each run has its own id, by which its remaining processes are found in
//! the process table.

mod group;
mod guard;
mod orphan_search;
mod output;
mod start;
mod watcher;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::base::wait::wait_until;
use crate::process::guard::{Guard, guard_main};
use crate::process::orphans::{self, RUN_VARIABLE, TASK_VARIABLE};
use crate::process::output::log::LogLimits;
use crate::process::run::{Ended, Finished, run};
use crate::process::secret_mask::Mask;
use crate::process::spawn::{Limits, Spawn};
use crate::process::stop::Stop;
use crate::process::watcher::Watcher;

/// A shell command in its own run. Its remaining processes are killed when this value is dropped.
struct Case {
    spawn: Spawn,
    run: String,
    folder: Option<TempDir>,
}

impl Case {
    fn new(script: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let run = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), (RUN_VARIABLE, &run), (TASK_VARIABLE, "unit")];
        let spawn = Spawn {
            program: PathBuf::from("/bin/sh"),
            args: vec!["-c".into(), script.into()],
            dir: PathBuf::from("/"),
            env: env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect(),
            mask: Arc::default(),
            limits: Limits::default(),
            guard: None,
        };
        Self { spawn, run, folder: None }
    }

    /// Makes the command run in its own temporary folder.
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
        orphans::find(&self.run).len()
    }

    fn assert_nothing_is_left(&self) {
        assert_eq!(orphans::find(&self.run), []);
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        // Not `end_all`: it would also end what this process has adopted from other tests.
        wait_until("nothing is left", || {
            let left = orphans::find(&self.run);
            for pid in left.iter().filter_map(|orphan| Pid::from_raw(orphan.pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            left.is_empty()
        });
    }
}

/// A watcher that calls a function with each piece of output.
struct OnOutput<F>(F);

impl<F: FnMut(&str)> Watcher for OnOutput<F> {
    fn output(&mut self, text: &str) {
        self.0(text);
    }
}
