//! Runs a shell program on a machine: on this one, or by the system's `ssh` on another. It must not know what
//! the program does.
//!
//! The program travels by standard input, before the data that it reads, so neither is in an argument list.
//! All calls to a machine share one connection, which `ssh` opens at the first call and closes by itself when
//! it has been idle for a while.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::env::Env;
use crate::config::deploy::{Connection, SshDestination};
use crate::process::exchange::{Answer, Exchange, exchange};
use crate::process::find_program::find_program;
use crate::process::orphans::RUN_VARIABLE;
use crate::process::run::Ended;

/// A call of a machine.
pub struct Call<'a> {
    /// The text of the program, for a POSIX shell.
    pub program: &'a str,
    /// What the program reads from its standard input.
    pub input: Box<dyn Read + Send>,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether it is to be stopped.
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
}

/// The answer of a program that ended by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Its exit status.
    pub status: i32,
    /// What it printed on its standard output.
    pub stdout: Vec<u8>,
    /// What it printed on its standard error.
    pub stderr: String,
}

/// Why nobody knows what came of a program.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The machine can't be reached, or the connection was lost.
    #[error("{0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The call was stopped.
    #[error("stopped")]
    Stopped,
    /// The program could not be started.
    #[error("can't start {0}")]
    NotStarted(String),
    /// The input could not be read.
    #[error("can't read what is sent")]
    Input(#[source] io::Error),
}

/// The exit status with which `ssh` reports its own errors.
const SSH_FAILED: i32 = 255;
/// How long the shared connection stays open without a call, in seconds.
const IDLE: &str = "120";
/// How long a connection may take to be opened.
const OPENING: Duration = Duration::from_secs(30);
/// The longest path of a folder whose sockets have names that the system accepts: it allows 104 bytes on some
/// systems, and `ssh` appends 17 while it creates one.
const LONGEST_FOLDER: usize = 76;

/// The variables of this process that programs on this machine get, as if they had come by `ssh`.
const LOCAL_VARIABLES: [&str; 11] = [
    "HOME",
    "LANG",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// Runs programs on machines. One of them is shared by all that work on a target.
#[derive(Debug)]
pub struct Connector {
    env: Vec<(OsString, OsString)>,
    /// The folder that programs on this machine start in.
    home: PathBuf,
    /// The folder of the sockets of shared connections.
    sockets: Mutex<Option<Arc<tempfile::TempDir>>>,
    /// A lock for each machine, which is held while its connection is opened, and the number of its socket.
    machines: Mutex<BTreeMap<SshDestination, Arc<Mutex<usize>>>>,
}

impl Connector {
    /// Uses the environment of the caller for `ssh`, and the part of it that is not about this process for
    /// programs on this machine.
    pub fn new(env: &Env) -> Self {
        // A task runner that is above this one must not end what a deploy starts.
        let own = (OsString::from(RUN_VARIABLE), OsString::from(format!("deploy-{}", std::process::id())));
        let vars = env.vars().filter(|(name, _)| *name != RUN_VARIABLE);
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).chain([own]).collect();
        let home = env.var("HOME").map(PathBuf::from).filter(|home| home.is_dir());
        Self {
            env: vars,
            home: home.unwrap_or_else(|| PathBuf::from("/")),
            sockets: Mutex::default(),
            machines: Mutex::default(),
        }
    }

    /// Runs a program and returns its answer.
    ///
    /// # Errors
    /// It is not known what came of the program, or it was not started.
    pub fn run(&self, on: &Connection, call: Call<'_>) -> Result<Reply, ConnectionError> {
        // A comment, since a command would replace the exit status of the program.
        let text = format!("{}\n# {END}", call.program);
        let command = wrapper(text.len());
        let input = Box::new(io::Cursor::new(text.into_bytes()).chain(call.input));
        match on {
            Connection::Local => {
                let args = vec!["-c".into(), command.into()];
                let call = Call { input, ..call };
                let answer = self.start("sh", args, self.local_env(), call)?;
                match answer.ended {
                    Ended::Exit(status) => Ok(reply(status, answer)),
                    _ => Err(ConnectionError::Unreachable("the shell was killed".to_owned())),
                }
            }
            Connection::Ssh(destination) => {
                let socket = self.shared_connection(destination, call.is_stopped)?;
                let mut args = options(destination, socket.as_deref(), "no");
                args.extend([destination.host.clone().into(), command.into()]);
                let call = Call { input, ..call };
                let answer = self.start("ssh", args, self.env.clone(), call)?;
                match answer.ended {
                    Ended::Exit(SSH_FAILED) => {
                        Err(ConnectionError::Unreachable(reason(destination, &answer)))
                    }
                    Ended::Exit(status) => Ok(reply(status, answer)),
                    _ => Err(ConnectionError::Unreachable("ssh was killed".to_owned())),
                }
            }
        }
    }

    /// Starts a program of this machine and waits for its end.
    fn start(
        &self,
        program: &str,
        args: Vec<OsString>,
        env: Vec<(OsString, OsString)>,
        call: Call<'_>,
    ) -> Result<Answer, ConnectionError> {
        let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let program = find_program(OsStr::new(program), path, &self.home)
            .map_err(|error| ConnectionError::NotStarted(format!("{program}: {error}")))?;
        let Call { input, timeout, is_stopped, .. } = call;
        let dir = self.home.clone();
        let mut answer = exchange(Exchange { program, args, dir, env, input, timeout, is_stopped });
        if let Some(error) = answer.input_error.take() {
            return Err(ConnectionError::Input(error));
        }
        match answer.ended {
            Ended::TimedOut => Err(ConnectionError::TimedOut(timeout)),
            Ended::Stopped => Err(ConnectionError::Stopped),
            Ended::NotStarted(reason) => Err(ConnectionError::NotStarted(reason)),
            Ended::Exit(_) | Ended::Signal(_) => Ok(answer),
        }
    }

    fn local_env(&self) -> Vec<(OsString, OsString)> {
        let is_passed = |name: &OsStr| {
            let known = LOCAL_VARIABLES.iter().any(|known| name == *known);
            known || name == RUN_VARIABLE || name.as_bytes().starts_with(b"DOCKER_")
        };
        self.env.iter().filter(|(name, _)| is_passed(name)).cloned().collect()
    }

    /// Opens the connection that all calls to a machine share, unless it is open, and returns its socket. If
    /// there can't be a socket, each call has a connection of its own.
    fn shared_connection(
        &self,
        destination: &SshDestination,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<PathBuf>, ConnectionError> {
        let Some(folder) = self.socket_folder() else { return Ok(None) };
        let number = {
            let mut machines = lock(&self.machines);
            let next = machines.len();
            Arc::clone(machines.entry(destination.clone()).or_insert_with(|| Arc::new(Mutex::new(next))))
        };
        let number = lock(&number);
        let socket = folder.path().join(number.to_string());
        // `ssh` removes the socket when it closes the connection.
        if socket.exists() {
            return Ok(Some(socket));
        }
        let mut args = options(destination, Some(&socket), "yes");
        let position = args.len() - 1;
        args.splice(
            position..position,
            ["-f", "-N", "-o", &format!("ControlPersist={IDLE}")].map(OsString::from),
        );
        args.push(destination.host.clone().into());
        let call = Call { program: "", input: Box::new(io::empty()), timeout: OPENING, is_stopped };
        let answer = match self.start("ssh", args, self.env.clone(), call) {
            Err(ConnectionError::TimedOut(_)) => {
                let seconds = OPENING.as_secs();
                return Err(ConnectionError::Unreachable(format!("no connection within {seconds} seconds")));
            }
            answer => answer?,
        };
        match answer.ended {
            Ended::Exit(0) if socket.exists() => Ok(Some(socket)),
            Ended::Exit(0) => Ok(None),
            _ => Err(ConnectionError::Unreachable(reason(destination, &answer))),
        }
    }

    /// Returns the folder of the sockets, which nobody else may enter.
    fn socket_folder(&self) -> Option<Arc<tempfile::TempDir>> {
        let mut sockets = lock(&self.sockets);
        if sockets.is_none() {
            let named = |name: &str| self.env.iter().find(|(other, _)| other == name).map(|(_, value)| value);
            let folders = ["XDG_RUNTIME_DIR", "TMPDIR"].into_iter().filter_map(named).map(PathBuf::from);
            *sockets = folders
                .chain([PathBuf::from("/tmp")])
                .filter(|folder| folder.is_absolute() && folder.as_os_str().len() < LONGEST_FOLDER - 10)
                .find_map(|folder| {
                    let mut builder = tempfile::Builder::new();
                    builder.prefix("xt-").rand_bytes(6).permissions(Permissions::from_mode(0o700));
                    builder.tempdir_in(folder).ok()
                })
                .map(Arc::new);
        }
        sockets.clone()
    }
}

impl Drop for Connector {
    /// Closes the shared connections.
    fn drop(&mut self) {
        let Some(folder) = lock(&self.sockets).clone() else { return };
        for (destination, number) in &*lock(&self.machines) {
            let socket = folder.path().join(lock(number).to_string());
            if socket.exists() {
                let mut args = options(destination, Some(&socket), "no");
                let position = args.len() - 1;
                args.splice(position..position, ["-O", "exit"].map(OsString::from));
                args.push(destination.host.clone().into());
                let timeout = Duration::from_secs(5);
                let call = Call { program: "", input: Box::new(io::empty()), timeout, is_stopped: &|| false };
                // An open connection closes by itself later.
                let _ = self.start("ssh", args, self.env.clone(), call);
            }
        }
    }
}

/// The end of each program. A text without it was cut off on its way, and must not be run.
const END: &str = "end-of-program";

/// Returns the command that reads a program of `length` bytes from standard input and runs it. It is valid in
/// any login shell, and contains nothing of the program.
fn wrapper(length: usize) -> String {
    let read = format!("dd bs={length} count=1 iflag=fullblock 2>/dev/null");
    let run = format!("p=$({read}); case \"$p\" in *{END}) eval \"$p\" ;; *) exit 126 ;; esac");
    format!("exec sh -c '{run}'")
}

/// Returns the options of each call of `ssh`. The last is `--`.
fn options(destination: &SshDestination, socket: Option<&Path>, master: &str) -> Vec<OsString> {
    let mut options: Vec<OsString> = vec!["-T".into()];
    let mut set = |option: &str| options.extend(["-o".into(), OsString::from(option)]);
    set("BatchMode=yes");
    set("ConnectTimeout=10");
    set("ServerAliveInterval=5");
    set("ServerAliveCountMax=3");
    set("ClearAllForwardings=yes");
    set("RemoteCommand=none");
    set(&format!("ControlMaster={master}"));
    let mut path = OsString::from("ControlPath=");
    path.push(socket.map_or(OsStr::new("none"), Path::as_os_str));
    options.extend(["-o".into(), path]);
    if let Some(port) = destination.port {
        options.extend(["-p".into(), port.to_string().into()]);
    }
    options.push("--".into());
    options
}

fn reply(status: i32, answer: Answer) -> Reply {
    Reply { status, stdout: answer.stdout, stderr: String::from_utf8_lossy(&answer.stderr).into_owned() }
}

/// Returns why `ssh` failed: the last line of its messages, with a hint for what a person has to do once.
fn reason(destination: &SshDestination, answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.stderr);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("ssh printed no reason");
    let port = destination.port.map_or_else(String::new, |port| format!("-p {port} "));
    let command = format!("ssh {port}{}", destination.host);
    if text.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return format!("its host key has changed; hint: find out why, then remove the old key: {command}");
    }
    if text.contains("Host key verification failed") {
        return format!("its host key is unknown; hint: connect once and compare the key: {command}");
    }
    if text.contains("Permission denied (") {
        return format!("{line}; hint: this must work without a question: {command} true");
    }
    line.to_owned()
}

/// No code panics while it holds one of these locks, so a poisoned one is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn connector(variables: &[(&str, &str)]) -> Connector {
        let variables = [("PATH", "/usr/bin:/bin")].iter().chain(variables);
        let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Connector::new(&Env::new(variables, "/".into()))
    }

    fn call<'a>(program: &'a str, input: &[u8]) -> Call<'a> {
        let input = Box::new(io::Cursor::new(input.to_vec()));
        Call { program, input, timeout: Duration::from_secs(60), is_stopped: &|| false }
    }

    #[test]
    fn program_and_its_data_share_the_standard_input() {
        let data = vec![b'x'; 200_000];
        let reply =
            connector(&[]).run(&Connection::Local, call("wc -c; echo no >&2; exit 7", &data)).unwrap();
        assert_eq!(reply.status, 7);
        assert_eq!(String::from_utf8(reply.stdout).unwrap().trim(), "200000");
        assert_eq!(reply.stderr, "no\n");
    }

    #[test]
    fn program_that_is_cut_off_does_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let text = format!("touch {}\n", file.display());
        let answer = exchange(Exchange {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), wrapper(text.len() + 100).into()],
            dir: "/".into(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            input: Box::new(io::Cursor::new(text.into_bytes())),
            timeout: Duration::from_secs(60),
            is_stopped: &|| false,
        });
        assert_eq!(answer.ended, Ended::Exit(126));
        assert!(!file.exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn neither_program_nor_data_are_in_an_argument_list() {
        let program = "word=hidden-in-program; read -r line; for p in $$ $PPID; do tr '\\0' ' ' </proc/$p/cmdline; done";
        let reply = connector(&[]).run(&Connection::Local, call(program, b"hidden-in-data\n")).unwrap();
        let shown = String::from_utf8(reply.stdout).unwrap();
        assert!(shown.contains("fullblock"), "{shown}");
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn local_program_has_no_variables_of_the_deploying_process() {
        let connector = connector(&[("DATABASE_URL", "secret"), ("HOME", "/"), ("DOCKER_HOST", "unix:///x")]);
        let reply = connector.run(&Connection::Local, call("env", b"")).unwrap();
        let shown = String::from_utf8(reply.stdout).unwrap();
        assert!(shown.contains("HOME=/\n") && shown.contains("DOCKER_HOST="), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn input_that_can_not_be_read_is_the_reported_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let call = Call { input: Box::new(Broken), ..call("cat", b"") };
        let error = connector(&[]).run(&Connection::Local, call).unwrap_err();
        assert!(matches!(error, ConnectionError::Input(_)), "{error}");
    }

    #[test]
    fn program_that_returns_a_status_ends_with_it() {
        let reply = connector(&[]).run(&Connection::Local, call("f() { return 7; }\nf", b"")).unwrap();
        assert_eq!(reply.status, 7);
    }

    /// Puts a program named `ssh` first into PATH.
    fn fake_ssh(dir: &Path, script: &str) -> Connector {
        let file = dir.join("ssh");
        fs::write(&file, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.display());
        connector(&[("PATH", &path)])
    }

    #[test]
    fn status_255_means_unreachable_with_the_reason_of_ssh() {
        let destination = SshDestination { host: "deploy@web1".to_owned(), port: Some(2222) };
        let cases = [
            ("Connection refused", "Connection refused"),
            (
                "Host key verification failed.",
                "its host key is unknown; hint: connect once and compare the key: ssh -p 2222 deploy@web1",
            ),
            (
                "deploy@web1: Permission denied (publickey).",
                "deploy@web1: Permission denied (publickey).; hint: this must work without a question: ssh -p 2222 deploy@web1 true",
            ),
        ];
        for (message, expected) in cases {
            let dir = tempfile::tempdir().unwrap();
            let connector = fake_ssh(dir.path(), &format!("echo first >&2; echo '{message}' >&2; exit 255"));
            let error = connector.run(&Connection::Ssh(destination.clone()), call("true", b"")).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn destination_is_never_an_option() {
        let dir = tempfile::tempdir().unwrap();
        let connector = fake_ssh(dir.path(), "for arg; do echo \"$arg\" >&2; done; exit 1");
        let destination = SshDestination { host: "-oProxyCommand=x".to_owned(), port: None };
        let reply = connector.run(&Connection::Ssh(destination), call("true", b""));
        let error = reply.unwrap_err().to_string();
        assert_eq!(error, "-oProxyCommand=x");
        assert_eq!(
            options(&SshDestination { host: "h".to_owned(), port: None }, None, "no").last().unwrap(),
            "--"
        );
    }
}
