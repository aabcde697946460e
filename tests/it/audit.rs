//! Tests of `xtask audit`, which runs tasks in sandboxes under the tracer and reports undeclared accesses.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::project::{CommandOutput, Project, processes, signal, wait_for};

/// Creates a repository with additional files that no task declares.
fn project(tasks: &str) -> Project {
    let project = Project::without_git(tasks);
    project
        .write("undeclared.txt", "undeclared\n")
        .write("sub/in.txt", "in\n")
        .write("docs/a.md", "a\n")
        .write(".gitignore", ".env\nnode_modules\ndist\n")
        .write(".env", "secret\n")
        .write("node_modules/x/index.js", "x\n");
    project.git(&["init", "-q", "-b", "main"]);
    project.commit("first");
    project
}

/// Returns a task that runs this command in `sub` and declares one file of it as an input.
fn task(name: &str, run: &str) -> String {
    format!(
        r"
        [tasks.{name}]
        run = '''{run}'''
        cwd = 'sub'
        inputs = ['sub/in.txt']
        "
    )
}

/// Returns the verdict and the findings of the first task, as `path is how pattern`.
fn findings(ran: &CommandOutput) -> (String, Vec<String>) {
    let json = ran.json();
    let task = &json["tasks"][0];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let found = task["undeclared"].as_array().unwrap().iter().map(|finding| {
        let parts = ["path", "kind", "access", "pattern"].map(|field| text(&finding[field]));
        parts.join(" ")
    });
    (text(&task["verdict"]), found.collect())
}

#[track_caller]
fn assert_nothing_left(project: &Project) {
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(project.sandboxes(), 0);
}

/// Compiles a C program into the repository. Returns `false` if the compiler does not support these options.
fn compile(project: &Project, place: &Path, text: &str, options: &[&str]) -> bool {
    let source = project.parent_folder().join("program.c");
    std::fs::write(&source, text).unwrap();
    Command::new("cc").arg("-o").arg(place).arg(source).args(options).output().unwrap().status.success()
}

#[test]
fn undeclared_read_is_found() {
    let project = project(&task("t", "cat ../undeclared.txt"));
    project.xtask(&["t"]).ends(0);
    project.xtask(&["audit", "t"]).ends(1);
    assert_nothing_left(&project);
    // After the suggested change, the task passes.
    project.write("tasks.toml", project.read("tasks.toml").replace("in.txt'", "in.txt', \"undeclared.txt\""));
    project.commit("declared");
    let ran = project.xtask(&["audit", "t"]).ends(0);
    assert!(ran.out.contains("1 declared input was never opened") && ran.out.contains("sub/in.txt"));
    assert_screens!();
}

#[test]
fn optional_undeclared_read_is_found() {
    let run = "cat ../undeclared.txt ../docs/none 2>/dev/null || true; test -d ../docs || cat in.txt";
    let project = project(&task("t", run));
    let ran = project.xtask(&["audit", "t", "--json"]).ends(1);
    let expected = ["docs tree looked-for docs/**", "undeclared.txt tree looked-for undeclared.txt"];
    assert_eq!(findings(&ran), ("undeclared".to_owned(), expected.map(str::to_owned).to_vec()));
    assert_nothing_left(&project);
}

#[test]
fn absolute_path_into_the_work_tree_is_found() {
    let project = project("");
    let root = project.root();
    let run =
        format!("cat {root}/undeclared.txt; cat {root}/sub/in.txt; ls {root}/docs", root = root.display());
    project.write("tasks.toml", task("t", &run)).commit("task");
    let ran = project.xtask(&["audit", "t", "--json"]).ends(1);
    let expected = ["docs tree listed docs/**", "undeclared.txt tree read undeclared.txt"];
    assert_eq!(findings(&ran), ("undeclared".to_owned(), expected.map(str::to_owned).to_vec()));
}

#[test]
fn rename_and_removal_in_the_work_tree_are_found() {
    for (run, expected) in [
        ("ln ROOT/undeclared.txt got && cat got", "undeclared.txt tree read undeclared.txt"),
        ("cp -l ROOT/undeclared.txt got && cat got", "undeclared.txt tree read undeclared.txt"),
        ("mv ROOT/undeclared.txt got && cat got", "undeclared.txt tree read undeclared.txt"),
        ("mv ROOT/docs got && cat got/a.md", "docs tree listed docs/**"),
        ("rm -f ROOT/undeclared.txt", "undeclared.txt tree written undeclared.txt"),
    ] {
        let project = project("");
        let run = run.replace("ROOT", &project.root().display().to_string());
        project.write(
            "tasks.toml",
            format!(
                r"
                [tasks.t]
                run = '{run}'
                inputs = ['sub/in.txt']
                "
            ),
        );
        project.commit("task");
        let ran = project.xtask(&["audit", "t", "--json"]).ends(1);
        assert_eq!(findings(&ran), ("undeclared".to_owned(), vec![expected.to_owned()]), "{run}");
    }
}

#[test]
fn undeclared_read_of_a_statically_linked_program_is_found() {
    let project = project(&task("t", "../../reads || true"));
    let text = "#include <fcntl.h>\nint main() { return open(\"../undeclared.txt\", O_RDONLY) < 0; }";
    let program = project.parent_folder().join("reads");
    if !compile(&project, &program, text, &["-static"]) {
        return;
    }
    project.write("tasks.toml", task("t", &format!("{} || true", program.display()))).commit("task");
    let ran = project.xtask(&["audit", "t", "--json"]).ends(1);
    let expected = ["undeclared.txt tree looked-for undeclared.txt".to_owned()];
    assert_eq!(findings(&ran), ("undeclared".to_owned(), expected.to_vec()));
}

#[test]
fn ignored_files_are_found_and_cannot_be_declared() {
    let project = project("[tasks.t]\nrun = 'cat .env node_modules/x/index.js undeclared.txt || true'\n");
    project.xtask(&["audit", "t"]).ends(1);
    let ran = project.xtask(&["audit", "t", "--json"]).ends(1);
    let expected = [".env ignored looked-for -", "node_modules ignored looked-for -"];
    assert_eq!(findings(&ran), ("undeclared".to_owned(), expected.map(str::to_owned).to_vec()));
    assert_screens!();
}

#[test]
fn sandbox_has_needed_outputs_and_no_others() {
    let project = project(
        r"
        [tasks.gen]
        run = 'mkdir -p dist; echo made > dist/a; ln -sf a dist/l'
        outputs = ['dist/**']
        inputs = []
        [tasks.good]
        run = 'grep made dist/l'
        needs = ['gen']
        inputs = []
        [tasks.bad]
        run = 'cat dist/a || true'
        inputs = []
        [tasks.all]
        needs = ['good', 'bad']
        ",
    );
    project
        .xtask(&["audit", "good"])
        .ends(0)
        .says("first the dependencies of the audited tasks")
        .prints("good: clean");
    assert_eq!(project.read("dist/a"), "made\n");
    // An audit of an aggregate audits its tasks one by one.
    let ran = project.xtask(&["audit", "all"]).ends(1);
    ran.prints("good: clean")
        .prints("bad: undeclared: 1 finding")
        .prints("`gen` writes it: needs = [..., \"gen\"]")
        .prints("2 tasks: 1 clean, 1 undeclared");
}

#[test]
fn audit_stores_nothing_and_restores_nothing() {
    let project = project(
        r"
        [tasks.t]
        run = 'echo ran; mkdir -p dist; echo new > dist/a'
        outputs = ['dist/**']
        inputs = []
        finally = 'ls dist >&2'
        ",
    );
    project.write("dist/a", "old\n");
    project.xtask(&["audit", "t"]).ends(0);
    assert_eq!(project.read("dist/a"), "old\n");
    project.xtask(&["plan", "t"]).ends(0);
    assert_nothing_left(&project);
    assert_screens!();
}

#[test]
fn task_that_runs_git_finds_no_repository() {
    let project = project(&task("t", "git rev-parse HEAD || true"));
    project.xtask(&["audit", "t"]).ends(0).does_not_say(&project.git(&["rev-parse", "HEAD"]));
    assert_screens!();
}

#[test]
fn partial_trace_is_never_clean() {
    let project = project("");
    let text = "#include <sys/ptrace.h>\nint main() { ptrace(PTRACE_TRACEME, 0, 0, 0); return 0; }";
    let program = project.parent_folder().join("traces");
    assert!(compile(&project, &program, text, &[]));
    let lines = format!("{}; cat ../undeclared.txt 2>&- || true", program.display());
    let tasks = task("t", &program.display().to_string()) + &task("both", &lines);
    project.write("tasks.toml", tasks).commit("task");
    project.xtask(&["audit", "t"]).ends(0);
    let ran = project.xtask(&["audit", "t", "--json"]).ends(0);
    assert_eq!(findings(&ran), ("partial".to_owned(), Vec::new()));
    assert_eq!((&ran.json()["clean"], &ran.json()["complete"]), (&Value::from(false), &Value::from(false)));
    let ran = project.xtask(&["audit", "both", "--json"]).ends(1);
    assert_eq!(findings(&ran).0, "undeclared");
    assert_eq!(ran.json()["complete"], false);
    assert_screens!();
}

#[test]
fn json_of_an_audit_has_its_fields() {
    let project = project(&task("t", "cat in.txt"));
    let json = project.xtask(&["audit", "t", "--json"]).ends(0).json();
    assert_eq!((&json["version"], &json["clean"]), (&Value::from(2), &Value::from(true)));
    let task = json["tasks"][0].as_object().unwrap();
    let fields: Vec<&str> = task.keys().map(String::as_str).collect();
    let expected = [
        "absent",
        "asks_git",
        "complete",
        "doubts",
        "inputs",
        "log",
        "status",
        "task",
        "undeclared",
        "unopened",
        "verdict",
    ];
    assert_eq!(fields, expected);
    assert_eq!((&task["log"], &task["inputs"]), (&Value::from("in\n"), &Value::from(1)));
}

#[test]
fn task_that_cannot_be_audited_is_reported() {
    let project = project(&task("t", "true"));
    project.xtask(&["audit", "tt"]).ends(4);
    project.xtask(&["audit"]).ends(2);
    let bare = Project::without_git("[tasks.t]\nrun = 'true'\n");
    bare.xtask(&["audit", "t"]).ends(5);
    assert_screens!();
}

#[test]
fn failed_need_is_reported_and_nothing_is_audited() {
    let project = project(
        r"
        [tasks.gen]
        run = 'exit 3'
        [tasks.t]
        run = 'true'
        needs = ['gen']
        ",
    );
    let ran = project.xtask(&["audit", "t"]).ends(1);
    assert_eq!(ran.out, "");
    assert_screens!();
}

#[test]
fn interrupted_audit_leaves_nothing() {
    let project = project(&task("t", "touch ../begun; sleep 61.0707 & wait"));
    let mut child = project.start(&["audit", "t"]);
    wait_for("the task runs", || !processes("sleep\u{0}61.0707").is_empty());
    signal("INT", i32::try_from(child.id()).unwrap());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(processes("61.0707"), Vec::<i32>::new());
    assert_nothing_left(&project);
}

#[test]
fn submodule_is_in_the_sandbox_as_checked_out() {
    let library = Project::without_git("");
    library.write("lib.txt", "lib\n").git(&["init", "-q", "-b", "main"]);
    library.commit("first");
    let project = project(
        r"
        [tasks.good]
        run = 'cat lib/lib.txt'
        inputs = ['lib']
        [tasks.bad]
        run = 'cat lib/lib.txt || true'
        inputs = []
        ",
    );
    let from = library.root();
    project.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        from.to_str().unwrap(),
        "lib",
    ]);
    project.commit("submodule");
    project.write("lib/new.txt", "new\n");
    project.xtask(&["audit", "good"]).ends(0);
    let ran = project.xtask(&["audit", "bad", "--json"]).ends(1);
    assert_eq!(findings(&ran).1, ["lib tree looked-for lib/**"]);
    assert_screens!();
}

#[test]
fn missing_configuration_that_a_task_looked_for_is_reported() {
    let looks = "for f in clippy.toml .clippy.toml; do cat $f ../$f 2>/dev/null || true; done; cat in.txt";
    let project = project(&task("t", looks));
    project.xtask(&["audit", "t"]).ends(0);
    let json = project.xtask(&["audit", "t", "--json"]).ends(0).json();
    assert_eq!((&json["clean"], &json["tasks"][0]["verdict"]), (&Value::from(false), &Value::from("absent")));
    assert_eq!(json["tasks"][0]["absent"][1]["pattern"], "**/clippy.toml");
    // After the suggested change, the task passes.
    let declared = project
        .read("tasks.toml")
        .replace("['sub/in.txt'", "['sub/in.txt', \"**/.clippy.toml\", \"**/clippy.toml\"");
    project.write("tasks.toml", declared).commit("declared");
    project.xtask(&["audit", "t"]).ends(0);
    project.xtask(&["t"]).ends(0);
    project.write("clippy.toml", "x\n");
    project.xtask(&["plan", "t"]).ends(0);
    assert_screens!();
}

#[test]
fn task_that_reads_the_whole_tree_has_no_undeclared_reads() {
    let project = project(
        "[tasks.t]\nrun = 'cat ruff.toml docs/package.json node_modules/x/package.json 2>/dev/null || true'\n",
    );
    let json = project.xtask(&["audit", "t", "--json"]).json();
    assert_eq!(json["tasks"][0]["absent"], Value::from(Vec::<Value>::new()));
}
