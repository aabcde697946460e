//! Tests of patterns, folders and outputs.

use super::*;

#[test]
fn patterns_and_folders_stay_in_the_repository() {
    insta::assert_snapshot!(parse_errors(
        r#"
[files]
up = ["../x"]
[tasks.a]
run = "x"
cwd = "/tmp"
inputs = ["", "a[b", "*/../x", "!!x"]
outputs = ["../../dist", "@up"]
"#
    ), @r#"
    error: `../x` can't be matched: it is outside the repository
     --> tasks.toml:3:7
      |
    3 | up = ["../x"]
      |       ^^^^^^ not a pattern here
      |
      = help: a task can only declare files of its repository

    error: `/tmp` is outside the repository
     --> tasks.toml:6:7
      |
    6 | cwd = "/tmp"
      |       ^^^^^^ not in the repository
      |
      = help: write a folder relative to this file's folder, such as "web/app"

    error: an empty pattern matches nothing
     --> tasks.toml:7:11
      |
    7 | inputs = ["", "a[b", "*/../x", "!!x"]
      |           ^^ not a pattern here
      |
      = help: remove it; `[]` is no file, `["**"]` is every file

    error: `a[b` can't be matched: `[` is never closed
     --> tasks.toml:7:15
      |
    7 | inputs = ["", "a[b", "*/../x", "!!x"]
      |               ^^^^^ not a pattern here
      |
      = help: close it, or write `\` before it if it is part of a name

    error: `*/../x` can't be matched: `..` can't follow a wildcard
     --> tasks.toml:7:22
      |
    7 | inputs = ["", "a[b", "*/../x", "!!x"]
      |                      ^^^^^^^^ not a pattern here
      |
      = help: write `..` before all wildcards

    error: `!!x` can't be matched: it begins with more than one `!`
     --> tasks.toml:7:32
      |
    7 | inputs = ["", "a[b", "*/../x", "!!x"]
      |                                ^^^^^ not a pattern here
      |
      = help: write it more simply, for example as several patterns

    error: `../../dist` can't be matched: it is outside the repository
     --> tasks.toml:8:12
      |
    8 | outputs = ["../../dist", "@up"]
      |            ^^^^^^^^^^^^ not a pattern here
      |
      = help: a task can only declare files of its repository

    error: a set can't be used in `outputs`
     --> tasks.toml:8:26
      |
    8 | outputs = ["../../dist", "@up"]
      |                          ^^^^^ a set
      |
      = help: write the files that the task creates
    "#);
    assert_eq!(messages("[tasks.a]\nrun = 'x'\ncwd = 'a/../..'").len(), 1);
}

#[test]
fn two_tasks_that_write_one_output_are_an_error() {
    insta::assert_snapshot!(parse_errors(
        r#"
[tasks.web]
run = "x"
outputs = ["!dist/api/**", "dist"]
[tasks.app]
run = "x"
outputs = ["target/app", "dist/app.js"]
"#
    ), @r#"
    error: `web` and `app` may write the same output
     --> tasks.toml:7:26
      |
    4 | outputs = ["!dist/api/**", "dist"]
      |                            ------ `web` may write it
    ...
    7 | outputs = ["target/app", "dist/app.js"]
      |                          ^^^^^^^^^^^^^ `app` may write it
      |
      = help: give each its own files, or exclude one's from the other's with `!`
    "#);
    let two = |one: &str, other: &str| {
        messages(&format!("[tasks.a]\nrun = 'x'\noutputs = {one}\n[tasks.b]\nrun = 'y'\noutputs = {other}"))
            .len()
    };
    assert_eq!(two("['dist/*.js']", "['dist/*.css']"), 0);
    assert_eq!(two("['dist', '!dist/api/**']", "['dist/api/**']"), 0);
    assert_eq!(two("['dist']", "['dist-old', 'web/dist']"), 0);
    assert_eq!(two("['dist/a']\nos = ['linux']", "['dist/a']\nos = ['macos']"), 0);
    assert_eq!(two("['dist/a']\nos = ['linux']", "['dist/a']"), 1);
    assert_eq!(two("['dist/a', 'dist/*']", "['dist/a', 'dist/b']"), 1);
    assert_eq!(two("['**/a']", "['x/*']"), 1);
}

#[test]
fn protected_files_cannot_be_outputs() {
    insta::assert_snapshot!(parse_errors(
        "[tasks.a]\nrun = 'x'\noutputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']\n[tasks.b]\nrun = 'x'\noutputs = ['!x']\n"
    ), @r#"
    error: output `.` would include the whole folder of tasks.toml
     --> tasks.toml:3:12
      |
    3 | outputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']
      |            ^^^ too much
      |
      = help: outputs are replaced from the cache: list only files that the task creates, such as "dist/**"

    error: output `.git/hooks` would include files of git
     --> tasks.toml:3:17
      |
    3 | outputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']
      |                 ^^^^^^^^^^^^ too much
      |
      = help: outputs are replaced from the cache: list only files that the task creates, such as "dist/**"

    error: output `tasks.*` would include tasks.toml itself
     --> tasks.toml:3:31
      |
    3 | outputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']
      |                               ^^^^^^^^^ too much
      |
      = help: outputs are replaced from the cache: list only files that the task creates, such as "dist/**"

    error: output `.g*` would include files of git
     --> tasks.toml:3:42
      |
    3 | outputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']
      |                                          ^^^^^ too much
      |
      = help: outputs are replaced from the cache: list only files that the task creates, such as "dist/**"

    error: `outputs` only excludes
     --> tasks.toml:6:12
      |
    6 | outputs = ['!x']
      |            ^^^^ nothing to exclude from
      |
      = help: write the files that the task creates before it
    "#);
    for text in ["**", "*", "*/", "**/*", "./", "a/..", "sub/.git/x", "{a,.git}/x", "*.toml"] {
        assert_eq!(messages(&format!("[tasks.a]\nrun = 'x'\noutputs = ['{text}']")).len(), 1, "{text}");
    }
    for text in ["**/*.js", "dist", "a/tasks.toml", ".github/x", "*/dist"] {
        let messages = messages(&format!("[tasks.a]\nrun = 'x'\noutputs = ['{text}']"));
        assert!(messages.is_empty(), "{text}: {messages:?}");
    }
    assert!(messages("[tasks.a]\nrun = 'x'\noutputs = ['*.toml', '!tasks.toml']").is_empty());
    assert!(
        parse(&SourceText {
            name: "x",
            text: "[tasks.a]\nrun='x'\noutputs=['..']",
            base: path("web"),
            project: ""
        })
        .is_err()
    );
}
