//! Traces real programs through the library, in a process that has other threads and children. The
//! tests of the whole program in `tests/e2e/tracer.rs` of the workspace try many more programs.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![expect(clippy::unwrap_used, reason = "a test fails by that")]
#![expect(clippy::disallowed_methods, reason = "the tracer does not know this child process")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use open_trace::{DoubtKind, Options, Outcome, PathState, Scope, trace};

/// A folder with the file `a`.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "a\n").unwrap();
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// Traces a shell that runs `lines` in the folder.
    fn trace(&self, lines: &str, options: &Options) -> Outcome {
        let lines = format!("cd '{}'; {lines}", self.root().display());
        trace(&["sh", "-c", &lines].map(OsString::from), options).unwrap()
    }

    /// Returns what was seen of the folder: `name: Access Access`.
    fn files(&self, outcome: &Outcome) -> Vec<String> {
        let root = self.root();
        let inside = outcome.trace.files.iter().filter_map(|file| {
            let name = file.path.as_path().strip_prefix(&root).ok()?;
            let accesses: Vec<_> = file.accesses.iter().map(|access| format!("{access:?}")).collect();
            Some(format!("{}: {}", name.display(), accesses.join(" ")))
        });
        inside.collect()
    }
}

fn all_options() -> [Options; 2] {
    [Options::default(), Options { stop_at_all_calls: true, ..Options::default() }]
}

#[test]
fn accesses_of_all_descendants_are_seen() {
    for options in all_options() {
        let folder = Folder::new();
        let outcome = folder
            .trace("cat a >/dev/null; (sh -c 'echo x > out'; cat out >/dev/null); cat no 2>&-", &options);
        assert_eq!(outcome.status.code(), Some(1));
        assert_eq!(outcome.trace.doubts, []);
        assert_eq!(folder.files(&outcome), ["a: Read", "no: Missing", "out: Written Read"], "{options:?}");
    }
}

#[test]
fn only_first_accesses_in_the_folder_are_recorded_until_the_program_ends() {
    let folder = Folder::new();
    let options = Options { scope: Scope::Below(folder.root()), ..Options::default() };
    let outcome = folder.trace("cat a >/dev/null; sleep 600 & exit 3", &options);
    assert_eq!(outcome.status.code(), Some(3));
    let [file] = &outcome.trace.files[..] else { unreachable!("{:?}", outcome.trace) };
    let first = file.first.clone().unwrap();
    assert_eq!(first.named.unwrap().as_path(), folder.root().join("a"));
    assert!(first.program.unwrap().as_path().ends_with("cat"));
}

/// Returns what was looked up in the folder: `name: state, uses`.
fn lookups(folder: &Folder, outcome: &Outcome) -> Vec<String> {
    let root = folder.root();
    let inside = outcome.trace.lookups.iter().filter_map(|lookup| {
        let name = lookup.path.as_path().strip_prefix(&root).ok()?;
        let mut shown = match lookup.state {
            PathState::Missing(error) => format!("missing {error}"),
            PathState::Present(_) => "present".to_owned(),
            PathState::OwnProcess => "process".to_owned(),
        };
        let uses = [(lookup.opened, "opened"), (lookup.listed, "listed"), (lookup.written, "written")];
        shown.extend(uses.into_iter().filter(|(is, _)| *is).map(|(_, name)| format!(" {name}")));
        (!name.as_os_str().is_empty()).then(|| format!("{}: {shown}", name.display()))
    });
    inside.collect()
}

#[test]
fn all_lookups_are_recorded_with_what_they_found() {
    for stop_at_all_calls in [false, true] {
        let options = Options { scope: Scope::Lookups, stop_at_all_calls };
        let folder = Folder::new();
        let root = folder.root();
        fs::create_dir(root.join("sub")).unwrap();
        std::os::unix::fs::symlink("sub/../a", root.join("link")).unwrap();
        fs::write(root.join("run"), format!("#!{}/shell\ntest -e none/x\n", root.display())).unwrap();
        fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("/bin/sh", root.join("shell")).unwrap();
        let lines = "./run; test -e a/x; cat link > /dev/null; ls sub > /dev/null; echo x > out; true";
        let outcome = folder.trace(lines, &options);
        assert_eq!(outcome.status.code(), Some(0));
        assert_eq!(outcome.trace.doubts, []);
        let expected = [
            "a: present opened",
            "a/x: missing 20",
            "link: present",
            "none: missing 2",
            "out: missing 2 opened written",
            "run: present opened",
            "shell: present",
            "sub: present opened listed",
        ];
        assert_eq!(lookups(&folder, &outcome), expected);
        let path =
            |path: &str| outcome.trace.lookups.iter().any(|lookup| lookup.path.as_path().starts_with(path));
        assert!(path("/bin") && path("/lib64") | path("/lib"), "the symlink to the shell and the loader");
    }
}

#[test]
fn what_a_trace_of_lookups_cannot_know_is_a_doubt() {
    let options = Options { scope: Scope::Lookups, stop_at_all_calls: false };
    for (lines, expected) in [
        ("sleep 600 & exit 0", DoubtKind::LeftRunning),
        ("bash -c 'exec 3<>/dev/tcp/127.0.0.1/1' 2> /dev/null; true", DoubtKind::Socket),
    ] {
        let outcome = Folder::new().trace(lines, &options);
        assert_eq!(outcome.status.code(), Some(0));
        let kinds: Vec<_> = outcome.trace.doubts.iter().map(|doubt| doubt.kind.clone()).collect();
        assert_eq!(kinds, [expected], "{lines}");
    }
}

#[test]
fn program_that_cannot_be_executed_fails_with_the_status_of_a_shell() {
    let folder = Folder::new();
    for (name, kind, status) in
        [("none", std::io::ErrorKind::NotFound, 127), ("a", std::io::ErrorKind::PermissionDenied, 126)]
    {
        let outcome = trace(&[folder.root().join(name).into()], &Options::default()).unwrap();
        assert_eq!(outcome.exec_error.unwrap().kind(), kind);
        assert_eq!(outcome.status.code(), Some(status));
    }
    assert!(trace(&[], &Options::default()).is_err());
}

#[test]
fn death_by_a_signal_is_the_status() {
    for (line, signal) in [("kill -TERM $$", 15), ("kill -KILL $$", 9), ("kill -40 $$", 40)] {
        for options in all_options() {
            let outcome = Folder::new().trace(line, &options);
            assert_eq!(outcome.status.signal(), Some(signal), "{line}");
            assert!(outcome.trace.is_complete());
        }
    }
}

#[test]
fn other_children_of_the_caller_are_not_affected() {
    let mut other = std::process::Command::new("sh").args(["-c", "exit 5"]).spawn().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let folder = Folder::new();
                let outcome = folder.trace("for n in 1 2 3; do cat a >/dev/null; done", &Options::default());
                assert_eq!(folder.files(&outcome), ["a: Read"]);
            });
        }
    });
    assert_eq!(other.wait().unwrap().code(), Some(5));
}
