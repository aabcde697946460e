//! Tests that the gate never tests the user's work tree. A broken commit whose fix is unstaged in the
//! work tree is not pushed, in whatever way a tool might find the fix.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::project::{CommandOutput, Project};

/// The file that is broken in the commit and fixed in the work tree.
const CORE: &str = "packages/core/value";

/// Creates a project whose only task runs `run`. `worktree` is the content of `[worktree]`.
fn project(run: &str, worktree: &str) -> Project {
    let tasks = format!(
        r"
        [tasks.t]
        run = '''{run}'''
        [hooks]
        pre-push = ['t']
        pre-commit = ['t']
        [worktree]
        {worktree}
        "
    );
    let project = Project::with_gate_in_private_worktree(&tasks);
    project.write(".gitignore", "node_modules\n.venv\ntarget\nlocal\n").write(CORE, "good\n");
    project.commit("good");
    project
}

/// Checks a broken commit whose fix is in the work tree, in each way that uses a private worktree, and
/// then pushes the fix.
#[track_caller]
fn assert_pushed_tree_is_tested(project: &Project) {
    project.write(CORE, "bad\n").commit("bad");
    project.write(CORE, "good\n");
    project.xtask(&["t", "--no-cache"]).ends(0);
    // The second push uses a warm worktree, in which everything was provided before.
    for _ in 0..2 {
        project.push(&["main"]).ends(1).says("refs/heads/main is not pushed").says("t: exit status");
    }
    project.xtask(&["gate", "--cold"]).ends(1).says("t: exit status");
    project.xtask(&["t", "--at", "HEAD"]).ends(1).says("t: exit status");
    // The staged tree is that of the broken commit with another file.
    project.write("other", "");
    project.git(&["add", "other"]);
    project.xtask(&["gate", "--staged"]).ends(1).says("t: exit status");
    assert_eq!(project.remote("main"), None);
    project.commit("fixed");
    project.push(&["main"]).ends(0).says(" passed (");
    assert!(project.remote("main").is_some());
}

fn link(project: &Project, path: &str, target: impl AsRef<Path>) {
    let path = project.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

fn script(project: &Project, path: &str, text: &str) {
    project.write(path, text).chmod(path, 0o755);
}

/// Pushes, and expects that the gate refuses to provide a path.
#[track_caller]
fn assert_refused(project: &Project) -> CommandOutput {
    project.push(&["main"]).ends(1).says("can't be provided").says("refs/heads/main is not pushed")
}

#[test]
fn workspace_links_lead_to_the_tree_under_test() {
    let run = "grep -q good node_modules/@m/core/value && grep -q good node_modules/absolute/value && grep -q good node_modules/chain/value";
    for key in ["link", "copy"] {
        let project = project(run, &format!("{key} = ['node_modules']"));
        link(&project, "node_modules/@m/core", "../../packages/core");
        link(&project, "node_modules/absolute", project.path("packages/core"));
        // A symlink to a symlink outside of the repository, as `npm link` makes it, and symlinks through
        // another name of the work tree.
        let (outside, other) =
            (project.parent_folder().join("global"), project.parent_folder().join("other-name"));
        symlink(project.path("packages/core"), &outside).unwrap();
        symlink(project.root(), &other).unwrap();
        link(&project, "node_modules/chain", outside);
        link(&project, "node_modules/renamed", other.join("packages/core"));
        link(&project, "node_modules/through", "../../other-name/packages/core");
        assert_pushed_tree_is_tested(&project);
        for name in ["@m/core", "absolute", "chain", "renamed", "through"] {
            let real = project.worktree().join("node_modules").join(name).canonicalize().unwrap();
            assert_eq!(real, project.worktree().join("packages/core"), "{name}");
        }
    }
}

#[test]
fn package_of_a_linked_folder_finds_the_tree_under_test_above_its_real_place() {
    let run = "node_modules/.bin/tool && packages/app/node_modules/tool/run";
    let project = project(run, "link = ['node_modules', 'packages/app/node_modules']");
    // Searches like Node.js: in the folder of the file's real path, and then in the folders above.
    let text = "#!/bin/sh\ncd -P \"$(dirname \"$(readlink -f \"$0\")\")\" || exit 1\nwhile test ! -d node_modules/@m/core; do test \"$PWD\" != / || exit 3; cd ..; done\ngrep -q good node_modules/@m/core/value\n";
    script(&project, "node_modules/tool/run", text);
    script(&project, "packages/app/node_modules/tool/run", text);
    link(&project, "node_modules/.bin/tool", "../tool/run");
    link(&project, "node_modules/@m/core", "../../packages/core");
    link(&project, "packages/app/node_modules/@m/core", "../../../core");
    assert_pushed_tree_is_tested(&project);
}

#[test]
fn pnpm_store_with_links_and_scripts_is_that_of_the_tree_under_test() {
    let project = project("node_modules/.bin/tool", "link = ['node_modules']");
    let root = project.root();
    let store = "node_modules/.pnpm/tool@1/node_modules";
    script(&project, &format!("{store}/tool/run"), "#!/bin/sh\ngrep -q good \"$NODE_PATH/@m/core/value\"\n");
    link(&project, &format!("{store}/@m/core"), "../../../../../packages/core");
    link(&project, "node_modules/tool", ".pnpm/tool@1/node_modules/tool");
    let shim = format!(
        "#!/bin/sh\nexport NODE_PATH=\"{root}/{store}\"\nexec \"{root}/node_modules/tool/run\" \"$@\"\n",
        root = root.display()
    );
    script(&project, "node_modules/.bin/tool", &shim);
    assert_pushed_tree_is_tested(&project);
    // The user's file is unchanged.
    assert_eq!(project.read("node_modules/.bin/tool"), shim);
}

#[test]
fn file_that_is_the_same_as_a_tracked_one_is_that_of_the_tree_under_test() {
    let project = project("grep -q good local/injected && grep -q good local/file", "link = ['local']");
    fs::create_dir(project.path("local")).unwrap();
    let relink = |project: &Project| {
        for name in ["local/injected", "local/file"] {
            let _ = fs::remove_file(project.path(name));
            fs::hard_link(project.path(CORE), project.path(name)).unwrap();
        }
    };
    relink(&project);
    project.write(CORE, "bad\n").commit("bad");
    // The file is written in place, so both names are still hard links to it.
    fs::write(project.path(CORE), "good\n").unwrap();
    assert_eq!(project.read("local/injected"), "good\n");
    project.push(&["main"]).ends(1).says("t: exit status");
    project.commit("good");
    project.push(&["main"]).ends(0);
}

#[test]
fn folders_above_the_tree_under_test_have_nothing_of_the_work_tree() {
    // Searches like cargo, ruff, eslint and tsc for their configuration, without and with a sandbox.
    for sandbox in ["", "inputs = ['packages/**']\nsandbox = true"] {
        let search = "while test ! -e .cargo/config.toml; do test $PWD != / || exit 3; cd ..; done";
        let tasks = format!(
            r"
            [tasks.t]
            run = '''cd packages/core; {search}'''
            {sandbox}
            [hooks]
            pre-push = ['t']
            "
        );
        let project = Project::with_gate_in_private_worktree(&tasks);
        project.write(".gitignore", ".cargo\n").write(CORE, "").commit("first");
        project.write(".cargo/config.toml", "");
        if sandbox.is_empty() {
            project.xtask(&["t", "--no-cache"]).ends(0);
        } else {
            project.xtask(&["t", "--no-cache"]).ends(1);
        }
        project.push(&["main"]).ends(1).says("t: exit status 3");
        project.xtask(&["gate", "--cold"]).ends(1).says("t: exit status 3");
        project.xtask(&["t", "--at", "HEAD"]).ends(1).says("t: exit status 3");
        // No folder below the home folder contains both the private worktree and the work tree.
        let (worktree, root) = (project.worktree(), project.root());
        let common = worktree.ancestors().find(|folder| root.starts_with(folder)).unwrap();
        assert!(project.home().starts_with(common), "{}", common.display());
    }
}

#[test]
fn linked_virtual_environment_runs_its_own_scripts() {
    let project = project("grep -q good packages/core/value && .venv/bin/tool", "link = ['.venv']");
    let root = project.root();
    // The first script is like those of pip. The second is like those of `uv` if the path is too long
    // for a `#!` line.
    script(&project, ".venv/bin/interpreter", "#!/bin/sh\nexec sh \"$@\"\n");
    let check = "case $(cd -P \"$(dirname \"$0\")\"; pwd) in */.venv/bin) ;; *) exit 5;; esac\nsh \"$(dirname \"$0\")/place\"\n";
    script(&project, ".venv/bin/tool", &format!("#!{}/.venv/bin/interpreter\n{check}", root.display()));
    let place = format!("cd -P '{}/.venv/bin' && test -e ../../packages/core/value && pwd\n", root.display());
    script(&project, ".venv/bin/place", &place);
    project.write(".venv/pyvenv.cfg", "home = /usr/bin\n");
    assert_pushed_tree_is_tested(&project);
    let log = project.xtask(&["log", "--last", "--task", "t"]).ends(0).out;
    assert!(log.contains("/gate-") && !log.contains(root.to_str().unwrap()), "{log}");
}

#[test]
fn editable_install_is_refused_with_the_setup_to_write() {
    let root = |project: &Project| project.root().display().to_string();
    let site = ".venv/lib/python3.11/site-packages";
    let records = [
        ("a.pth", "ROOT/packages\n"),
        ("__editable__.a-1.pth", "ROOT\n"),
        ("__editable___a_finder.py", "MAPPING = {'a': 'ROOT/packages'}\n"),
        ("a.egg-link", "ROOT/packages\n."),
        ("a-1.dist-info/direct_url.json", "{\"dir_info\": {\"editable\": true}, \"url\": \"file://ROOT\"}"),
    ];
    for (name, text) in records {
        let project = project("true", "link = ['.venv']");
        project.write(&format!("{site}/{name}"), text.replace("ROOT", &root(&project)));
        assert_refused(&project)
            .says(&format!("{site}/{name} refers to a path in the work tree"))
            .says("-m venv .venv && ");
        project.write("uv.lock", "").write("pyproject.toml", "").commit("uv");
        let refused = assert_refused(&project).says("remove \".venv\" from `[worktree]`");
        refused.says("setup = { run = \"uv sync\", inputs = [\"uv.lock\", \"pyproject.toml\"] }");
        project.xtask(&["gate", "--cold"]).ends(1).says("refers to a path in the work tree");
        project.xtask(&["t", "--at", "HEAD"]).ends(1).says("refers to a path in the work tree");
    }
    // A package inside the environment is provided with it, and an `import` line is not a path.
    let project = project("cat .venv/lib/python3.11/site-packages/b.pth", "link = ['.venv']");
    project.write(&format!("{site}/b.pth"), format!("{}/.venv/src/b\nimport _virtualenv\n", root(&project)));
    project.push(&["main"]).ends(0);
    let log = project.xtask(&["log", "--last", "--task", "t"]).ends(0).out;
    assert!(log.contains("/gate-1/.venv/src/b"), "{log}");
}

#[test]
fn installs_outside_the_repository_that_link_back_are_reported() {
    // A virtual environment outside of the repository, as virtualenvwrapper makes it.
    let project = project("true", "link = ['.venv']");
    let site = project.parent_folder().join("envs/app/lib/python3.11/site-packages");
    fs::create_dir_all(&site).unwrap();
    fs::write(site.join("app.pth"), project.root().join("packages").to_str().unwrap()).unwrap();
    link(&project, ".venv", project.parent_folder().join("envs/app"));
    assert_refused(&project)
        .says("app.pth refers to a path in the work tree: packages")
        .says("-m venv .venv && ");
    // The same environment and a program, found only through PATH. Tasks may not use them, so the gate
    // only reports them.
    let project = self::project("true", "");
    let env = project.parent_folder().join("env");
    fs::create_dir_all(env.join("bin")).unwrap();
    fs::create_dir_all(env.join("lib/python3.11/site-packages")).unwrap();
    let path = format!("{}:/usr/bin:/bin", env.join("bin").display());
    let push = |name: &str| {
        project.write(name, "").commit(name);
        CommandOutput::from_output(
            project.push_command(&["origin", "main"]).env("PATH", &path).output().unwrap(),
        )
        .ends(0)
    };
    push("a").does_not_say("into the work tree");
    symlink(project.path(CORE), env.join("bin/tool")).unwrap();
    push("b").says("env/bin/tool refers to the work tree: packages/core/value;");
    fs::write(env.join("lib/python3.11/site-packages/app.pth"), project.root().to_str().unwrap()).unwrap();
    push("c").says("(and 1 more)");
}

#[test]
fn build_folders_and_links_back_from_outside_are_refused() {
    let project = project("true", "link = ['target']");
    project.write("target/.rustc_info.json", "{}").write("target/debug/app", "");
    assert_refused(&project).says("`target` of `[worktree]`").says("keeps its own build folder");
    fs::remove_dir_all(project.path("target")).unwrap();
    let text = format!("# for CMake\nCMAKE_HOME_DIRECTORY:INTERNAL={}\n", project.root().display());
    project.write("target/build/CMakeCache.txt", text);
    assert_refused(&project).says("target/build/CMakeCache.txt refers to a path in the work tree: its top");

    let project = self::project("true", "link = ['node_modules']");
    let outside = project.parent_folder().join("global");
    fs::create_dir_all(outside.join("node_modules/@m")).unwrap();
    symlink(project.path("packages/core"), outside.join("node_modules/@m/core")).unwrap();
    link(&project, "node_modules/global", &outside);
    project.write("package-lock.json", "").commit("lock");
    assert_refused(&project)
        .says("node_modules/@m/core refers to a path in the work tree: packages/core")
        .says("npm ci");
}

#[test]
fn tracked_files_are_never_provided() {
    for key in ["link", "copy"] {
        // The file is in the pushed tree.
        let project = project("cat vendor/lib", &format!("{key} = ['vendor']"));
        project.write("vendor/lib/deep/a", "").write("vendor/lib/value", "bad\n").commit("vendor");
        project.write("vendor/lib/value", "good\n");
        assert_refused(&project).says("git tracks vendor/lib/deep/a").says("remove it from");
        // The file is only in the index, because it was not committed.
        project.git(&["rm", "-rq", "--cached", "vendor"]);
        project.git(&["commit", "-qm", "without"]);
        project.git(&["add", "vendor/lib/value"]);
        assert_refused(&project).says("git tracks vendor/lib/value");
        // The file is in a submodule.
        let project = self::project("cat lib/dist/value", &format!("{key} = ['lib/dist']"));
        let library = project.parent_folder().join("library");
        let path = library.to_str().unwrap();
        project.git(&["init", "-q", path]);
        fs::create_dir(library.join("dist")).unwrap();
        fs::write(library.join("dist/value"), "bad\n").unwrap();
        project.git(&["-C", path, "add", "-A"]);
        project.git(&["-C", path, "commit", "-qm", "1"]);
        project.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", path, "lib"]);
        project.commit("with a submodule");
        project.write("lib/dist/value", "good\n");
        assert_refused(&project).says("git tracks lib/dist/value");
    }
}

#[test]
fn tracked_symlink_into_the_work_tree_is_refused() {
    let project = project("grep -q good link", "");
    link(&project, "link", project.path(CORE));
    project.write(CORE, "bad\n").commit("bad");
    project.write(CORE, "good\n");
    let pushed = project.push(&["main"]).ends(1).says("link is a symlink into the work tree");
    pushed.says(CORE).says("a relative target");
    fs::remove_file(project.path("link")).unwrap();
    link(&project, "link", CORE);
    project.commit("relative");
    project.push(&["main"]).ends(0);
}

#[test]
fn environment_of_a_gated_task_does_not_name_the_work_tree() {
    let tasks = r#"
        [tasks.t]
        run = '''env; check; grep -q good "$LIB/core/value"'''
        pass-env = ['LIB', 'FLAGS', 'PWD', 'OLDPWD']
        env-file = ['local/.env']
        [hooks]
        pre-push = ['t']
        [worktree]
        link = ['node_modules']
        copy = ['local']
        "#;
    let project = Project::with_gate_in_private_worktree(tasks);
    project.write(".gitignore", "node_modules\nlocal\n").write(CORE, "good\n").commit("good");
    let root = project.root().display().to_string();
    let other = project.parent_folder().join("other-name");
    symlink(project.root(), &other).unwrap();
    project.write("local/.env", format!("DATA={root}/data\n"));
    script(
        &project,
        "node_modules/.bin/check",
        "#!/bin/sh\ngrep -q good \"$(dirname \"$0\")/../../packages/core/value\"\n",
    );
    let path = format!("{root}/node_modules/.bin:{}/bin:/usr/bin:/bin", other.display());
    let vars = [
        ("PATH", &*path),
        ("LIB", &format!("{root}/packages")),
        ("FLAGS", &format!("-I{root}/include --config={root}/x")),
        ("PWD", &root),
        ("OLDPWD", &format!("{root}/packages")),
    ];
    project.write(CORE, "bad\n").commit("bad");
    project.write(CORE, "good\n");
    project.xtask_env(&["t", "--no-cache"], &vars).ends(0);
    let push =
        || CommandOutput::from_output(project.push_command(&["origin", "main"]).envs(vars).output().unwrap());
    push()
        .ends(1)
        .says("t: exit status")
        .says("FLAGS, LIB, OLDPWD, PATH, PWD contain paths in the work tree");
    let log = project.xtask(&["log", "--last", "--task", "t"]).ends(0).out;
    let messages: Vec<&str> =
        log.lines().filter(|line| line.contains(&root) || line.contains("other-name")).collect();
    assert_eq!(messages, Vec::<&str>::new());
    let top = project.worktree().display().to_string();
    for expected in [
        format!("PATH={top}/node_modules/.bin:{top}/bin:/usr/bin:/bin"),
        format!("DATA={top}/data"),
        format!("FLAGS=-I{top}/include --config={top}/x"),
    ] {
        // Git adds the folder of its own programs at the front of PATH.
        assert!(
            log.replace("PATH=/usr/lib/git-core:", "PATH=").lines().any(|line| line == expected),
            "{log}"
        );
    }
    project.commit("good");
    push().ends(0);
}

#[test]
fn provided_folder_is_recreated_only_when_it_changes() {
    let run = "cat node_modules/lib; ls node_modules; echo cache > node_modules/cache";
    let worktree = "link = ['node_modules']\nsetup = { run = 'echo built > node_modules/built; echo ran >> $HOME/ran', inputs = ['tasks.toml'] }";
    let project = project(run, worktree);
    project.write("node_modules/lib", "one\n");
    let log = || project.xtask(&["log", "--last", "--task", "t"]).ends(0).out;
    let setups = || project.lines("../home/ran").len();
    project.push(&["main"]).ends(0);
    project.write("a", "").commit("a");
    project.push(&["main"]).ends(0);
    assert!(log().contains("built") && log().contains("cache") && setups() == 1, "{}", log());
    // The content changes, so the files that the setup added are removed and it runs again.
    fs::remove_file(project.path("node_modules/lib")).unwrap();
    project.write("node_modules/lib", "two\n").write("b", "").commit("b");
    project.push(&["main"]).ends(0);
    assert!(log().contains("two") && log().contains("built") && !log().contains("cache"), "{}", log());
    assert_eq!(setups(), 2);
    assert_eq!(
        fs::read_dir(project.path("node_modules")).unwrap().count(),
        1,
        "the user's file is unchanged"
    );
    // A read-only folder, and a missing folder.
    fs::set_permissions(project.path("node_modules"), fs::Permissions::from_mode(0o555)).unwrap();
    project.write("c", "").commit("c");
    project.push(&["main"]).ends(0);
    fs::set_permissions(project.path("node_modules"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_dir_all(project.path("node_modules")).unwrap();
    project.write("d", "").commit("d");
    project.push(&["main"]).ends(1).says("node_modules of `[worktree]` is not in the work tree");
}

#[test]
fn path_inside_a_provided_folder_is_provided_under_its_own_name() {
    let run = "cat node_modules/lib node_modules/cache/x; echo changed > node_modules/cache/x";
    let both = "'node_modules', 'node_modules/cache'";
    for (link, copy) in [("'node_modules'", "'node_modules/cache'"), (both, both)] {
        let project = project(run, &format!("link = [{link}]\ncopy = [{copy}]"));
        project.write("node_modules/lib", "lib\n").write("node_modules/cache/x", "mine\n");
        project.push(&["main"]).ends(0);
        let log = project.xtask(&["log", "--last", "--task", "t"]).ends(0).out;
        assert!(log.contains("lib\nmine"), "{log}");
        // The user's files are unchanged.
        assert_eq!(project.read("node_modules/cache/x"), "mine\n");
        assert_eq!(project.read("node_modules/lib"), "lib\n");
    }
}

#[test]
fn missing_target_of_a_workspace_link_is_reported() {
    let project = project("true", "link = ['node_modules']");
    link(&project, "node_modules/new", "../packages/new");
    project.write("packages/new/value", "");
    project
        .push(&["main"])
        .ends(0)
        .says("node_modules/new points to packages/new, which the tree under test does not have");
}

#[test]
fn folder_of_private_worktrees_can_be_named_and_is_never_in_the_work_tree() {
    let project = project("pwd", "");
    let name = |root: &str| {
        let tasks = project.read("tasks.toml");
        let tasks = tasks.split("[worktree]").next().unwrap().to_owned();
        project.write("tasks.toml", format!("{tasks}[worktree]\nroot = '{root}'\n")).commit("root");
    };
    let log = || project.xtask(&["log", "--last", "--task", "t"]).ends(0).out;
    let elsewhere = project.parent_folder().join("elsewhere");
    name(elsewhere.to_str().unwrap());
    project.push(&["main"]).ends(0);
    assert!(log().contains(&format!("{}/repo-", elsewhere.display())), "{}", log());
    project.xtask(&["doctor"]).prints(elsewhere.to_str().unwrap()).prints("1 private worktree");
    project.xtask(&["cache", "stats"]).ends(0).prints(elsewhere.to_str().unwrap());
    name("~/deep/er");
    project.push(&["main"]).ends(0);
    assert!(log().contains(&format!("{}/deep/er/repo-", project.home().display())), "{}", log());
    for (root, why) in [
        (project.path("target").display().to_string(), "is in the work tree"),
        (project.parent_folder().display().to_string(), "contains the work tree"),
        (project.path(".git/x").display().to_string(), "is in the work tree"),
    ] {
        name(&root);
        project.push(&["main"]).ends(1).says(why).says("root = \"/path/to/folder\"");
        project.xtask(&["gate"]).ends(5).says(why);
    }
    name("target");
    project.xtask(&["gate"]).ends(3).says("not an absolute path");
    // `cache gc` removes all of them, whatever tasks.toml contains now.
    project.write("tasks.toml", "[tasks.t]\nrun = 'true'\n");
    project.xtask(&["cache", "gc"]).ends(0).prints("removed 2 private worktrees");
}

#[test]
fn private_worktrees_are_elsewhere_where_there_is_no_cache_folder() {
    let project = project("pwd", "");
    let temp = project.parent_folder().join("temp");
    fs::create_dir(&temp).unwrap();
    let log = || project.xtask(&["log", "--last", "--task", "t"]).ends(0).out;
    let temp_name = temp.to_str().unwrap();
    // The cache folder is in the work tree, as on some CI services, and the home folder doesn't exist.
    let cache = project.path("cache").display().to_string();
    let vars = [("HOME", "/nonexistent"), ("XDG_CACHE_HOME", &*cache), ("TMPDIR", temp_name)];
    project.xtask_env(&["gate"], &vars).ends(0);
    assert!(log().contains(&format!("{temp_name}/xtask-")), "{}", log());
    assert!(!project.path("cache").exists() && project.git(&["status", "--porcelain"]).is_empty());
    project.xtask_env(&["cache", "gc"], &vars).ends(0).prints("removed 1 private worktree");
    // Other users can write to our folder in the folder for temporary files.
    let own = fs::read_dir(&temp).unwrap().next().unwrap().unwrap().path();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    project.write("a", "").commit("a");
    project.xtask_env(&["gate"], &vars).ends(5).says("belongs to another user").says("XDG_CACHE_HOME");
}

#[test]
fn copied_and_moved_repositories_share_no_private_worktrees() {
    let project = project("pwd; cat packages/core/value", "");
    project.push(&["main"]).ends(0);
    let first = project.worktree();
    let copy = project.parent_folder().join("copy");
    let copied = project.command("cp").arg("-a").arg(project.root()).arg(&copy).status().unwrap();
    assert!(copied.success());
    let gate = |dir: &Path| {
        fs::write(dir.join("new"), dir.to_str().unwrap()).unwrap();
        let git = |args: &[&str]| project.git(&[&["-C", dir.to_str().unwrap()], args].concat());
        git(&["add", "-A"]);
        git(&["commit", "-qm", "new"]);
        CommandOutput::from_output(project.xtask_command(&["gate"]).current_dir(dir).output().unwrap())
            .ends(0);
        let log = ["log", "--last", "--task", "t"];
        let log = CommandOutput::from_output(project.xtask_command(&log).current_dir(dir).output().unwrap())
            .ends(0)
            .out;
        log.lines().find(|line| line.contains("/worktrees/")).unwrap().to_owned()
    };
    let second = gate(&copy);
    assert_ne!(Path::new(&second), first);
    let moved = project.parent_folder().join("moved");
    fs::rename(&copy, &moved).unwrap();
    assert_ne!(gate(&moved), second);
    project.xtask(&["doctor"]).prints("1 folder of repositories that were moved or deleted");
    project
        .xtask(&["cache", "gc"])
        .ends(0)
        .prints("removed 1 folder of private worktrees whose repository is gone");
    assert!(!Path::new(&second).exists());
    // Folders that earlier versions left in the repository are removed too.
    project.write(".git/xtask/worktrees/gate-1/file", "").write(".git/xtask/sandboxes/run-1/tree/file", "");
    project.xtask(&["cache", "gc"]).ends(0).prints("removed 1 private worktree").prints("removed 1 sandbox");
    assert!(!project.path(".git/xtask/worktrees").exists() && !project.path(".git/xtask/sandboxes").exists());
}
