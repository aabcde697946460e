//! One running service: its process on a thread of its own, what it prints, and its end. It must not
//! know who uses it, nor when it is to end.

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

/// Control sequences of a terminal: colours and such, titles and links, character sets, single ones.
const CONTROLS: &str = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\^-~])";
/// How much of a very long line, which comes in pieces, is looked at again with its next piece.
const OVERLAP: usize = 4096;

/// A service that was started.
pub struct RunningService {
    /// Where it listens, if it says so.
    pub port: Option<u16>,
    /// Higher than that of each service that was started before it.
    pub number: u64,
    state: Arc<State>,
    stop: Stop,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Its folder for what it writes, removed behind it.
    dir: TempDir,
}

#[derive(Default)]
struct State {
    facts: Mutex<Facts>,
    changed: Condvar,
}

#[derive(Default)]
struct Facts {
    /// Whether a line matched what it is waited for.
    matched: bool,
    end: Option<(Ended, Log)>,
    /// What is to be ended if it ends.
    users: Vec<(u64, Stop)>,
    next_user: u64,
}

/// A task's stay with a service. Dropping it ends the stay.
pub struct UserGuard {
    state: Arc<State>,
    number: u64,
}

impl RunningService {
    /// Starts `spawn`; a line that `awaited` matches is told by [`Self::has_matched`].
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn start(
        spawn: Spawn,
        number: u64,
        claim: PortReservation,
        awaited: Option<Regex>,
        dir: TempDir,
    ) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let (stop, port) = (Stop::new(), claim.port);
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
            // Who hears of its end may start another in its place.
            drop(claim);
            let mut facts = own.facts();
            facts.end = Some((ended, log));
            for (_, user) in &facts.users {
                user.terminate();
            }
            drop(facts);
            own.changed.notify_all();
        })?;
        Ok(Self { port, number, state, stop, thread: Mutex::new(Some(thread)), dir })
    }

    /// Its folder for what it writes.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How it ended, and what it printed; `None` as long as it runs.
    pub fn end(&self) -> Option<(Ended, Log)> {
        self.state.facts().end.clone()
    }

    /// Whether a line matched what was awaited.
    pub fn has_matched(&self) -> bool {
        self.state.facts().matched
    }

    /// Waits for a line or its end, but not longer than this.
    pub fn wait(&self, most: Duration) {
        let facts = self.state.facts();
        if facts.end.is_none() {
            let _ = self.state.changed.wait_timeout(facts, most);
        }
    }

    /// Has `user` thrown when it ends; at once, if it has.
    pub fn add_user(&self, user: &Stop) -> UserGuard {
        let mut facts = self.state.facts();
        if facts.end.is_some() {
            user.terminate();
        }
        let number = facts.next_user;
        facts.next_user += 1;
        facts.users.push((number, user.clone()));
        UserGuard { state: Arc::clone(&self.state), number }
    }

    /// Asks it to end, with its signal or with KILL.
    pub fn ask_to_end(&self, how: StopRequest) {
        match how {
            StopRequest::None => {}
            StopRequest::Terminate => self.stop.terminate(),
            StopRequest::Kill => self.stop.kill(),
        }
    }

    /// Whether it was asked to end.
    pub fn was_asked(&self) -> bool {
        self.stop.request() != StopRequest::None
    }
}

/// Nothing outlives its runner.
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
        self.state.facts().users.retain(|(number, _)| *number != self.number);
    }
}

impl State {
    /// No code panics while it holds the lock, so a poisoned one is sound.
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Listener<'a> {
    state: &'a State,
    awaited: Option<Regex>,
    /// Matches what moves or colours a line on a terminal, which people do not see.
    controls: Option<Regex>,
    /// The end of the last piece of a line that comes in pieces.
    tail: String,
}

impl Listener<'_> {
    /// Whether a line of the text, as it is or as people see it, is the awaited one.
    fn is_awaited(&self, text: &str) -> bool {
        let Some(awaited) = &self.awaited else { return false };
        // A line that was written over by the next one was seen, too.
        let is_match = |line: &str| {
            awaited.is_match(line) || line.contains('\r') && line.split('\r').any(|l| awaited.is_match(l))
        };
        let is_seen = |line: &str| match &self.controls {
            Some(controls) if line.contains('\u{1b}') => is_match(&controls.replace_all(line, "")),
            _ => false,
        };
        text.lines().any(|line| is_match(line) || is_seen(line))
    }

    fn look_at(&mut self, text: &str) {
        let is_awaited = if self.tail.is_empty() {
            self.is_awaited(text)
        } else {
            self.is_awaited(&format!("{}{text}", self.tail))
        };
        if is_awaited {
            self.awaited = None;
            self.state.facts().matched = true;
            self.state.changed.notify_all();
        }
    }
}

impl Watcher for Listener<'_> {
    fn output(&mut self, text: &str) {
        if self.awaited.is_none() {
            return;
        }
        self.look_at(text);
        self.tail.clear();
        if !text.ends_with('\n') {
            let start =
                (text.len().saturating_sub(OVERLAP)..text.len()).find(|at| text.is_char_boundary(*at));
            self.tail.push_str(&text[start.unwrap_or(text.len())..]);
        }
    }

    fn paused_within(&mut self, line: &str) {
        self.look_at(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ready(awaited: &str, hear: impl FnOnce(&mut Listener<'_>)) -> bool {
        let state = State::default();
        let (awaited, controls) = (Regex::new(awaited).ok(), Regex::new(CONTROLS).ok());
        hear(&mut Listener { state: &state, awaited, controls, tail: String::new() });
        state.facts().matched
    }

    #[test]
    fn a_line_is_awaited_as_it_is_written_or_seen() {
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
    fn an_unfinished_line_and_one_in_pieces_are_looked_at() {
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
