//! Tests that the tracer sees which files programs open, however the programs are started, and does not
//! change how they end.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use open_trace::{Access, DoubtKind, Trace};

use crate::project::{CommandOutput, Project, processes, signal, wait_for};

/// The options for both ways to trace: stopping at a few system calls, or at all of them.
const WAYS: [&[&str]; 2] = [&[], &["--all-stops"]];

/// A folder with the files a and b. The report is written outside of it.
struct Fixture {
    project: Project,
}

impl Fixture {
    fn new() -> Self {
        let project = Project::without_git("");
        project.write("a", "a\n").write("b", "b\n");
        Self { project }
    }

    fn report(&self) -> PathBuf {
        self.project.parent_folder().join("report")
    }

    fn command(&self, way: &[&str], program: &[&str]) -> Command {
        let report = self.report();
        let mut args = vec!["__trace"];
        args.extend(way);
        args.extend([report.to_str().unwrap(), "--"]);
        args.extend(program);
        self.project.xtask_command(&args)
    }

    /// Traces a program until it ends.
    #[track_caller]
    fn trace(&self, way: &[&str], program: &[&str]) -> (CommandOutput, Trace) {
        let _ = fs::remove_file(self.report());
        let ran = CommandOutput::from_output(self.command(way, program).output().unwrap());
        let trace = Trace::load(&self.report()).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (ran, trace)
    }

    /// Traces a shell script that must succeed, and returns what was opened in the folder.
    #[track_caller]
    fn trace_script(&self, way: &[&str], lines: &str) -> Vec<String> {
        let (ran, trace) = self.trace(way, &["sh", "-c", lines]);
        ran.ends(0);
        assert_eq!(trace.doubts, []);
        self.accesses(&trace)
    }

    /// Returns what was opened in the folder, as `name: Access Access`.
    fn accesses(&self, trace: &Trace) -> Vec<String> {
        let root = self.project.root();
        let inside = trace.files.iter().filter_map(|seen| {
            let name = seen.path.as_path().strip_prefix(&root).ok()?;
            let how: Vec<String> = seen.accesses.iter().map(|how| format!("{how:?}")).collect();
            Some(format!("{}: {}", name.display(), how.join(" ")))
        });
        inside.collect()
    }

    /// Starts a program and its tracer in a process group of their own.
    fn start(&self, program: &[&str]) -> Child {
        self.command(&[], program)
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Compiles a C program. Returns `false` if the compiler does not support these options.
    fn compile(&self, name: &str, text: &str, options: &[&str]) -> bool {
        let source = self.project.parent_folder().join(format!("{name}.c"));
        fs::write(&source, text).unwrap();
        let output = Command::new("cc")
            .args(["-o", name])
            .arg(source)
            .args(options)
            .current_dir(self.project.root())
            .output();
        output.unwrap().status.success()
    }
}

fn id(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

fn status(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    let status = child.wait().unwrap();
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}

#[test]
fn shell_and_its_children_are_traced() {
    for way in WAYS {
        let fixture = Fixture::new();
        let seen = fixture.trace_script(way, "cat a; cat missing || true; (cat b &) ; wait");
        assert_eq!(seen, ["a: Read", "b: Read", "missing: Missing"], "{way:?}");
    }
}

#[test]
fn all_descendants_are_traced() {
    for way in WAYS {
        let fixture = Fixture::new();
        fs::create_dir(fixture.project.path("sub")).unwrap();
        let lines = "sh -c 'cd sub; sh -c \"cat ../a\"'; setsid sh -c '(sleep 0.1; cat b) >/dev/null 2>&1 &'";
        let seen = fixture.trace_script(way, lines);
        assert_eq!(seen, ["a: Read", "b: Read"], "{way:?}");
    }
}

#[test]
fn accesses_are_recorded_in_order() {
    for way in WAYS {
        let fixture = Fixture::new();
        let lines = "echo x > out; cat out; cat late 2>&- || mv out late; cat late; cat < a > a.copy; ls > list; \
                     test -e never || test -e a";
        let seen = fixture.trace_script(way, lines);
        let expected = [
            ": Listed",
            "a: Read",
            "a.copy: Written",
            "late: Missing Written Read",
            "list: Written",
            "never: Missing",
            "out: Written Read",
        ];
        assert_eq!(seen, expected, "{way:?}");
    }
}

#[test]
fn renamed_and_removed_files_are_recorded() {
    for way in WAYS {
        let fixture = Fixture::new();
        let lines = "ln a link; cat link; cp -l a copy; mv b got; mkdir d; mv d e; rmdir e; rm -f copy; \
                     ln none x 2>&- || true";
        let seen = fixture.trace_script(way, lines);
        for (name, how) in [
            ("a", "Read"),
            ("link", "Written"),
            ("b", "Read"),
            ("b", "Written"),
            ("got", "Written"),
            ("d", "Listed"),
            ("e", "Written"),
            ("copy", "Written"),
            ("none", "Missing"),
        ] {
            let is_recorded = |line: &String| {
                line.split_once(": ").is_some_and(|(path, ways)| path == name && ways.contains(how))
            };
            assert!(seen.iter().any(is_recorded), "{name} {how}: {seen:?} {way:?}");
        }
        let gone = fixture.trace_script(way, "rm -f a; rm got");
        assert!(gone.contains(&"a: Written".to_owned()), "{gone:?}");
    }
}

#[test]
fn script_is_recorded_with_its_interpreter() {
    let fixture = Fixture::new();
    fixture.project.write("script", "#!/bin/sh\ncat b\n").chmod("script", 0o755);
    let (ran, trace) = fixture.trace(&[], &["./script"]);
    assert_eq!(ran.ends(0).out, "b\n");
    assert_eq!(fixture.accesses(&trace), ["b: Read", "script: Executed Read"].map(str::to_owned).as_slice());
    let shell = Path::new("/bin/sh").canonicalize().unwrap();
    assert!(trace.paths(Access::Executed).any(|path| path.as_path() == shell));
}

#[test]
fn tracer_ends_like_the_program() {
    let fixture = Fixture::new();
    for (line, expected) in
        [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("kill -ABRT $$", 134)]
    {
        let (ran, trace) = fixture.trace(&[], &["sh", "-c", line]);
        assert_eq!(ran.ends(expected).err, "");
        assert!(trace.is_complete(), "{line}: {:?}", trace.doubts);
    }
    // The process must really die from the signal, not only exit with 128+n.
    let status = fixture.command(&[], &["sh", "-c", "kill -HUP $$"]).status().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(1));
}

#[test]
fn missing_program_is_reported() {
    let fixture = Fixture::new();
    let (ran, trace) = fixture.trace(&[], &["./none"]);
    ran.ends(127).says("there is no program `./none`");
    assert_eq!(fixture.accesses(&trace), ["none: Missing"]);
    let (ran, _) = fixture.trace(&[], &["./a"]);
    ran.ends(126).says("can't run `./a`");
}

#[test]
fn statically_linked_program_is_traced() {
    let fixture = Fixture::new();
    let text =
        "#include <fcntl.h>\nint main() { return open(\"a\", O_RDONLY) < 0 || open(\"no\", O_RDONLY) >= 0; }";
    if !fixture.compile("static", text, &["-static"]) {
        return;
    }
    let (ran, trace) = fixture.trace(&[], &["./static"]);
    ran.ends(0);
    assert_eq!(fixture.accesses(&trace), ["a: Read", "no: Missing", "static: Executed"]);
    assert!(trace.is_complete());
}

#[test]
fn threads_and_an_exec_by_one_of_them_are_traced() {
    let text = "#include <fcntl.h>\n#include <pthread.h>\n#include <unistd.h>\n\
        static void *reads(void *path) { return (void *)(long)open(path, O_RDONLY); }\n\
        static void *becomes(void *path) { execlp(\"cat\", \"cat\", path, (char *)0); return 0; }\n\
        int main() { pthread_t one, two; pthread_create(&one, 0, reads, \"a\"); pthread_join(one, 0);\n\
        pthread_create(&one, 0, reads, \"none\"); pthread_create(&two, 0, becomes, \"b\"); for (;;) pause(); }";
    for way in WAYS {
        let fixture = Fixture::new();
        assert!(fixture.compile("threads", text, &["-pthread"]));
        let (ran, trace) = fixture.trace(way, &["./threads"]);
        assert_eq!(ran.ends(0).out, "b\n", "{way:?}");
        let seen = fixture.accesses(&trace);
        // `exec` may end the other thread before it has tried to open its file.
        let seen: Vec<&str> =
            seen.iter().map(String::as_str).filter(|line| *line != "none: Missing").collect();
        assert_eq!(seen, ["a: Read", "b: Read", "threads: Executed"], "{way:?}");
    }
}

#[test]
fn signals_without_a_name_reach_their_handlers() {
    let text = "#define _GNU_SOURCE\n#include <fcntl.h>\n#include <pthread.h>\n#include <signal.h>\n\
        #include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
        static volatile int received, value, blocked;\n\
        static void on_signal(int number, siginfo_t *info, void *context) { (void)context; sigset_t now;\n\
          value = info->si_value.sival_int; received += number == info->si_signo && info->si_code == SI_QUEUE;\n\
          sigprocmask(SIG_BLOCK, 0, &now); blocked = sigismember(&now, SIGUSR2); open(\"a\", O_RDONLY); }\n\
        static void *waits(void *none) { sigset_t all; sigfillset(&all); pthread_sigmask(SIG_SETMASK, &all, 0);\n\
          for (;;) pause(); return none; }\n\
        int main() { struct sigaction action; memset(&action, 0, sizeof action); action.sa_flags = SA_SIGINFO;\n\
          action.sa_sigaction = on_signal; sigaddset(&action.sa_mask, SIGUSR2); sigaction(SIGRTMIN + 3, &action, 0);\n\
          for (int shut = 0; shut < 2; shut++) { sigset_t mask, after; sigfillset(&mask);\n\
            sigdelset(&mask, SIGRTMIN + 3); if (!shut) sigemptyset(&mask); sigprocmask(SIG_SETMASK, &mask, 0);\n\
            union sigval sent = {.sival_int = 40 + shut}; double kept = 1.5 * (shut + 1);\n\
            sigqueue(getpid(), SIGRTMIN + 3, sent); sigprocmask(SIG_SETMASK, 0, &after);\n\
            if (kept != 1.5 * (shut + 1) || received != shut + 1 || value != 40 + shut || !blocked) return 1;\n\
            if (sigismember(&after, SIGSTKFLT) != shut) return 2; }\n\
          pthread_t thread; pthread_create(&thread, 0, waits, 0); usleep(50000);\n\
          if (setgid(getgid())) return 3; pthread_cancel(thread); pthread_join(thread, 0); return 7; }";
    for way in WAYS {
        let fixture = Fixture::new();
        assert!(fixture.compile("on_signal", text, &["-pthread"]));
        let (ran, trace) = fixture.trace(way, &["./on_signal"]);
        ran.ends(7);
        assert_eq!(trace.doubts, [], "{way:?}");
        assert_eq!(fixture.accesses(&trace), ["a: Read", "on_signal: Executed"], "{way:?}");
    }
}

#[test]
fn vfork_and_posix_spawn_are_traced() {
    let text = "#include <spawn.h>\n#include <sys/wait.h>\n#include <unistd.h>\nextern char **environ;\n\
        int main() { char *a[] = {\"cat\", \"a\", 0}, *b[] = {\"cat\", \"b\", 0}; pid_t child = vfork();\n\
        if (!child) { execvp(\"cat\", a); _exit(1); } int status; waitpid(child, &status, 0);\n\
        if (status || posix_spawnp(&child, \"cat\", 0, 0, b, environ)) return 1;\n\
        waitpid(child, &status, 0); return status != 0; }";
    for way in WAYS {
        let fixture = Fixture::new();
        assert!(fixture.compile("spawns", text, &[]));
        let (ran, trace) = fixture.trace(way, &["./spawns"]);
        assert_eq!(ran.ends(0).out, "a\nb\n", "{way:?}");
        assert_eq!(fixture.accesses(&trace), ["a: Read", "b: Read", "spawns: Executed"], "{way:?}");
        assert!(trace.is_complete());
    }
}

#[test]
fn stopped_program_stays_stopped_until_it_is_continued() {
    for way in WAYS {
        let fixture = Fixture::new();
        // Each system call of a traced program looks like a stop, so it may not have stopped yet.
        let lines = "sh -c 'kill -STOP $$; cat a > out' & child=$!\n\
            until grep -q '^State:.*[tT] (' /proc/$child/status; do sleep 0.01; done\n\
            sleep 0.1; test ! -s out; echo stood\n\
            until test -s out; do kill -CONT $child || true; sleep 0.05; done; wait $child; cat out";
        let (ran, trace) = fixture.trace(way, &["sh", "-ec", lines]);
        assert_eq!(ran.ends(0).out, "stood\na\n", "{way:?}");
        assert!(fixture.accesses(&trace).contains(&"a: Read".to_owned()));
        assert!(trace.is_complete(), "{:?}", trace.doubts);
    }
}

#[test]
fn signal_to_the_group_ends_all_and_the_report_is_written() {
    let mark = "63.0305";
    let fixture = Fixture::new();
    let mut child = fixture.start(&["sh", "-c", &format!("cat a; sleep {mark} & sleep {mark}")]);
    wait_for("the program runs", || processes(&format!("sleep\0{mark}")).len() == 2);
    signal("TERM", -id(&child));
    assert_eq!(status(&mut child), 143);
    assert!(processes(mark).is_empty());
    let trace = Trace::load(&fixture.report()).unwrap();
    assert_eq!(fixture.accesses(&trace), ["a: Read"]);
}

#[test]
fn kill_of_the_tracer_kills_traced_processes() {
    let mark = "63.0318";
    let fixture = Fixture::new();
    let line = format!("setsid sleep {mark} & sleep {mark}");
    let mut child = fixture.start(&["sh", "-c", &line]);
    wait_for("the program runs", || processes(&format!("sleep\0{mark}")).len() == 2);
    signal("KILL", id(&child));
    assert_eq!(status(&mut child), 137);
    wait_for("no process is left", || processes(mark).is_empty());
    assert!(!fixture.report().exists());
}

#[test]
fn where_tracing_is_not_permitted_the_program_runs_and_the_report_says_so() {
    let fixture = Fixture::new();
    let inner = fixture.project.parent_folder().join("inner");
    // A process can only have one tracer.
    let program =
        [env!("CARGO_BIN_EXE_xtask"), "__trace", inner.to_str().unwrap(), "--", "sh", "-c", "cat a; exit 3"];
    let (ran, outer) = fixture.trace(&[], &program);
    assert_eq!(ran.ends(3).out, "a\n");
    let inner = Trace::load(&inner).unwrap();
    assert!(matches!(inner.doubts[0].kind, DoubtKind::NotPermitted(_)), "{:?}", inner.doubts);
    assert!(inner.files.is_empty());
    assert_eq!(outer.doubts.iter().map(|doubt| &doubt.kind).collect::<Vec<_>>(), [&DoubtKind::Tracer]);
    assert!(fixture.accesses(&outer).contains(&"a: Read".to_owned()));
}

#[test]
fn tracer_is_not_in_the_help() {
    let help = Fixture::new().project.xtask(&["--help"]).ends(0).out;
    assert!(!help.contains("__trace"));
}
