//! Tests of declarations in tasks.toml that have no effect: inputs that are not files, patterns that match
//! nothing, exclusions that exclude nothing, and unused definitions.

use crate::project::{CommandOutput, Project};

/// Creates a repository with files of all kinds that patterns can miss.
fn project(tasks: &str) -> Project {
    let project = Project::new(tasks);
    project.write(".gitignore", ".env\n/target\n").write(".env", "A=1\n").write("target/out", "x\n");
    for path in [
        "src/a.rs",
        "src/b.ts",
        "docs/a.md",
        "app/[id]/page.tsx",
        "app/(group)/page.tsx",
        "web/ui/package.json",
        "real/data.txt",
        "caf\u{e9}/menu.txt",
    ] {
        project.write(path, "x\n");
    }
    std::os::unix::fs::symlink("real", project.path("link")).unwrap();
    project.commit("files");
    project
}

/// Returns a tasks.toml whose task `a` has these inputs, written as TOML.
fn tasks_with_inputs(inputs: &str) -> String {
    format!(
        r"
        [tasks.a]
        run = 'true'
        inputs = [{inputs}]
        "
    )
}

/// Returns the lines of standard error that contain warnings.
fn warnings(ran: &CommandOutput) -> String {
    ran.err.lines().filter(|line| line.contains("warning:")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn pattern_without_matches_is_a_warning_with_its_likely_reason() {
    let project = project("[tasks.a]\nrun = 'true'\n");
    let root = project.root();
    let root = root.to_str().unwrap();
    let mut all_warnings = String::new();
    for pattern in [
        "'scr/**'",
        "'scr/*.rs'",
        "'src/*.py'",
        "'src/c.rs'",
        "'Src/**'",
        "'a.sr'",
        "'Makefile'",
        "'/package.json'",
        "'ui/package.json'",
        "'~/x'",
        "'/etc/x'",
        "'ROOT/src/**'",
        "'C:\\src'",
        r"'src\*.ts'",
        r"'src\a.rs'",
        "'.env'",
        "'target/**'",
        "'src/a.rs,docs/a.md'",
        "'src/a.rs docs/a.md'",
        "'**/*.rs,**/*.ts'",
        "'src/** '",
        "'**/*.rs '",
        "'app/[id]/**'",
        "'app/[id]/page.tsx'",
        "'src/@(a|b).rs'",
        "'link/data.txt'",
        "'link/**'",
        "'link'",
        "'$HOME/x'",
        "'cafe\u{301}/**'",
        "'!scr/**'",
        "'!link/data.txt'",
    ] {
        let pattern = pattern.replace("ROOT", root);
        project.write("tasks.toml", tasks_with_inputs(&format!("'docs/**', {pattern}")));
        let ran = project.xtask(&["plan", "a"]).ends(0);
        let lines = warnings(&ran);
        assert_eq!(lines.lines().count(), 1, "{pattern}: {}", ran.err);
        all_warnings.push_str(&lines.replace("warning: tasks.toml:3: ", "").replace(root, "ROOT"));
    }
    insta::assert_snapshot!(all_warnings);
}

#[test]
fn pattern_that_matches_or_is_optional_has_no_warning() {
    let project = project("[tasks.a]\nrun = 'true'\n");
    for pattern in [
        "'src'",
        "'src/'",
        "'./src/**'",
        "'src//a.rs'",
        "'{src,lib}/**'",
        r"'app/\[id\]/page.tsx'",
        "'app/(group)/**'",
        "'link', 'real/**'",
        "'**/*.py'",
        "'*.py'",
        "'**/clippy.toml'",
        "'?clippy.toml'",
        "'?lib/**'",
        "'?.env'",
        "'!target/**'",
        "'!docs/*.txt'",
        "'!**/*.txt'",
        "'!?lib/**'",
        "'**', '!docs/**'",
    ] {
        project.write("tasks.toml", tasks_with_inputs(&format!("'docs/**', {pattern}")));
        let ran = project.xtask(&["plan", "a"]).ends(0);
        assert_eq!(warnings(&ran), "", "{pattern}");
    }
}

#[test]
fn all_missing_input_files_are_refused_at_once() {
    let project = project(
        r#"
        [files]
        py = ["**/*.py"]
        [tasks.a]
        run = "echo a >> ran"
        inputs = ["scr/**"]
        [tasks.b]
        run = "echo b >> ran"
        inputs = ["@py"]
        [tasks.c]
        run = "echo c >> ran"
        inputs = ["src/**", "!src/**"]
        [tasks.d]
        run = "echo d >> ran"
        inputs = ["src/gen.rs", "?other"]
        [tasks.ok]
        run = "echo ok >> ran"
        inputs = ["src/**"]
        [tasks.none]
        run = "echo none >> ran"
        inputs = []
        [tasks.maybe]
        run = "echo maybe >> ran"
        inputs = ["?missing/**"]
        [tasks.ci]
        needs = ["a", "b", "c", "d", "ok", "none", "maybe"]
        "#,
    );
    let ran = project.xtask(&["ci"]).ends(3);
    insta::assert_snapshot!(ran.err);
    assert!(project.lines("ran").is_empty());
    for command in ["plan", "why"] {
        project.xtask(&[command, "a"]).ends(3).says("the inputs of `a` match no file");
    }
    project.xtask(&["doctor"]).ends(1).prints("the inputs of `a` match no file").prints("did you mean");
    // Tasks without an error still run.
    project.xtask(&["run", "ok", "none", "maybe"]).ends(0);
}

#[test]
fn gate_refuses_a_tree_without_an_input_of_its_task() {
    let project = project(
        r"
        [tasks.a]
        run = 'true'
        inputs = ['lib/**']
        [hooks]
        pre-push = ['a']
        ",
    );
    project.xtask(&["gate", "HEAD"]).ends(3);
    project.write("lib/a", "x\n").commit("lib");
    project.xtask(&["gate", "HEAD"]).ends(0);
    project.xtask(&["gate", "HEAD"]).ends(0);
    // The file is missing in the work tree but still in the commit.
    std::fs::remove_file(project.path("lib/a")).unwrap();
    project.xtask(&["gate", "HEAD"]).ends(0);
    project.xtask(&["run", "a"]).ends(3);
    project.xtask(&["run", "--at", "HEAD~1", "a"]).ends(3);
    project.xtask(&["run", "--at", "HEAD", "a"]).ends(0);
    assert_screens!();
}

#[test]
fn task_without_its_input_is_selected_by_affected() {
    let project = project(&tasks_with_inputs("'scr/**'"));
    project.git(&["branch", "base"]);
    project.xtask(&["run", "--affected=base", "a"]).ends(3);
    assert_screens!();
}

#[test]
fn inputs_of_a_service_are_no_inputs_of_its_task() {
    let tasks = r#"
        [services.s]
        run = "sleep 100"
        inputs = ["docs/**"]
        [tasks.a]
        run = "true"
        inputs = ["docs/**", "!docs/*.md"]
        services = ["s"]
        "#;
    let run = project(tasks).xtask(&["plan", "a"]).ends(3);
    run.says("the inputs of `a` match no file").says("all its matches are excluded");
}

#[test]
fn outputs_of_a_needed_task_can_be_missing_from_the_tree() {
    let text = r"
        [tasks.build]
        run = 'mkdir -p target && date > target/app'
        inputs = ['src/**']
        outputs = ['target/app']
        [tasks.test]
        run = 'cat target/app'
        inputs = ['target/**']
        needs = ['build']
        ";
    let project = project(text);
    let ran = project.xtask(&["run", "test"]).ends(0);
    assert_eq!(warnings(&ran), "");
    // Another task with the same pattern is still reported, because it does not need the task that writes the
    // file.
    project.write("tasks.toml", format!("{text}[tasks.other]\nrun = 'true'\ninputs = ['target/**']\n"));
    project.xtask(&["plan", "test", "other"]).ends(3).says("the inputs of `other` match no file");
    project.write(
        "tasks.toml",
        text.replace("needs = ['build']\n", "").replace("'target/**'", "'target/**', 'src/**'"),
    );
    let ran = project.xtask(&["run", "test"]).ends(0);
    insta::assert_snapshot!(warnings(&ran));
}

#[test]
fn own_outputs_are_not_inputs() {
    let project = project(
        r"
        [tasks.a]
        run = 'true'
        inputs = ['docs/**']
        outputs = ['docs/**']
        ",
    );
    project.xtask(&["run", "a"]).ends(3);
    assert_screens!();
}

#[test]
fn exclusion_without_effect_is_a_warning() {
    let project = project("[tasks.a]\nrun = 'true'\n");
    let mut all_warnings = String::new();
    for inputs in [
        "'!src/b.ts', 'src/**'",
        "'src/**', '!src/b.ts', 'src/*.ts'",
        "'src/**', '!docs/**'",
        "'src/**', '!doc/**'",
    ] {
        project.write("tasks.toml", tasks_with_inputs(inputs));
        let ran = project.xtask(&["plan", "a"]).ends(0);
        assert_eq!(warnings(&ran).lines().count(), 1, "{inputs}: {}", ran.err);
        all_warnings.push_str(&warnings(&ran));
    }
    project.write(
        "tasks.toml",
        r"
        [tasks.a]
        run = 'true'
        outputs = ['!dist/x', 'dist/**']
        ",
    );
    all_warnings.push_str(&warnings(&project.xtask(&["plan", "a"]).ends(0)));
    project.write(
        "tasks.toml",
        r"
        [tasks.a]
        run = 'true'
        outputs = ['dist/**', '!dits/x']
        ",
    );
    all_warnings.push_str(&warnings(&project.xtask(&["plan", "a"]).ends(0)));
    insta::assert_snapshot!(all_warnings);
    for inputs in ["'!docs/**'", "'src/**', '!src/b.ts'", "'**', '!docs/**', 'docs/a.md'"] {
        project.write("docs/b.md", "x\n");
        project.write("tasks.toml", tasks_with_inputs(inputs));
        let ran = project.xtask(&["plan", "a"]).ends(0);
        assert_eq!(warnings(&ran), "", "{inputs}");
    }
}

#[test]
fn warning_is_in_each_run_and_its_record() {
    let project = project(&tasks_with_inputs("'src/**', 'scr/**'"));
    let warning =
        "warning: tasks.toml:3: \"scr/**\" matches no file: scr does not exist; did you mean \"src/**\"?";
    project.xtask(&["run", "a"]).ends(0).says(warning);
    // It is also reported if all tasks are hits.
    project.xtask(&["run", "a"]).ends(0).says(warning);
    project.xtask(&["log", "--last"]).prints(warning);
    project.xtask(&["why", "a"]).ends(0).says(warning);
    project.xtask(&["doctor"]);
    let events = project.xtask(&["run", "a", "--format", "json"]).ends(0).events();
    let event = events.iter().find(|event| event["event"] == "warnings").unwrap();
    assert_eq!(event["warnings"][0]["problem"], "no-file");
    assert_eq!(event["warnings"][0]["declared"], "\"scr/**\"");
    assert_eq!(event["warnings"][0]["line"], 3);
    assert_eq!(event["warnings"][0]["reason"]["path"], "scr");
    let plan = project.xtask(&["plan", "a", "--json"]).ends(0).json();
    assert_eq!(plan["warnings"][0]["hint"], "did you mean \"src/**\"?");
    let ran = project.xtask(&["run", "a", "--ci", "github"]).ends(0);
    assert!(format!("{}{}", ran.out, ran.err).contains("::warning file=tasks.toml,line=3,"), "{}", ran.err);
    assert_screens!();
}

#[test]
fn many_warnings_are_cut() {
    let mut text = String::new();
    for i in 0..30 {
        text.push_str(&format!(
            "[tasks.t{i}]\nrun = 'true'\ngroup = 'all'\ninputs = ['src/**', 'x{i}/**']\n"
        ));
    }
    let project = project(&text);
    let ran = project.xtask(&["run", "all"]).ends(0);
    assert_eq!(warnings(&ran).lines().count(), 11);
    assert_eq!(project.xtask(&["doctor"]).out.matches("matches no file").count(), 30);
    assert_screens!();
}

#[test]
fn pattern_shared_by_many_tasks_is_one_warning() {
    let project = project(
        r"
        [files]
        code = ['src/**', 'scr/**']
        [defaults]
        inputs = ['@code', 'dosc/**']
        [tasks.a]
        run = 'true'
        group = 'all'
        [tasks.b]
        run = 'true'
        group = 'all'
        ",
    );
    let ran = project.xtask(&["run", "all"]).ends(0);
    insta::assert_snapshot!(warnings(&ran));
}

#[test]
fn unused_definition_is_a_warning() {
    let project = project(
        r"
        [files]
        rust = ['**/*.rs']
        inner = ['**/*.ts']
        outer = ['@inner']
        [tools]
        cargo = 'echo 1'
        [services.db]
        run = 'sleep 100'
        [tasks.a]
        run = 'true'
        inputs = ['@outer']
        ",
    );
    let ran = project.xtask(&["plan", "a"]).ends(0);
    insta::assert_snapshot!(warnings(&ran));
    project.xtask(&["doctor"]).prints("@rust is an unused set");
}

#[test]
fn included_project_reads_paths_from_its_own_folder() {
    let project = project("include = ['web/ui/tasks.toml']\n");
    project.write(
        "web/ui/tasks.toml",
        tasks_with_inputs("'package.json', 'web/ui/package.json', '../../src/**', '../lib/**'"),
    );
    project.write("web/ui/src/x.ts", "x\n");
    let ran = project.xtask(&["plan", "ui:a"]).ends(0);
    insta::assert_snapshot!(warnings(&ran));
}

#[test]
fn pattern_into_a_submodule_has_no_warning() {
    let project = project(&tasks_with_inputs("'lib/sub/src/**'"));
    let other = project.parent_folder().join("other");
    std::fs::create_dir(&other).unwrap();
    let other = other.to_str().unwrap();
    project.git(&["init", "-q", other]);
    project.git(&["-C", other, "commit", "-q", "--allow-empty", "-m", "x"]);
    project.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other, "lib/sub"]);
    let ran = project.xtask(&["plan", "a"]).ends(0);
    assert_eq!(warnings(&ran), "");
}

#[test]
fn leading_question_mark_makes_a_pattern_optional() {
    let project = project(
        r"
        [tasks.a]
        run = 'true'
        inputs = ['?@x', '?!y', '?']
        [files]
        x = []
        ",
    );
    insta::assert_snapshot!(project.xtask(&["run", "a"]).ends(3).err);
    project.write("?odd", "x\n").write("x.rs", "x\n");
    project.write("tasks.toml", tasks_with_inputs(r"'\?odd'"));
    project.xtask(&["run", "a"]).ends(0);
    project.write("?odd", "y\n");
    project.xtask(&["run", "a"]).ends(0).says("?odd changed");
    project.write("tasks.toml", tasks_with_inputs("'./?.rs'"));
    project.xtask(&["run", "a"]).ends(0);
    project.write("x.rs", "y\n");
    project.xtask(&["run", "a"]).ends(0).says("x.rs changed");
    // A new file that matches an optional input is a change.
    project.write("tasks.toml", tasks_with_inputs("'src/**', '?later.toml'"));
    project.xtask(&["run", "a"]).ends(0);
    project.write("later.toml", "y\n");
    project.xtask(&["run", "a"]).ends(0).says("later.toml added");
}

#[test]
fn missing_optional_output_does_not_prevent_storing() {
    let text = |outputs: &str| {
        format!(
            r"
            [tasks.a]
            run = 'mkdir -p target && echo x > target/a'
            inputs = ['src/**']
            outputs = [{outputs}]
            "
        )
    };
    let project = project(&text("'target/a', 'target/b'"));
    project.xtask(&["run", "a"]).ends(0);
    project.write("tasks.toml", text("'target/a', '?target/b'"));
    project.xtask(&["run", "a"]).ends(0);
    project.xtask(&["run", "a"]).ends(0);
    assert_screens!();
}

#[test]
fn report_cannot_be_optional() {
    let project = project(
        r"
        [tasks.a]
        run = 'true'
        reports = { junit = '?out/junit.xml' }
        ",
    );
    project.xtask(&["run", "a"]).ends(3);
    assert_screens!();
}

#[test]
fn include_and_worktree_accept_optional_paths() {
    let project = project(
        "include = ['?services/*/tasks.toml']\n[worktree]\nlink = ['?node_modules', 'venv', 'x/*/y']\n[tasks.a]\nrun = 'true'\n[hooks]\npre-push = ['a']\n",
    );
    project
        .xtask(&["gate", "HEAD", "--cold"])
        .ends(0)
        .says("x/*/y of `[worktree]` matches nothing that git ignores")
        .says("venv of `[worktree]` is not in the work tree")
        .does_not_say("node_modules");
    let doctor = project.xtask(&["doctor"]);
    let all_warnings: String = doctor
        .out
        .lines()
        .skip_while(|line| !line.contains("[worktree]"))
        .take(4)
        .map(|line| format!("{line}\n"))
        .collect();
    insta::assert_snapshot!(all_warnings);
}

#[test]
fn file_left_out_by_a_sparse_checkout_is_not_missing() {
    let project = project(&tasks_with_inputs("'src/**', 'docs/a.md'"));
    project.git(&["sparse-checkout", "set", "--no-cone", "/src/", "/tasks.toml"]);
    assert!(!project.path("docs/a.md").exists());
    let ran = project.xtask(&["plan", "a"]).ends(0);
    assert_eq!(warnings(&ran), "");
    project.write("tasks.toml", tasks_with_inputs("'docs/**'"));
    project.xtask(&["plan", "a"]).ends(0);
    project.write("tasks.toml", tasks_with_inputs("'src/**', 'dosc/a.md'"));
    project.xtask(&["plan", "a"]).ends(0);
    assert_screens!();
}

#[test]
fn unmatched_suppression_is_a_warning_on_a_hit_too() {
    let report = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"s"}},"results":[{"ruleId":"R1","level":"note","message":{"text":"x"}}]}]}"#;
    let project = Project::new(&format!(
        "[tasks.scan]\nrun = \"echo '{}' > out.sarif\"\nreports = {{ sarif = 'out.sarif' }}\n[gates.quality]\nfindings = {{ high = 0 }}\nsuppress = [{{ rule = 'R2', reason = 'x', expires = 2999-01-01 }}]\n",
        report.replace('"', "\\\"")
    ));
    project.write(".gitignore", "out.sarif\n").commit("x");
    project.xtask(&["run", "quality"]).ends(0);
    let warning = "warning: tasks.toml:6: the suppression of R2 matches nothing";
    project.xtask(&["run", "quality"]).ends(0).says(warning);
    let ran = project.xtask(&["run", "quality", "--ci", "github"]).ends(0);
    assert!(format!("{}{}", ran.out, ran.err).contains("::warning file=tasks.toml,line=6,"), "{}", ran.err);
    assert_screens!();
}

#[test]
fn watch_waits_until_inputs_exist() {
    let project = project(&tasks_with_inputs("'lib/**'"));
    let mut child = project.start(&["watch", "a"]);
    let err = || std::fs::read_to_string(project.parent_folder().join("err")).unwrap_or_default();
    crate::project::wait_for("the error is printed", || err().contains("the inputs of `a` match no file"));
    crate::project::wait_for("the watch waits", || err().contains("waiting for a fix"));
    project.write("lib/a", "x\n");
    crate::project::wait_for("the task passes", || err().contains("passed: 1 ran"));
    crate::project::signal("INT", i32::try_from(child.id()).unwrap());
    child.wait().unwrap();
}

#[test]
fn setup_of_private_worktrees_is_checked() {
    let text = r"
        [files]
        all = ['**']
        [tools]
        sh = 'echo 1'
        [tasks.a]
        run = 'true'
        inputs = ['@all']
        tools = ['sh']
        [hooks]
        pre-push = ['a']
        [worktree.setup]
        run = 'true'
        inputs = ['package-lock.json']
        ";
    let project = project(text);
    project.xtask(&["gate", "HEAD", "--cold"]).ends(3);
    project.xtask(&["doctor"]).ends(1);
    project.write("package-lock.json", "x\n").commit("lock");
    let ran = project.xtask(&["gate", "HEAD", "--cold"]).ends(0);
    assert_eq!(warnings(&ran), "");
    assert_screens!();
}

#[test]
fn example_tasks_file_has_no_warnings() {
    let project = Project::without_git("");
    std::fs::remove_file(project.path("tasks.toml")).unwrap();
    project.git(&["init", "-q"]);
    project
        .write("package.json", r#"{"scripts":{"test":"true"}}"#)
        .write("pyproject.toml", "[tool.nothing-that-runs]\n");
    project.write("a.py", "x = 1\n").write("go.mod", "module x\n").write("a.go", "package x\n").commit("x");
    project.xtask(&["init", "--no-run"]).ends(0);
    let ran = project.xtask(&["doctor"]);
    assert!(!ran.out.contains("no effect"), "{}\n{}", ran.out, project.read("tasks.toml"));
}
