//! Tests of `[worktree]`.

use super::*;

#[test]
fn private_worktree_options_are_loaded() {
    let config = parse_ok(
        "[tasks.a]\nrun = 'x'\n[worktree]\nlink = ['node_modules', 'web/dist/']\ncopy = ['.env.test']\nfilters = ['lfs']\nsetup = 'npm ci'\n[defaults]\ntimeout = '5m'\n",
    );
    let worktree = &config.worktree;
    assert_eq!(worktree.link, [path("node_modules"), path("web/dist")]);
    assert_eq!(worktree.copy, [path(".env.test")]);
    assert_eq!(worktree.filters, ["lfs"]);
    assert!(!worktree.always_private);
    let patterns = parse_ok(
        "[tasks.a]\nrun = 'x'\n[worktree]\nlink = ['packages/*/node_modules', 'a[b]']\ncopy = ['?*/.env']\nin-place = false\n",
    );
    let worktree = &patterns.worktree;
    assert_eq!(worktree.link, [path("a[b]")]);
    assert!(worktree.link_patterns[0].pattern.matches(&path("packages/a/node_modules")));
    assert_eq!(worktree.copy_patterns[0].text(), "?*/.env");
    assert!(worktree.copy_patterns[0].may_miss && worktree.always_private);
    let worktree = &config.worktree;
    let setup = worktree.setup.as_ref().unwrap();
    assert_eq!(setup.run.command, Command::Shell("npm ci".to_owned()));
    assert_eq!((setup.run.limits.timeout, setup.inputs.is_whole()), (Some(Duration::from_secs(300)), true));
    let table = parse_ok(
        "[tools]\nnpm = 'npm -v'\n[worktree.setup]\nrun = ['npm', 'ci']\ninputs = ['package-lock.json']\ntools = ['npm']\n",
    );
    let setup = table.worktree.setup.unwrap();
    assert!(setup.inputs.matches(&path("package-lock.json")) && !setup.inputs.matches(&path("a")));
    assert_eq!(setup.tools, ["npm"]);
}

#[test]
fn invalid_private_worktree_options_are_errors() {
    insta::assert_snapshot!(parse_errors(
        "[worktree]\nlink = ['../x', '.git/hooks', '.']\nlinks = []\n[worktree.setup]\nneeds = ['a']\noutputs = ['b']\n"
    ), @r#"
    error: `../x` can't be provided
     --> tasks.toml:2:9
      |
    2 | link = ['../x', '.git/hooks', '.']
      |         ^^^^^^ not a path of the work tree
      |
      = help: write a file or folder that git ignores, such as "node_modules"

    error: `.git/hooks` can't be provided
     --> tasks.toml:2:17
      |
    2 | link = ['../x', '.git/hooks', '.']
      |                 ^^^^^^^^^^^^ not a path of the work tree
      |
      = help: write a file or folder that git ignores, such as "node_modules"

    error: `.` can't be provided
     --> tasks.toml:2:31
      |
    2 | link = ['../x', '.git/hooks', '.']
      |                               ^^^ not a path of the work tree
      |
      = help: write a file or folder that git ignores, such as "node_modules"

    error: `[worktree]` has no key `links`
     --> tasks.toml:3:1
      |
    3 | links = []
      | ^^^^^ not a key here
      |
      = help: did you mean `link`?

    error: the setup of `[worktree]` runs nothing
     --> tasks.toml:4:11
      |
    4 | [worktree.setup]
      |           ^^^^^ no `run`
      |
      = help: add `run` with the command that makes a fresh checkout ready

    error: the setup of `[worktree]` has no key `needs`
     --> tasks.toml:5:1
      |
    5 | needs = ['a']
      | ^^^^^ not a key here
      |
      = help: its keys are run, inputs, shell, cwd, env, pass-env, secret-env, tools, timeout, slow-after, description

    error: the setup of `[worktree]` has no key `outputs`
     --> tasks.toml:6:1
      |
    6 | outputs = ['b']
      | ^^^^^^^ not a key here
      |
      = help: what it writes stays in the worktree: remove it
    "#);
}
