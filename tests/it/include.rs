//! `include`: several tasks.toml files in one repository.

use crate::project::Project;

const ROOT: &str = "include = ['services/*/tasks.toml']\n[tools]\nshell = 'echo sh 1'\n[tasks.ci]\nneeds = [':test', 'lint']\n[tasks.fmt]\ngroup = 'lint'\nrun = 'echo fmt >> ran'\ninputs = ['?/*.rs']\n[tasks.codegen]\nrun = 'echo codegen >> ran'\ninputs = ['?schema']\n[hooks]\npre-push = ['ci']\n";

const API: &str = r"
    [files]
    sources = ['*.rs']
    [tasks.test]
    run = 'cat a.rs > /dev/null; echo api:test >> ../../ran'
    needs = ['build', 'codegen']
    inputs = ['@sources']
    tools = ['shell']
    [tasks.build]
    run = 'echo api:build >> ../../ran'
    inputs = ['@sources']
    [tasks.clippy]
    group = 'lint'
    run = 'echo api:clippy >> ../../ran'
    inputs = ['@sources']
    ";

const WEB: &str = r"
    [tasks.test]
    run = 'echo web:test >> ../../ran'
    inputs = ['*.ts']
    ";

fn project() -> Project {
    let project = Project::new(ROOT);
    project.write("services/api/tasks.toml", API).write("services/api/a.rs", "a\n");
    project.write("services/web/tasks.toml", WEB).write("services/web/a.ts", "a\n");
    project.write(".gitignore", "ran\nservices/old\n").write("services/old/tasks.toml", "broken");
    project.commit("services");
    project
}

fn ran(project: &Project) -> Vec<String> {
    let mut lines = project.lines("ran");
    lines.sort();
    let _ = std::fs::remove_file(project.path("ran"));
    lines
}

#[test]
fn tasks_of_all_files_are_one_graph() {
    let project = project();
    let all = ["api:build", "api:clippy", "api:test", "codegen", "fmt", "web:test"];
    project.xtask(&["ci"]).ends(0);
    assert_eq!(ran(&project), all);
    project.write("services/api/a.rs", "b\n");
    project.xtask(&["ci"]).ends(0);
    assert_eq!(ran(&project), ["api:build", "api:clippy", "api:test"]);
    assert_screens!();
}

#[test]
fn names_select_tasks_of_one_or_all_projects() {
    let project = project();
    for (name, expected) in [
        ("web:test", &["web:test"][..]),
        (":test", &["api:build", "api:test", "codegen", "web:test"]),
        ("lint", &["api:clippy", "fmt"]),
        ("api:lint", &["api:clippy"]),
    ] {
        project.xtask(&["run", "--no-cache", name]).ends(0);
        assert_eq!(ran(&project), expected, "{name}");
    }
    project.xtask(&["run", "old:test"]).ends(4);
    project.xtask(&["run", "api:tset"]).ends(4);
    project.xtask(&[]).ends(0);
    assert_screens!();
}

#[test]
fn commits_and_pushes_read_the_included_files_of_their_tree() {
    let project = project();
    project.write("services/web/tasks.toml", "[tasks.test]\nrun = 'exit 1'\n").commit("broken test");
    project.write("services/web/tasks.toml", WEB);
    project.xtask(&["gate", "HEAD"]).ends(1).says("web:test");
    project.xtask(&["gate", "HEAD~1"]).ends(0);
    let _ = ran(&project);
    project.xtask(&["plan", "ci", "--at", "HEAD~1"]).ends(0).prints("web:test");
    project.commit("mended");
    project.xtask(&["plan", ":test", "--affected=HEAD~1"]).ends(0).says("web:test is affected");
}

#[test]
fn errors_name_their_file() {
    let project = project();
    project.write(
        "services/web/tasks.toml",
        r"
        [tasks.test]
        run = 'true'
        needs = ['biuld']
        [settings]
        jobs = 1
        ",
    );
    let ran = project.xtask(&["ci"]).ends(3);
    insta::assert_snapshot!(ran.err, @r#"
    error: `web:test` needs `biuld`, which is neither a task nor a group
     --> services/web/tasks.toml:3:10
      |
    3 | needs = ['biuld']
      |          ^^^^^^^ unknown task
      |
      = help: there are `ci`, `fmt`, `codegen`, `api:test`, `api:build`, `api:clippy`, `test`, `lint`

    error: `[settings]` belongs in the outermost tasks.toml
     --> services/web/tasks.toml:4:2
      |
    4 | [settings]
      |  ^^^^^^^^ this file is included by another
      |
      = help: move it to the file that includes this one
    "#);
    project.write(
        "services/web/tasks.toml",
        r"
        [tasks.test]
        run = 'true'
        outputs = ['../api/out']
        ",
    );
    project.write(
        "services/api/tasks.toml",
        r"
        [tasks.test]
        run = 'true'
        outputs = ['out']
        needs = ['web:test']
        ",
    );
    project
        .xtask(&["ci"])
        .ends(3)
        .says("services/web/tasks.toml:3")
        .says("`api:test` and `web:test` may write");
    project.write(
        "services/web/tasks.toml",
        r"
        [tasks.test]
        run = 'true'
        needs = ['api:test']
        ",
    );
    project
        .xtask(&["ci"])
        .ends(3)
        .says("cycle: api:test → web:test → api:test")
        .says("services/api/tasks.toml:4");
}

#[test]
fn include_without_files_or_in_a_cycle_is_refused() {
    let project = project();
    project.write(
        "tasks.toml",
        "include = ['servces/*/tasks.toml', 'tasks.toml', '@all']\n[tasks.a]\nrun = 'true'\n",
    );
    let ran = project.xtask(&["a"]).ends(3);
    insta::assert_snapshot!(ran.err, @r#"
    error: `servces/*/tasks.toml` matches no tasks.toml
     --> tasks.toml:1:12
      |
    1 | include = ['servces/*/tasks.toml', 'tasks.toml', '@all']
      |            ^^^^^^^^^^^^^^^^^^^^^^ includes nothing
      |
      = help: name files that git does not ignore, relative to this file's folder, such as "services/*/tasks.toml"

    error: `tasks.toml` is this file itself
     --> tasks.toml:1:36
      |
    1 | include = ['servces/*/tasks.toml', 'tasks.toml', '@all']
      |                                    ^^^^^^^^^^^^ includes itself
      |
      = help: remove it

    error: a set can't be used in `include`
     --> tasks.toml:1:50
      |
    1 | include = ['servces/*/tasks.toml', 'tasks.toml', '@all']
      |                                                  ^^^^^^ a set
      |
      = help: write the paths of files, such as "services/*/tasks.toml"
    "#);
    project.write("tasks.toml", "include = ['services/*']\n[tasks.a]\nrun = 'true'\n");
    project.write("services/web/tasks.toml", "include = ['../../tasks.toml']\n[tasks.a]\nrun = 'true'\n");
    let ran = project.xtask(&["a"]).ends(3);
    insta::assert_snapshot!(ran.err, @r#"
    error: `api:test` needs `codegen`, which is neither a task nor a group
     --> services/api/tasks.toml:5:19
      |
    5 | needs = ['build', 'codegen']
      |                   ^^^^^^^^^ unknown task
      |
      = help: there are `a`, `test`, `build`, `clippy`, `web:a`, `lint`

    error: there is no tool `shell`
     --> services/api/tasks.toml:7:10
      |
    7 | tools = ['shell']
      |          ^^^^^^^ unknown tool
      |
      = help: tools are written in `[tools]`, such as `rustc = "rustc -vV"`

    error: files include each other in a cycle: tasks.toml → services/web/tasks.toml → tasks.toml
     --> services/web/tasks.toml:1:12
      |
    1 | include = ['../../tasks.toml']
      |            ^^^^^^^^^^^^^^^^^^ closes the cycle
      |
      = help: remove this
    "#);
    project.write("services/web/tasks.toml", "[tasks.a]\nrun = 'true'\n");
    project.write("tools/web/tasks.toml", "[tasks.b]\nrun = 'true'\n");
    project.write("tasks.toml", "include = ['services/web', 'tools/web']\n[tasks.a]\nrun = 'true'\n");
    project.xtask(&["a"]).ends(3).says("would both be the project `web`");
}

#[test]
fn tasks_files_of_nested_repositories_are_not_included() {
    let project = Project::new(
        "include = ['**/tasks.toml']\n[tasks.test]\nrun = 'true'\n[hooks]\npre-push = [':test']\n",
    );
    project.write(".gitignore", "ran\n").write("api/tasks.toml", "[tasks.test]\nrun = 'true'\n");
    project.write("lib/tasks.toml", "[tasks.test]\nrun = 'true'\n");
    let lib = project.path("lib").display().to_string();
    project.git(&["init", "-q", &lib]);
    project.git(&["-C", &lib, "add", "-A"]);
    project.git(&["-C", &lib, "-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "lib"]);
    project.commit("a repository within");
    project.xtask(&["run", ":test"]).ends(0);
    project.xtask(&["gate"]).ends(0);
    assert_screens!();
}
