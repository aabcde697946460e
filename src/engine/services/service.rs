//! One running service: its process, which a thread waits for, its output and how it ended. It must not know
//! which tasks use it, nor when it should end.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use regex::Regex;
use tempfile::TempDir;

use crate::engine::services::port_registry::PortReservation;
use crate::event::{Ended, Log};
use crate::process::run;
use crate::process::spawn::Spawn;
use crate::process::stop::{Stop, StopRequest};
use crate::process::watcher::Watcher;

/// Control sequences of a terminal: colours, titles, links, character sets and single commands.
const CONTROLS: &str = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\^-~])";
/// How much of a very long line, which arrives in pieces, is searched again with its next piece.
const OVERLAP: usize = 4096;

/// A started service.
pub struct RunningService {
    /// Its port, if it has one.
    pub port: Option<u16>,
    /// Its number. A service that was started later has a higher one.
    pub number: u64,
    state: Arc<ServiceState>,
    stop: Stop,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Its folder for temporary files, which is removed after it has ended.
    dir: TempDir,
}

#[derive(Default)]
struct ServiceState {
    status: Mutex<ServiceStatus>,
    changed: Condvar,
}

#[derive(Default)]
struct ServiceStatus {
    /// Whether a line matched the awaited pattern.
    matched: bool,
    end: Option<(Ended, Log)>,
    /// The users to stop when it ends.
    users: Vec<(u64, Stop)>,
    next_user: u64,
}

/// A registered user of a service. Dropping it removes the user.
pub struct UserGuard {
    state: Arc<ServiceState>,
    number: u64,
}

impl RunningService {
    /// Starts the process `spawn`. [`Self::has_matched`] returns whether a line has matched `awaited`.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(
        spawn: Spawn,
        number: u64,
        reservation: PortReservation,
        awaited: Option<Regex>,
        dir: TempDir,
    ) -> std::io::Result<Self> {
        let state = Arc::new(ServiceState::default());
        let (stop, port) = (Stop::new(), reservation.port);
        let (own, own_stop) = (Arc::clone(&state), stop.clone());
        let thread = std::thread::Builder::new().name("service".to_owned()).spawn(move || {
            let mut listener =
                Listener { state: &own, awaited, controls: Regex::new(CONTROLS).ok(), tail: String::new() };
            let finished = run::run(&spawn, &own_stop, &mut listener);
            let log = Log { text: finished.log.text, left_out: finished.log.left_out };
            let ended = match finished.ended {
                run::Ended::Exit(code) => Ended::Exit { code },
                run::Ended::Signal(signal) => Ended::Signal { signal },
                run::Ended::TimedOut | run::Ended::Stopped => Ended::Stopped,
                run::Ended::NotStarted(why) => Ended::NotStarted { why },
            };
            // Released before the end is visible: a user that sees it may start another service at the same
            // port.
            drop(reservation);
            let mut facts = own.status();
            facts.end = Some((ended, log));
            for (_, user) in &facts.users {
                user.terminate();
            }
            drop(facts);
            own.changed.notify_all();
        })?;
        Ok(Self { port, number, state, stop, thread: Mutex::new(Some(thread)), dir })
    }

    /// Returns its folder for temporary files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns how it ended and what it printed; `None` while it runs.
    pub fn end(&self) -> Option<(Ended, Log)> {
        self.state.status().end.clone()
    }

    /// Returns whether a line matched the awaited pattern.
    pub fn has_matched(&self) -> bool {
        self.state.status().matched
    }

    /// Waits until a line matches or the service ends, but at most for `most`.
    pub fn wait(&self, most: Duration) {
        let facts = self.state.status();
        if facts.end.is_none() {
            let _ = self.state.changed.wait_timeout(facts, most);
        }
    }

    /// Adds a user, which is stopped when the service ends, or at once if it has ended.
    pub fn add_user(&self, user: &Stop) -> UserGuard {
        let mut facts = self.state.status();
        if facts.end.is_some() {
            user.terminate();
        }
        let number = facts.next_user;
        facts.next_user += 1;
        facts.users.push((number, user.clone()));
        UserGuard { state: Arc::clone(&self.state), number }
    }

    /// Asks the service to end, with its own signal or with KILL.
    pub fn request_stop(&self, how: StopRequest) {
        match how {
            StopRequest::None => {}
            StopRequest::Terminate => self.stop.terminate(),
            StopRequest::Kill => self.stop.kill(),
        }
    }

    /// Returns whether it was asked to end.
    pub fn was_stop_requested(&self) -> bool {
        self.stop.request() != StopRequest::None
    }
}

/// Kills the process, since nothing may outlive the run.
impl Drop for RunningService {
    fn drop(&mut self) {
        self.stop.kill();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for UserGuard {
    fn drop(&mut self) {
        self.state.status().users.retain(|(number, _)| *number != self.number);
    }
}

impl ServiceState {
    /// Locks the facts. No code panics while it holds the lock, so the data is consistent.
    fn status(&self) -> MutexGuard<'_, ServiceStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Listener<'a> {
    state: &'a ServiceState,
    awaited: Option<Regex>,
    /// Matches control sequences, which are invisible on a terminal.
    controls: Option<Regex>,
    /// The end of the last piece of an incomplete line.
    tail: String,
}

impl Listener<'_> {
    /// Returns whether a line of the text matches, either raw or as it looks on a terminal.
    fn is_awaited(&self, text: &str) -> bool {
        let Some(awaited) = &self.awaited else { return false };
        // A line that was overwritten by the next one counts too.
        let is_match = |line: &str| {
            awaited.is_match(line) || line.contains('\r') && line.split('\r').any(|l| awaited.is_match(l))
        };
        let is_seen = |line: &str| match &self.controls {
            Some(controls) if line.contains('\u{1b}') => is_match(&controls.replace_all(line, "")),
            _ => false,
        };
        text.lines().any(|line| is_match(line) || is_seen(line))
    }

    fn match_text(&mut self, text: &str) {
        let is_awaited = if self.tail.is_empty() {
            self.is_awaited(text)
        } else {
            self.is_awaited(&format!("{}{text}", self.tail))
        };
        if is_awaited {
            self.awaited = None;
            self.state.status().matched = true;
            self.state.changed.notify_all();
        }
    }
}

impl Watcher for Listener<'_> {
    fn output(&mut self, text: &str) {
        if self.awaited.is_none() {
            return;
        }
        self.match_text(text);
        self.tail.clear();
        if !text.ends_with('\n') {
            let start =
                (text.len().saturating_sub(OVERLAP)..text.len()).find(|at| text.is_char_boundary(*at));
            self.tail.push_str(&text[start.unwrap_or(text.len())..]);
        }
    }

    fn paused_within(&mut self, line: &str) {
        self.match_text(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ready(awaited: &str, feed: impl FnOnce(&mut Listener<'_>)) -> bool {
        let state = ServiceState::default();
        let (awaited, controls) = (Regex::new(awaited).ok(), Regex::new(CONTROLS).ok());
        feed(&mut Listener { state: &state, awaited, controls, tail: String::new() });
        state.status().matched
    }

    #[test]
    fn awaited_line_matches_raw_or_as_displayed() {
        for (awaited, text, expected) in [
            ("^ready$", "ready\n", true),
            ("^ready$", "ready\r\n", true),
            ("^ready$", "not ready\n", false),
            ("^ready$", "10 %\r100 %\rready\n", true),
            ("^ready$", "ready\rnext\n", true),
            ("%.*ready", "10 %\rready\n", true),
            ("^ready$", "\u{1b}[2K\u{1b}[1;32mready\u{1b}(B\u{1b}[m\n", true),
            ("^ready$", "\u{1b}]0;my title\u{7}ready\u{1b}=\n", true),
            ("^ready$", "\u{1b}]8;;http://x\u{1b}\\ready\u{1b}]8;;\u{1b}\\\n", true),
            ("\\x1b\\[1m", "\u{1b}[1mx\n", true),
            ("^a\u{fffd}b$", "a\u{fffd}b\n", true),
        ] {
            assert_eq!(is_ready(awaited, |listener| listener.output(text)), expected, "{awaited} {text:?}");
        }
    }

    #[test]
    fn unfinished_lines_and_pieces_of_lines_are_matched() {
        assert!(is_ready("^>>> $", |listener| listener.paused_within(">>> ")));
        assert!(is_ready("^on 3000$", |listener| listener.paused_within("\rstart\ron 3000")));
        assert!(!is_ready("^a$", |listener| {
            listener.output("b\n");
            listener.paused_within("");
        }));
        let piece = format!("{}lis", "é".repeat(OVERLAP));
        assert!(is_ready("listening", |listener| {
            listener.output(&piece);
            listener.output("tening\n");
        }));
        assert!(is_ready("listening", |listener| {
            listener.output(&piece);
            listener.paused_within("tening");
        }));
    }
}
