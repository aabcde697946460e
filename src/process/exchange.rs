//! Runs a command that reads input from a stream, and returns what it printed on both outputs. It must not
//! know what the command is for.
//!
//! Unlike [`run`](crate::process::run::run), it does not wait for processes that the command left running:
//! these may be services that someone asked for.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::base::clock::Clock;
use crate::process::run::Ended;
use crate::process::{children, session};

/// A command with its input and its limits. It contains secrets, so it does not implement `Debug`.
pub struct Exchange<'a> {
    /// The program, as an absolute path or a name that is looked up in PATH.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// The folder that it runs in.
    pub dir: PathBuf,
    /// Its whole environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// What it reads from its standard input.
    pub input: Box<dyn Read + Send>,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether it is to be stopped.
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
}

/// What came of a command.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub ended: Ended,
    /// What it printed on its standard output.
    pub stdout: Vec<u8>,
    /// What it printed on its standard error.
    pub stderr: Vec<u8>,
    /// Why its input was not read to the end, if that is the fault of the input.
    pub input_error: Option<io::Error>,
}

/// The most that is kept of an output.
const MOST: usize = 64 << 20;
/// The longest time between two looks whether the command has ended.
const MAX_PAUSE: Duration = Duration::from_millis(20);
/// How long the end of an output is awaited after the command has ended. A process that it left running may
/// keep the output open.
const END_OF_OUTPUT: Duration = Duration::from_millis(500);
/// How often it is awaited while there is something to read: a process that was left running may print all the
/// time.
const END_LOOKS: u32 = 20;
/// The time between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);

/// Runs a command in a session of its own, without a terminal.
pub fn exchange(command: Exchange<'_>) -> Answer {
    let Exchange { program, args, dir, env, input, timeout, is_stopped } = command;
    let clock = Clock::system();
    #[expect(clippy::disallowed_methods, reason = "a place where processes are started")]
    let mut process = Command::new(&program);
    process.args(args).current_dir(&dir).env_clear().envs(env);
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = session::start_in_new_session(&mut process)
        .and_then(|()| children::start(|| process.spawn(), |child| vec![child.id()]));
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let ended = Ended::NotStarted(format!("{}: {error}", program.display()));
            return Answer { ended, stdout: Vec::new(), stderr: Vec::new(), input_error: None };
        }
    };
    let feed = child.stdin.take().map(|mut stdin| {
        let (sender, receiver) = channel();
        thread::spawn(move || sender.send(feed(input, &mut stdin)));
        receiver
    });
    let stdout = child.stdout.take().map(Output::read);
    let stderr = child.stderr.take().map(Output::read);
    let ended = wait(&mut child, &clock, timeout, is_stopped);
    let take = |output: Option<Output>| output.map(Output::take).unwrap_or_default();
    // If the source of the input still hangs, the command did without the rest.
    let input_error = feed.and_then(|result: Receiver<_>| result.try_recv().ok()).and_then(Result::err);
    Answer { ended, stdout: take(stdout), stderr: take(stderr), input_error }
}

/// Copies the input. That the command does not read all of it is no error.
fn feed(mut input: Box<dyn Read + Send>, stdin: &mut dyn io::Write) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) if stdin.write_all(&buffer[..length]).is_err() => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn wait(child: &mut Child, clock: &Clock, timeout: Duration, is_stopped: &dyn Fn() -> bool) -> Ended {
    let id = child.id();
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let is_over = || {
        pid.is_none_or(|pid| {
            !matches!(waitid(WaitId::Pid(pid), options), Ok(None) | Err(rustix::io::Errno::INTR))
        })
    };
    let mut pause = Duration::from_millis(1);
    let mut cut_short: Option<(Ended, Duration)> = None;
    while !is_over() {
        let now = clock.elapsed();
        match &cut_short {
            None if is_stopped() => cut_short = Some((Ended::Stopped, now)),
            None if now >= timeout => cut_short = Some((Ended::TimedOut, now)),
            None => {}
            Some((_, since)) => {
                let signal = if now > *since + GRACE { Signal::KILL } else { Signal::TERM };
                if let Some(pid) = pid {
                    let _ = kill_process_group(pid, signal);
                }
            }
        }
        thread::sleep(pause);
        pause = (2 * pause).min(MAX_PAUSE);
    }
    let status = children::reap(id, || child.wait());
    match (cut_short, status) {
        (Some((ended, _)), _) => ended,
        (None, Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exit(code),
            (None, signal) => Ended::Signal(signal.unwrap_or_default()),
        },
        (None, Err(error)) => Ended::NotStarted(format!("its exit status was lost: {error}")),
    }
}

/// An output that a thread reads.
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    end: Receiver<()>,
    /// The same pipe, to see whether the thread has read all that is in it.
    pipe: Option<OwnedFd>,
}

impl Output {
    fn read(mut from: impl Read + AsFd + Send + 'static) -> Self {
        let pipe = from.as_fd().try_clone_to_owned().ok();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (sender, end) = channel();
        let into = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                match from.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => {
                        let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
                        let room = MOST - into.len().min(MOST);
                        into.extend_from_slice(&buffer[..length.min(room)]);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            sender.send(())
        });
        Self { bytes, end, pipe }
    }

    fn take(self) -> Vec<u8> {
        // On a busy machine, the thread may not have read what the command has printed.
        let has_more =
            || self.pipe.as_ref().and_then(|pipe| ioctl_fionread(pipe).ok()).is_some_and(|size| size > 0);
        for _ in 0..END_LOOKS {
            if self.end.recv_timeout(END_OF_OUTPUT) != Err(RecvTimeoutError::Timeout) || !has_more() {
                break;
            }
        }
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn sh<'a>(script: &str, input: &[u8], is_stopped: &'a (dyn Fn() -> bool + Sync)) -> Exchange<'a> {
        Exchange {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            dir: "/".into(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            input: Box::new(io::Cursor::new(input.to_vec())),
            timeout: Duration::from_secs(60),
            is_stopped,
        }
    }

    #[test]
    fn command_reads_its_input_and_both_outputs_are_returned() {
        let input = vec![b'x'; 300_000];
        let answer = exchange(sh("wc -c; cat >&2; echo no >&2; exit 3", &input, &|| false));
        assert_eq!(answer.ended, Ended::Exit(3));
        assert_eq!(String::from_utf8(answer.stdout).unwrap().trim(), "300000");
        assert_eq!(answer.stderr, b"no\n");
        let answer = exchange(sh("exit 0", &input, &|| false));
        assert_eq!(answer.ended, Ended::Exit(0));
        assert!(answer.input_error.is_none());
    }

    #[test]
    fn process_that_is_left_running_is_not_waited_for() {
        let answer = exchange(sh("sleep 60 & echo $!", b"", &|| false));
        assert_eq!(answer.ended, Ended::Exit(0));
        let pid: i32 = String::from_utf8(answer.stdout).unwrap().trim().parse().unwrap();
        assert!(rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).is_ok());
    }

    #[test]
    fn stop_and_timeout_end_the_whole_group() {
        let started = AtomicBool::new(false);
        let stop = || started.swap(true, Ordering::Relaxed);
        assert_eq!(exchange(sh("sleep 60 | cat", b"", &stop)).ended, Ended::Stopped);
        let command = Exchange { timeout: Duration::from_millis(10), ..sh("sleep 60 | cat", b"", &|| false) };
        assert_eq!(exchange(command).ended, Ended::TimedOut);
    }

    /// A pipe whose reader gets one byte at a time, and not for longer than the end of an output is awaited.
    struct Slow(io::PipeReader);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            thread::sleep(END_OF_OUTPUT * 3 / 2);
            self.0.read(&mut buffer[..1])
        }
    }

    impl AsFd for Slow {
        fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    #[test]
    fn output_is_read_to_its_end_by_a_thread_that_is_late() {
        let (reader, mut writer) = io::pipe().unwrap();
        let output = Output::read(Slow(reader));
        io::Write::write_all(&mut writer, b"abc").unwrap();
        drop(writer);
        assert_eq!(output.take(), b"abc");
    }

    #[test]
    fn program_that_is_missing_is_named() {
        let command = Exchange { program: "/no/such/program".into(), ..sh("", b"", &|| false) };
        let Ended::NotStarted(reason) = exchange(command).ended else { panic!("it started") };
        assert!(reason.contains("/no/such/program"), "{reason}");
    }
}
