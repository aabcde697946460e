//! Kinds of repositories: each either works, or is refused with a message that says why and what to do.

use std::os::unix::fs::symlink;

use crate::project::Project;

const TASKS: &str = r#"
    [tasks.t]
    run = "cat a"
    inputs = ["a"]

    [hooks]
    pre-push = ["t"]
    "#;

/// Creates a repository with `git init` and this argument.
fn init_with(arg: &str) -> Project {
    let project = Project::without_git(TASKS);
    project.write("a", "one\n").git(&["init", "-q", "-b", "main", arg]);
    project.commit("first");
    project
}

const COMMANDS: [&[&str]; 9] = [
    &[],
    &["run", "t"],
    &["plan"],
    &["why", "t"],
    &["gate", "HEAD"],
    &["hooks", "install"],
    &["init", "--print"],
    &["log"],
    &["cache", "stats"],
];

#[test]
fn sha256_repository_is_refused_by_every_command_with_the_reason() {
    let project = init_with("--object-format=sha256");
    for args in COMMANDS {
        let ran = project.xtask(args).ends(5);
        assert_eq!(ran.err.lines().count(), 2, "{args:?} prints nothing else:\n{}", ran.err);
    }
    project.xtask(&["doctor"]).ends(1);
    project.xtask(&["schema"]).ends(0);
    project.xtask(&["completions", "bash"]).ends(0);
    assert_screens!();
}

#[test]
fn reftable_repository_is_refused_with_the_command_that_converts_it() {
    let project = init_with("--ref-format=reftable");
    for args in COMMANDS {
        project.xtask(args).ends(5);
    }
    project.xtask(&["doctor"]).ends(1);
    let copy = Project::without_git("");
    std::fs::remove_file(copy.path("tasks.toml")).unwrap();
    copy.git(&["clone", "-q", "--ref-format=files", project.root().to_str().unwrap(), "."]);
    copy.xtask(&["gate", "HEAD"]).ends(0);
    assert_screens!();
}

#[test]
fn unknown_extension_is_named() {
    let project = init_with("--quiet");
    let config =
        project.read(".git/config").replace("repositoryformatversion = 0", "repositoryformatversion = 1");
    project.write(".git/config", format!("{config}[extensions]\n\tnewThing = true\n"));
    project.xtask(&["run", "t"]).ends(5);
    assert_screens!();
}

#[test]
fn repository_of_another_user_is_refused_with_the_command_that_permits_it() {
    if !rustix::process::geteuid().is_root() {
        // Only root can change the owner of a folder.
        return;
    }
    let project = init_with("--quiet");
    project.write("sub/f", "x\n");
    for path in ["", ".git", "sub"] {
        std::os::unix::fs::chown(project.path(path), Some(65534), Some(65534)).unwrap();
    }
    let hint = format!("git config --global --add safe.directory {}", project.root().display());
    for args in COMMANDS {
        project.xtask(args).ends(5).says(&hint);
    }
    let mut below = project.xtask_command(&["-C", "sub", "plan"]);
    crate::project::CommandOutput::from_output(below.output().unwrap()).ends(5).says(&hint);
    project.xtask(&["doctor"]).ends(1).prints(&hint);
    project.git(&["config", "--global", "--add", "safe.directory", project.root().to_str().unwrap()]);
    project.xtask(&["run", "t"]).ends(0);
    project.xtask(&["gate", "HEAD"]).ends(0);
    assert_screens!();
}

#[test]
fn all_index_formats_and_settings_of_large_repositories_work() {
    let project = Project::new("include = [\"*/tasks.toml\"]\n");
    project.write("p/tasks.toml", "[tasks.t]\nrun = \"true\"\n").write("p/x.txt", "x").commit("p");
    let plan = project.xtask(&["plan", "--json"]).ends(0).json();
    for args in [
        &["update-index", "--split-index"][..],
        &["update-index", "--index-version", "4"],
        &["config", "feature.manyFiles", "true"],
        &["config", "core.fsmonitor", "true"],
        &["config", "core.fsync", "all"],
        &["config", "safe.bareRepository", "explicit"],
        &["config", "extensions.worktreeConfig", "true"],
        &["config", "core.repositoryformatversion", "1"],
        &["config", "extensions.preciousObjects", "true"],
    ] {
        project.git(args);
        assert_eq!(project.xtask(&["plan", "--json"]).ends(0).json(), plan, "{args:?}");
        project.xtask(&["plan", "--at", "HEAD"]).ends(0);
    }
    // Git may have started its daemon, where it has one.
    project.command("git").args(["fsmonitor--daemon", "stop"]).output().unwrap();
}

/// Creates a repository with two projects, and a sparse clone of it with these arguments.
fn sparse_clone(args: &[&str]) -> (Project, Project) {
    let whole = Project::new(
        r#"
        include = ["*/tasks.toml"]

        [tasks.all]
        run = "cat api/f"

        [hooks]
        pre-push = ["all"]
        "#,
    );
    let tasks = "[tasks.t]\nrun = \"cat f\"\ninputs = [\"**\"]\n";
    whole.write("api/tasks.toml", tasks).write("web/tasks.toml", tasks);
    whole.write("api/f", "one\n").write("web/f", "two\n").commit("projects");
    let clone = Project::without_git("");
    std::fs::remove_file(clone.path("tasks.toml")).unwrap();
    clone.git(&["clone", "-q", whole.root().to_str().unwrap(), "."]);
    clone.git(&[&["sparse-checkout", "set"], args].concat());
    assert!(clone.path("api/f").exists() && !clone.path("web").exists());
    (whole, clone)
}

#[test]
fn files_left_out_by_a_sparse_checkout_are_not_deleted() {
    for args in [&["api"][..], &["--sparse-index", "api"]] {
        let (whole, clone) = sparse_clone(args);
        assert_eq!(
            whole.xtask(&["plan", "--json"]).json(),
            clone.xtask(&["plan", "--json"]).json(),
            "{args:?}"
        );
        clone.xtask(&[]).ends(0);
        clone.xtask(&["run", "--affected=HEAD", "all"]).ends(0);
        clone.write("api/f", "other\n");
        clone.xtask(&["run", "--affected=HEAD", "api:t", "web:t"]).ends(0);
    }
    assert_screens!();
}

#[test]
fn only_a_task_with_all_inputs_present_is_stored() {
    let (_whole, clone) = sparse_clone(&["api"]);
    clone.xtask(&["api:t"]).ends(0);
    clone.xtask(&["api:t"]).ends(0);
    let left_out = "not stored: web/f and another input are left out of this sparse checkout";
    clone.xtask(&["all"]).ends(0).says(left_out);
    clone.xtask(&["all"]).ends(0);
    clone.xtask(&["web:t"]).ends(1);
    // The gate checks the whole tree out. Its stored results are hits here too.
    clone.xtask(&["gate", "HEAD"]).ends(0);
    clone.xtask(&["all"]).ends(0);
    // The staged tree is checked out completely too.
    clone.write("api/f", "new\n").git(&["add", "api/f"]);
    clone.xtask(&["gate", "--staged"]).ends(0);
    clone.xtask(&["all"]).ends(0);
    clone.git(&["sparse-checkout", "disable"]);
    clone.xtask(&["all"]).ends(0);
    assert_screens!();
}

#[test]
fn result_that_depends_on_an_incomplete_tree_is_not_stored() {
    let project = Project::new(
        r#"
        [tasks.first]
        run = "true"
        inputs = ["d/**"]

        [tasks.second]
        run = "cat a"
        inputs = ["a"]
        needs = ["first"]
        "#,
    );
    project.write("a", "one\n").write("d/f", "x\n").commit("files");
    project.git(&["update-index", "--skip-worktree", "d/f"]);
    std::fs::remove_dir_all(project.path("d")).unwrap();
    project.xtask(&["second"]).ends(0);
    // A file that exists counts, even if the index says that it is left out.
    project.write("d/f", "other\n");
    project.xtask(&["second"]).ends(0);
    project.git(&["update-index", "--no-skip-worktree", "d/f"]);
    project.xtask(&["second"]).ends(0);
    assert_screens!();
}

#[test]
fn partial_clone_is_gated_and_planned_after_a_fetch() {
    for filter in ["blob:none", "tree:0"] {
        let source = Project::new("include = [\"cfg/tasks.toml\"]\n");
        let tasks = r#"
            [tasks.t]
            run = "cat ../d/e/f"
            inputs = ["../d/**"]
            "#;
        source.write("cfg/tasks.toml", "").write(".gitattributes", "").commit("empty");
        let old = source.git(&["rev-parse", "HEAD"]);
        source.write("cfg/tasks.toml", tasks).write("d/e/f", "x\n").write("d/.gitattributes", "*.x text\n");
        source.write("tasks.toml", "include = [\"cfg/tasks.toml\"]\n[hooks]\npre-push = [\"cfg:t\"]\n");
        source.commit("tasks");
        source.git(&["config", "uploadpack.allowFilter", "true"]);
        source.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let clone = Project::without_git("");
        std::fs::remove_file(clone.path("tasks.toml")).unwrap();
        let url = format!("file://{}", source.root().display());
        clone.git(&["clone", "-q", "--no-checkout", &format!("--filter={filter}"), &url, "."]);
        clone.git(&["-c", "advice.detachedHead=false", "checkout", "-q", &old]);
        clone.xtask(&["plan", "--at", "origin/main"]).ends(0);
        clone.xtask(&["gate", "origin/main"]).ends(0);
    }
    assert_screens!();
}

/// Checks that a run and a gate of HEAD have the same result, and returns the run.
#[track_caller]
fn run_and_gate(project: &Project) -> crate::project::CommandOutput {
    let run = project.xtask(&["run", "t"]);
    let gate = project.xtask(&["gate", "--cold", "HEAD"]);
    assert_eq!(run.status, gate.status, "run:\n{}\ngate:\n{}", run.err, gate.err);
    run
}

const LINES: &str = r#"
    [tasks.t]
    run = """
    x=one
    test "$x" = one
    test "$A" = "$(printf 'x\ny')"
    """
    env-file = ".env"
    cache = false
    inputs = ["a"]

    [hooks]
    pre-push = ["t"]
    "#;

#[test]
fn line_ends_of_a_checkout_do_not_change_tasks() {
    for (attributes, autocrlf) in [("*.toml text eol=crlf\n.env text eol=crlf\n", "false"), ("", "true")] {
        let project = Project::new(LINES);
        project
            .write(".gitattributes", attributes)
            .write("a", "a\n")
            .write(".env", "A='x\ny'\n")
            .commit("lines");
        let keys = |project: &Project| {
            let at = project.xtask(&["plan", "t", "--json", "--at", "HEAD"]).json();
            let here = project.xtask(&["plan", "t", "--json"]).json();
            assert_eq!(at["tasks"], here["tasks"], "the keys are the same");
        };
        project.git(&["config", "core.autocrlf", autocrlf]);
        for file in ["tasks.toml", ".env", "a"] {
            std::fs::remove_file(project.path(file)).unwrap();
        }
        project.git(&["checkout", "-q", "."]);
        assert!(project.read("tasks.toml").contains("\r\n") && project.read(".env").contains("\r\n"));
        run_and_gate(&project).ends(0);
        keys(&project);
    }
}

#[test]
fn remembered_line_ends_are_those_of_the_current_settings() {
    let project = Project::new("[tasks.t]\nrun = \"true\"\ninputs = [\"a.txt\"]\n");
    project.write("a.txt", "a\n").write(".gitattributes", "* text\n*.TXT eol=lf\n").commit("lines");
    project.git(&["config", "core.eol", "crlf"]);
    let key = || {
        let plan = project.xtask(&["plan", "t", "--json", "--at", "HEAD"]).json();
        plan["tasks"][0]["key"].as_str().unwrap().to_owned()
    };
    project.git(&["config", "core.ignorecase", "true"]);
    let unchanged = key();
    project.git(&["config", "core.ignorecase", "false"]);
    let crlf = key();
    assert_ne!(unchanged, crlf, "the pattern matches only if case is ignored");
    // Attributes of a branch, which then has others.
    for (attributes, expected) in [("*.txt text eol=lf", &unchanged), ("*.txt text eol=crlf", &crlf)] {
        project.git(&["checkout", "-q", "-B", "attributes"]);
        project.write(".gitattributes", attributes).commit(attributes);
        project.git(&["checkout", "-q", "main"]);
        project.git(&["config", "attr.tree", "attributes"]);
        assert_eq!(&key(), expected, "{attributes}");
    }
}

#[test]
fn byte_order_mark_is_accepted_by_run_and_gate() {
    let project = Project::new(&format!("\u{feff}{TASKS}"));
    project.write("a", "a\n").commit("a");
    run_and_gate(&project).ends(0);
}

#[test]
fn symlinks_inside_the_repository_are_followed_by_run_and_gate() {
    let project = Project::new("");
    std::fs::remove_file(project.path("tasks.toml")).unwrap();
    let include = "include = [\"svc/*/tasks.toml\", \"way/x.toml\"]\n";
    project.write("cfg/main.toml", format!("{include}{TASKS}")).write("a", "a\n");
    project.write("real/x.toml", "[tasks.u]\nrun = \"true\"\n").write("svc/api/keep", "");
    symlink("cfg/main.toml", project.path("tasks.toml")).unwrap();
    symlink("../../real/x.toml", project.path("svc/api/tasks.toml")).unwrap();
    symlink("./real", project.path("way")).unwrap();
    project.commit("links");
    run_and_gate(&project).ends(0);
    project.xtask(&[]).ends(0);
    let tasks = |args: &[&str]| project.xtask(args).ends(0).json()["tasks"].clone();
    assert_eq!(tasks(&["plan", "--json"]), tasks(&["plan", "--json", "--at", "HEAD"]));
    assert_screens!();
}

#[test]
fn symlinks_out_of_the_repository_are_refused_by_run_and_gate() {
    let project = Project::new(TASKS);
    std::fs::rename(project.path("tasks.toml"), project.parent_folder().join("tasks.toml")).unwrap();
    symlink("../tasks.toml", project.path("tasks.toml")).unwrap();
    project.commit("out");
    run_and_gate(&project).ends(3);

    let project = Project::new(&format!("include = [\"api/tasks.toml\"]\n{TASKS}"));
    symlink(project.parent_folder(), project.path("api")).unwrap();
    project.commit("out by a folder");
    run_and_gate(&project).ends(3);

    let project = Project::new(&format!("include = [\"*/tasks.toml\"]\n{TASKS}"));
    project.write("api/keep", "");
    symlink("/etc/hostname", project.path("api/tasks.toml")).unwrap();
    project.commit("out by a file");
    run_and_gate(&project).ends(3);
    std::fs::remove_file(project.path("api/tasks.toml")).unwrap();
    symlink("gone.toml", project.path("api/tasks.toml")).unwrap();
    project.commit("dangling");
    run_and_gate(&project).ends(3);
    assert_screens!();
}

#[test]
fn included_file_of_a_submodule_is_not_in_any_tree() {
    let project = Project::new(&format!("include = [\"sub/tasks.toml\"]\n{TASKS}"));
    project.write("sub/tasks.toml", "[tasks.u]\nrun = \"true\"\n");
    project.git(&["-C", "sub", "init", "-q"]);
    project.git(&["-C", "sub", "add", "-A"]);
    project.git(&["-C", "sub", "commit", "-q", "-m", "sub"]);
    project.commit("sub");
    run_and_gate(&project).ends(3);
    assert_screens!();
}
