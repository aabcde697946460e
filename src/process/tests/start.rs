//! Tests of starting a command.

use super::*;

fn not_started(ended: &Ended) -> &str {
    match ended {
        Ended::NotStarted(why) => why,
        other => panic!("it was started: {other:?}"),
    }
}

#[test]
fn only_given_descriptors_and_variables_are_inherited() {
    let case = Case::new("pwd; cat; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | sort").in_folder();
    let expected = format!(
        "{}\nPATH=/usr/local/bin:/usr/bin:/bin\nXTASK_RUN={}\nXTASK_TASK=unit\n",
        case.spawn.dir.display(),
        case.run
    );
    assert_eq!(case.run().log.text, expected);
}

#[test]
fn last_value_of_a_variable_counts() {
    let mut case = Case::new("env | grep ^TWICE=");
    for value in ["first", "last"] {
        case.spawn.env.push(("TWICE".into(), value.into()));
    }
    assert_eq!(case.run().log.text, "TWICE=last\n");
}

#[test]
fn failed_start_has_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: &str| {
        let path = dir.path().join(name);
        // Another process writes the file. A file open for writing can't be executed, and a child of this
        // process could inherit the open file.
        let script = "printf '%s\\n' \"$1\" > \"$0\"; chmod \"$2\" \"$0\"";
        duct::cmd!("/bin/sh", "-c", script, &path, text, mode).run().unwrap();
        path
    };
    let start = |program: &Path, dir: &Path| {
        let mut case = Case::new("");
        case.spawn.program = program.to_owned();
        case.spawn.dir = dir.to_owned();
        not_started(&case.run().ended).to_owned()
    };
    let at = dir.path();
    let missing = at.join("missing");
    let sh = Path::new("/bin/sh");
    assert_eq!(start(&missing, at), format!("{} does not exist", missing.display()));
    assert_eq!(start(sh, &missing), format!("the folder {} does not exist", missing.display()));
    assert_eq!(start(at, at), format!("{} is not a file", at.display()));
    let plain = file("plain", "text", "644");
    assert_eq!(
        start(&plain, at),
        format!("{plain} is not executable; hint: chmod +x {plain}", plain = plain.display())
    );
    let script = file("script", "#!/no/such/interpreter", "755");
    let why = format!(
        "the first line of {} names the interpreter `/no/such/interpreter`, which is missing",
        script.display()
    );
    assert_eq!(start(&script, at), why);
    let crlf = file("crlf", "#!/bin/sh\r", "755");
    assert!(start(&crlf, at).contains("has CRLF line ends, so its interpreter is looked up as `/bin/sh\\r`"));
    let mut zero = Case::new("");
    zero.spawn.args.push("a\0b".into());
    assert!(not_started(&zero.run().ended).contains("nul byte"));
}

#[test]
fn start_waits_for_a_program_that_was_just_written() {
    let case = Case::new("").in_folder();
    let program = case.spawn.dir.join("program");
    fs::copy("/bin/true", &program).unwrap();
    let open = fs::File::options().append(true).open(&program).unwrap();
    let spawn = Spawn { program, args: Vec::new(), ..case.spawn.clone() };
    thread::scope(|scope| {
        let run = scope.spawn(|| run(&spawn, &Stop::new(), &mut ()).ended);
        thread::sleep(Duration::from_millis(20));
        drop(open);
        assert_eq!(run.join().unwrap(), Ended::Exit(0));
    });
}

#[test]
fn command_stopped_before_its_start_does_not_start() {
    let case = Case::new(": > made").in_folder();
    let stop = Stop::new();
    stop.clone().terminate();
    assert_eq!(run(&case.spawn, &stop, &mut ()).ended, Ended::Stopped);
    assert!(!case.has("made"));
}

#[test]
fn stop_during_the_start_leaves_no_process() {
    for round in 0..100u32 {
        let case = Case::new("sleep 60 & exec sleep 60");
        let stop = Stop::new();
        thread::scope(|scope| {
            let run = scope.spawn(|| run(&case.spawn, &stop, &mut ()).ended);
            for _ in 0..round * 300 {
                std::hint::spin_loop();
            }
            if round % 2 == 0 {
                stop.terminate();
            } else {
                stop.kill();
            }
            assert_eq!(run.join().unwrap(), Ended::Stopped);
        });
        case.assert_nothing_is_left();
    }
}
