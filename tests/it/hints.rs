//! Hints: variables that a failed task lacks, the meaning of its exit status, and suggestions for
//! misspelt names and keys.

use crate::project::{CommandOutput, Project};

fn run(project: &Project, args: &[&str], vars: &[(&str, &str)]) -> CommandOutput {
    project.xtask_env(args, vars)
}

/// Creates these programs in a folder, and returns a PATH that begins with it.
fn with_programs(project: &Project, programs: &[(&str, &str)]) -> String {
    for (name, script) in programs {
        let file = format!("../bin/{name}");
        project.write(&file, format!("#!/bin/sh\n{script}\n")).chmod(&file, 0o755);
    }
    format!("{}:{}", project.parent_folder().join("bin").display(), std::env::var("PATH").unwrap())
}

#[test]
fn missing_variables_of_a_failed_task_are_named_once_without_values() {
    let project = Project::new(
        r#"
        [tasks.a]
        run = 'echo "JAVA_HOME is not set" >&2; exit 1'
        [tasks.b]
        run = ': "${MY_TOKEN:?is not set}"'
        [tasks.c]
        run = 'echo "JAVA_HOME is not set" >&2; exit 1'
        [tasks.fine]
        run = "exit 3"
        "#,
    );
    let vars = [("JAVA_HOME", "/the/jdk"), ("MY_TOKEN", "hunter2"), ("OTHER", "value")];
    let ran = run(&project, &["-k", "-j1", "a", "c"], &vars).ends(1);
    assert_eq!(ran.err.matches("JAVA_HOME is set here").count(), 1, "{}", ran.err);
    run(&project, &["b"], &vars).ends(1);
    run(&project, &["fine"], &vars).ends(1);
    // The caller doesn't have the variable either, so there is no hint.
    run(&project, &["a"], &[]).ends(1);
    // The hint is also printed from the record of the run, and events contain it as data.
    run(&project, &["a"], &vars).ends(1);
    project.xtask(&["log", "--last"]).ends(0);
    project.xtask(&["log", "--last", "--task", "a"]).ends(0);
    let json = run(&project, &["a", "--format", "json"], &vars).ends(1);
    let finished = json.out.lines().find(|line| line.contains("task-finished")).unwrap();
    let event: serde_json::Value = serde_json::from_str(finished).unwrap();
    assert_eq!(event["hints"][0]["names"][0], "JAVA_HOME");
    assert!(!json.out.contains("/the/jdk"));
    assert_screens!();
}

#[test]
fn failed_probe_names_its_missing_variable() {
    let project = Project::new(
        r#"
        [tools]
        node = "node --version"
        [tasks.t]
        run = "true"
        tools = ["node"]
        "#,
    );
    let node = "[ -n \"$FNM_DIR\" ] || { echo 'node: could not find a version' >&2; exit 1; }";
    let path = with_programs(&project, &[("node", node)]);
    let vars = [("PATH", path.as_str()), ("FNM_DIR", "/fnm")];
    run(&project, &["t"], &vars).ends(1);
    assert_screens!();
}

/// The official Rust image sets `RUSTUP_HOME` and `CARGO_HOME`, and has rustup's proxies in PATH.
#[test]
fn first_example_of_the_docs_passes_with_another_rustup_home() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tasks.md")).unwrap();
    let example = page.split("```toml\n").nth(1).unwrap();
    let project = Project::new(example.split("```").next().unwrap());
    let proxy = "[ -d \"$RUSTUP_HOME\" ] && [ -d \"$CARGO_HOME\" ] || \
                 { echo 'error: rustup could not choose a version of cargo to run' >&2; exit 1; }";
    let build =
        format!("{proxy}\n[ \"$1\" != build ] || {{ mkdir -p target/release; echo > target/release/app; }}");
    let path = with_programs(&project, &[("cargo", &build), ("rustc", proxy)]);
    project.write("src/main.rs", "").write(".gitignore", "target\n").commit("code");
    let home = project.parent_folder().display().to_string();
    let vars = [("PATH", path.as_str()), ("RUSTUP_HOME", &home), ("CARGO_HOME", &home)];
    run(&project, &["ci", "build"], &vars).ends(0);
    // The folders of rustup and cargo are not part of the key, but configuration files are.
    let elsewhere = [("PATH", path.as_str()), ("RUSTUP_HOME", "/"), ("CARGO_HOME", "/")];
    run(&project, &["ci", "build"], &elsewhere).ends(0);
    for file in ["clippy.toml", ".clippy.toml", "rust-toolchain.toml", ".cargo/config.toml"] {
        project.write(file, "x\n");
        run(&project, &["plan", "clippy"], &elsewhere).ends(0).prints(&format!("{file} added"));
        std::fs::remove_file(project.path(file)).unwrap();
    }
    run(&project, &["ci"], &[("PATH", &path), ("RUSTUP_HOME", "/none")]).ends(1);
    assert_screens!();
}

#[test]
fn exit_status_is_explained() {
    let project = Project::new(
        r#"
        [tasks.unknown]
        run = "frobnicate --all"
        [tasks.mode]
        run = "./mode.sh"
        [tasks.mode-array]
        run = ["./mode.sh"]
        [tasks.folder]
        run = "./folder"
        [tasks.crlf]
        run = "./crlf.sh"
        [tasks.crlf-array]
        run = ["./crlf.sh"]
        [tasks.typo]
        run = "./typo.py"
        [tasks.typo-array]
        run = ["./typo.py"]
        [tasks.bash]
        run = "./bash.sh"
        [tasks.bash-array]
        run = ["./bash.sh"]
        [tasks.killed]
        run = "sh -c 'kill -KILL $$'; exit $?"
        [tasks.crashed]
        run = ["sh", "-c", "kill -SEGV $$"]
        [tasks.cwd]
        run = ["true"]
        cwd = "gone"
        [tasks.local]
        run = "eslint ."
        cwd = "web"
        "#,
    );
    let scripts = [
        ("mode.sh", "#!/bin/sh\n", 0o644),
        ("crlf.sh", "#!/bin/sh\r\ntrue\r\n", 0o755),
        ("typo.py", "#!/usr/bin/env pyhton\n", 0o755),
        ("bash.sh", "#!/no/such/bash\n", 0o755),
        ("web/node_modules/.bin/eslint", "#!/bin/sh\n", 0o755),
    ];
    for (file, text, mode) in scripts {
        project.write(file, text).chmod(file, mode);
    }
    std::fs::create_dir_all(project.path("folder")).unwrap();
    for (task, expected) in [
        ("unknown", "hint: command not found: `frobnicate`; install it"),
        ("mode", "hint: ./mode.sh is not executable: chmod +x ./mode.sh"),
        ("mode-array", "mode.sh is not executable; hint: chmod +x "),
        ("folder", "hint: ./folder is a folder, not a program"),
        ("crlf", "hint: ./crlf.sh has CRLF line ends, so `/bin/sh\\r` is looked for"),
        ("crlf-array", "crlf.sh has CRLF line ends, so its interpreter is looked up as `/bin/sh\\r`"),
        (
            "typo",
            "hint: ./typo.py can't be started: its first line names `/usr/bin/env pyhton`, which is missing",
        ),
        ("typo-array", "hint: ./typo.py can't be started: its first line names `/usr/bin/env pyhton`"),
        ("bash", "hint: ./bash.sh can't be started: its first line names `/no/such/bash`, which is missing"),
        ("bash-array", "names the interpreter `/no/such/bash`, which is missing"),
        ("killed", "hint: exit status 137 usually means SIGKILL (signal 9): possibly out of memory"),
        ("crashed", "hint: SIGSEGV: it crashed: invalid memory access"),
        ("cwd", "/gone does not exist"),
        ("local", "hint: command not found: `eslint`; it is in node_modules/.bin"),
    ] {
        run(&project, &[task], &[]).ends(1).says(expected);
    }
}

#[test]
fn misspelt_command_is_suggested() {
    let project = Project::new(
        r#"
        [tasks.unit]
        run = "true"
        [tasks.plnx]
        run = "true"
        "#,
    );
    project.xtask(&["plna", "unit"]).ends(4);
    project.xtask(&["doctro"]).ends(4);
    project.xtask(&["uint"]).ends(4);
    // After `run`, only names of tasks are suggested.
    project.xtask(&["run", "doctro"]).ends(4);
    project.xtask(&["unit", "doctro"]).ends(4);
    assert_screens!();
}

#[test]
fn long_text_is_cut_for_people_and_whole_in_json() {
    use std::fmt::Write as _;
    let long = "x".repeat(140_000);
    let project = Project::new(&format!(
        r#"
        [tasks.t]
        run = "exit 1 # {long}"
        env = {{ A = "{long}" }}
        "#
    ));
    project.write("file", "").commit("first");
    let short = |ran: CommandOutput| {
        for line in ran.out.lines().chain(ran.err.lines()) {
            assert!(line.chars().count() < 2_000, "{}…", line.chars().take(300).collect::<String>());
        }
        ran
    };
    short(project.xtask(&["t"]).ends(1));
    short(project.xtask(&[]).ends(0));
    short(project.xtask(&["plan", "t"]).ends(0));
    let why = short(project.xtask(&["why", "t"]).ends(0));
    assert!(why.out.contains('…'));
    assert!(project.xtask(&["why", "t", "--json"]).ends(0).out.contains(&long));
    short(project.xtask(&["log", "--last"]).ends(0));
    let name = &long[..100_000];
    short(project.xtask(&[name]).ends(4));
    short(project.xtask(&["plan", name]).ends(4));
    short(project.xtask(&["run", "t", name]).ends(4));
    project.write(
        "tasks.toml",
        format!(
            r#"
            [tasks.t]
            run = "true"
            needs = ["{long}"]
            {long} = 1
            "#
        ),
    );
    short(project.xtask(&["t"]).ends(3));
    // Many unknown names.
    let needs: String = (0..10_000).map(|i| format!("\"gone{i}\", ")).collect();
    project.write(
        "tasks.toml",
        format!(
            r#"
            [tasks.t]
            run = "true"
            needs = [{needs}]
            "#
        ),
    );
    let ran = short(project.xtask(&["t"]).ends(3));
    assert!(ran.err.lines().count() < 1_000, "{}", ran.err);
    // A cycle of many tasks.
    let mut tasks = String::new();
    for i in 0..20_000 {
        writeln!(tasks, "[tasks.t{i}]\nneeds = [\"t{}\"]", (i + 1) % 20_000).unwrap();
    }
    project.write("tasks.toml", tasks);
    let ran = short(project.xtask(&["t0"]).ends(3));
    assert!(ran.err.lines().count() < 60, "{}", ran.err);
    assert_screens!();
}

#[test]
fn misspelt_key_is_reported_without_follow_up_errors() {
    let only = |tasks: &str, key: &str| {
        let ran = Project::new(tasks).xtask(&["ci"]).ends(3).says(key);
        assert_eq!(ran.err.matches("error:").count(), 1, "{}", ran.err);
    };
    let ci = "[tasks.ci]\nneeds = [\"unit\"]\n";
    only(&format!("{ci}[task.unit]\nrun = \"true\"\n"), "has no key `task`");
    only(&format!("{ci}[hooks]\npre-push = [\"unit\"]\n[taks.unit]\nrun = \"true\"\n"), "has no key `taks`");
    only(
        "[file]\nrust = [\"src/**\"]\n[tasks.ci]\nrun = \"true\"\ninputs = [\"@rust\"]\n",
        "has no key `file`",
    );
    only("[tool]\nx = \"y\"\n[tasks.ci]\nrun = \"true\"\ntools = [\"x\"]\n", "has no key `tool`");
    only(
        "[service.db]\nrun = \"x\"\n[tasks.ci]\nrun = \"true\"\nservices = [\"db\"]\n",
        "has no key `service`",
    );
    only(
        r#"
        [tasks.ci]
        rnu = "true"
        inputs = ["src/**"]
        "#,
        "has no key `rnu`",
    );
    only("[tasks.ci]\ncommand = \"true\"\n", "has no key `command`");
    only(
        r#"
        [tasks.ci]
        neds = ["x"]
        [tasks.x]
        run = "true"
        "#,
        "has no key `neds`",
    );
    only(
        r#"
        [tasks.ci]
        needs = ["lint"]
        [tasks.x]
        run = "true"
        gruop = "lint"
        "#,
        "has no key `gruop`",
    );
    only(
        r#"
        [tasks.ci]
        run = "echo {{ matrix.a }}"
        matix = { a = ["1"] }
        "#,
        "has no key `matix`",
    );
    only(
        r#"
        [services.db]
        run = "x"
        prot = 1
        [tasks.ci]
        run = "echo {{ services.db.port }}"
        services = ["db"]
        "#,
        "has no key `prot`",
    );
    only(
        r#"
        [tools]
        x = { probe = "y" }
        [tasks.ci]
        run = "true"
        "#,
        "tool `x` has no key `probe`",
    );
    // The misspelt key is not the cause of the unknown name, so both are reported.
    Project::new(
        r#"
        [tasks.ci]
        run = "true"
        timeot = "1m"
        needs = ["gone"]
        "#,
    )
    .xtask(&["ci"])
    .ends(3);
    assert_screens!();
}

#[test]
fn gated_task_that_lacks_ignored_files_gets_the_line_to_add() {
    let project = Project::new(
        r#"
        [tasks.build]
        run = "mkdir -p dist && touch dist/app.js"
        outputs = ["dist/**"]
        [tasks.lint]
        run = "node_modules/.bin/lint"
        [tasks.config]
        run = "cat app/.env"
        [tasks.start]
        run = "cat dist/app.js"
        [tasks.new]
        run = "cat src/new.txt"
        [hooks]
        pre-push = ["lint", "config", "start", "new"]
        "#,
    );
    project.write(".gitignore", "node_modules/\n.env\ndist/\n").commit("ignore");
    project.write("node_modules/.bin/lint", "#!/bin/sh\n").chmod("node_modules/.bin/lint", 0o755);
    project.write("web/node_modules/a/index.js", "").write("api/node_modules/b/index.js", "");
    project.write("app/.env", "A=1\n").write("dist/app.js", "").write("src/new.txt", "");
    for task in ["lint", "config", "start", "new"] {
        project.xtask(&[task]).ends(0);
        let hooks = format!("[hooks]\npre-push = [\"{task}\"]\n");
        let tasks = project.read("tasks.toml");
        let before = tasks.split("[hooks]").next().unwrap();
        project.write("tasks.toml", format!("{before}{hooks}"));
        project.git(&["commit", "-q", "-m", task, "tasks.toml"]);
        project.xtask(&["cache", "clear"]).ends(0);
        project.xtask(&["gate"]).ends(1);
    }
    assert_screens!();
}
