//! Tests of files with errors: all errors are reported at once, and none that only follows from another.

use super::*;

#[test]
fn all_errors_are_reported_at_once() {
    insta::assert_snapshot!(parse_errors(
        r#"
[settings]
jbos = 2

[defaults]
timeout = "soon"

[tasks.build]
run = 5
retries = -1
inptus = ["src"]

[tasks.ci]
needs = ["buidl"]
"#
    ), @r#"
    error: `[settings]` has no key `jbos`
     --> tasks.toml:3:1
      |
    3 | jbos = 2
      | ^^^^ not a key here
      |
      = help: did you mean `jobs`?

    error: `soon` is not a duration such as "30s", "10m" or "1h 30m"
     --> tasks.toml:6:11
      |
    6 | timeout = "soon"
      |           ^^^^^^ not understood
      |
      = help: write a duration such as "30s", "10m" or "1h 30m"

    error: expected a string or an array of strings, found an integer
     --> tasks.toml:9:7
      |
    9 | run = 5
      |       ^ an integer here
      |
      = help: write a shell line such as "cargo test", or a program and its arguments such as ["cargo", "test"]

    error: -1 is not a number of retries
      --> tasks.toml:10:11
       |
    10 | retries = -1
       |           ^^ out of range
       |
       = help: 0 is none, 2 is at most three attempts

    error: task `build` has no key `inptus`
      --> tasks.toml:11:1
       |
    11 | inptus = ["src"]
       | ^^^^^^ not a key here
       |
       = help: did you mean `inputs`?

    error: `ci` needs `buidl`, which is neither a task nor a group
      --> tasks.toml:14:10
       |
    14 | needs = ["buidl"]
       |          ^^^^^^^ unknown task
       |
       = help: did you mean `build`?
    "#);
}

#[test]
fn rest_of_a_broken_file_is_still_checked() {
    insta::assert_snapshot!(parse_errors(
        "[tasks.a]\nrun = cargo test\nslots = 0\ntimeout =\n[tasks.b]\nneeds = ['lost']\nrun = 'x'\nrun = 'y'\nretries = 'two'\n[tasks.lost\nrun = 'z'\n"
    ), @r#"
    error: a string without quotes
     --> tasks.toml:2:7
      |
    2 | run = cargo test
      |       ^^^^^^^^^^ invalid TOML
      |
      = help: put it in double quotes

    error: 0 is not a number of job slots
     --> tasks.toml:3:9
      |
    3 | slots = 0
      |         ^ out of range
      |
      = help: a task takes at least 1

    error: a key without a value
     --> tasks.toml:4:10
      |
    4 | timeout =
      |          ^ invalid TOML
      |
      = help: write the value after `=`

    error: `run` is defined twice
     --> tasks.toml:8:1
      |
    8 | run = 'y'
      | ^^^ invalid TOML
      |
      = help: keep one of the two, or merge them

    error: expected a number of retries, found a string
     --> tasks.toml:9:11
      |
    9 | retries = 'two'
      |           ^^^^^ a string here
      |
      = help: write a number without quotes, such as 2

    error: unclosed table, expected `]`
      --> tasks.toml:10:12
       |
    10 | [tasks.lost
       |            ^ invalid TOML
       |
       = help: close it
    "#);
}

#[test]
fn broken_line_causes_no_false_errors() {
    let cases = [
        ("[tasks.a]\nrun = 'x", "invalid literal string, expected `'`"),
        ("[tasks.a]\nrun 'x'", "key with no value, expected `=`"),
        ("[tasks.a\nrun = 'x'\n[tasks.b]\nneeds = ['a']", "unclosed table, expected `]`"),
        ("[tasks.a]\nrun = 'x'\n[tasks.a]\nfix = 'x'", "`a` is defined twice"),
    ];
    for (text, message) in cases {
        assert_eq!(messages(text), [message], "{text}");
    }
    assert_eq!(messages(&format!("a = {}", "[".repeat(200))).len(), 2);
}
