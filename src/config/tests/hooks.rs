//! Tests of `[hooks]`.

use super::*;

#[test]
fn hooks_name_tasks_and_groups_by_stage() {
    let config = parse_ok(
        "[tasks.fmt]\ngroup = 'lint'\nrun = 'x'\n[tasks.ci]\nneeds = ['lint']\n[hooks]\npre-push = ['ci', 'ci']\npre-commit = ['lint']\npost-merge = []\n",
    );
    let names = |stage| config.hooks.get(&stage).map(|names| names.join(" "));
    assert_eq!(names(Stage::PRE_PUSH).as_deref(), Some("ci"));
    assert_eq!(names(Stage::PRE_COMMIT).as_deref(), Some("lint"));
    assert_eq!(names(Stage::parse("post-merge").unwrap()).as_deref(), Some(""));
    assert_eq!(names(Stage::PRE_MERGE_COMMIT), None);
}

#[test]
fn hook_without_tasks_is_an_error() {
    insta::assert_snapshot!(parse_errors(
        "[tasks.fmt]\ngroup = 'lint'\nrun = 'x'\n[hooks]\nprepush = ['lnt']\npre-push = ['lnt']\nupdate = []\npre-commit = 'fmt'\n"
    ), @r#"
    error: `prepush` is not a client-side hook of git
     --> tasks.toml:5:1
      |
    5 | prepush = ['lnt']
      | ^^^^^^^ not a client-side hook
      |
      = help: did you mean `pre-push`?

    error: pre-push names `lnt`, which is neither a task nor a group
     --> tasks.toml:6:13
      |
    6 | pre-push = ['lnt']
      |             ^^^^^ unknown task
      |
      = help: did you mean `lint`?

    error: `update` is not a client-side hook of git
     --> tasks.toml:7:1
      |
    7 | update = []
      | ^^^^^^ not a client-side hook
      |
      = help: it runs on the server; on this side, `pre-push` is the last one

    error: expected an array of strings, found a string
     --> tasks.toml:8:14
      |
    8 | pre-commit = 'fmt'
      |              ^^^^^ a string here
      |
      = help: put it in brackets: ["fmt"]
    "#);
}
