//! Tests of `needs`: names, cycles, and aggregates.

use super::*;

#[test]
fn needs_name_tasks_and_groups_but_never_the_task_itself() {
    let config = parse_ok(
        r#"
[tasks.lint]
needs = ["lint", "lint"]
[tasks.a]
group = "lint"
run = "a"
[tasks.b]
group = "lint"
run = "b"
needs = ["unit"]
[tasks.unit]
group = "unit"
run = "u"
[tasks.other]
group = "unit"
run = "o"
[tasks.last]
group = "tail"
needs = ["b", "tail", "unit"]
run = "l"
[tasks.first]
group = "tail"
run = "f"
"#,
    );
    assert_eq!(need_names(&config, "lint"), ["a", "b"]);
    assert_eq!(need_names(&config, "b"), ["unit", "other"]);
    assert_eq!(need_names(&config, "last"), ["b", "unit", "other", "first"]);
}

#[test]
fn task_must_run_a_command_or_group_tasks() {
    insta::assert_snapshot!(parse_errors(
        r#"
[tasks.empty]
[tasks.only-fix]
fix = "x"
needs = []
[tasks.gathers]
needs = ["run"]
outputs = ["x"]
env = { A = "1" }
timeout = "1m"
[tasks.mends]
needs = ["run"]
fix = "x"
env = { A = "1" }
cwd = "x"
finally = "y"
[tasks.run]
run = "x"
"#
    ), @r#"
    error: task `empty` does nothing
     --> tasks.toml:2:8
      |
    2 | [tasks.empty]
      |        ^^^^^ neither `run` nor `needs`
      |
      = help: add `run` with a command, or `needs` with other tasks

    error: task `only-fix` does nothing
     --> tasks.toml:3:8
      |
    3 | [tasks.only-fix]
      |        ^^^^^^^^ neither `run` nor `needs`
      |
      = help: add `run` with a command, or `needs` with other tasks

    error: `outputs` has no effect without `run`
     --> tasks.toml:8:1
      |
    8 | outputs = ["x"]
      | ^^^^^^^ `gathers` runs nothing
      |
      = help: remove it, or add `run`

    error: `env` has no effect without `run`
     --> tasks.toml:9:1
      |
    9 | env = { A = "1" }
      | ^^^ `gathers` runs nothing
      |
      = help: remove it, or add `run`

    error: `timeout` has no effect without `run`
      --> tasks.toml:10:1
       |
    10 | timeout = "1m"
       | ^^^^^^^ `gathers` runs nothing
       |
       = help: remove it, or add `run`

    error: `finally` has no effect without `run`
      --> tasks.toml:16:1
       |
    16 | finally = "y"
       | ^^^^^^^ `mends` runs nothing
       |
       = help: remove it, or add `run`
    "#);
}

#[test]
fn unknown_needs_are_errors() {
    insta::assert_snapshot!(parse_errors(
        r#"
[tasks.ci]
needs = ["lnt", "deploy", "ci"]
[tasks.clippy]
run = "x"
group = "lint"
[tasks.alone]
group = "alone"
needs = ["alone"]
run = "x"
"#
    ), @r#"
    error: `ci` needs `lnt`, which is neither a task nor a group
     --> tasks.toml:3:10
      |
    3 | needs = ["lnt", "deploy", "ci"]
      |          ^^^^^ unknown task
      |
      = help: did you mean `lint`?

    error: `ci` needs `deploy`, which is neither a task nor a group
     --> tasks.toml:3:17
      |
    3 | needs = ["lnt", "deploy", "ci"]
      |                 ^^^^^^^^ unknown task
      |
      = help: there are `ci`, `clippy`, `alone`, `lint`

    error: task `ci` needs itself
     --> tasks.toml:3:27
      |
    3 | needs = ["lnt", "deploy", "ci"]
      |                           ^^^^ no other task has this name
      |
      = help: remove it

    error: task `alone` needs itself
     --> tasks.toml:9:10
      |
    9 | needs = ["alone"]
      |          ^^^^^^^ no other task has this name
      |
      = help: remove it
    "#);
}

#[test]
fn cycle_is_shown_whole_and_once() {
    insta::assert_snapshot!(parse_errors(
        r#"
[tasks.a]
needs = ["b"]
[tasks.b]
needs = ["lint"]
[tasks.c]
group = "lint"
run = "c"
needs = ["outside", "a"]
[tasks.outside]
run = "x"
[tasks.x]
needs = ["y", "c"]
[tasks.y]
needs = ["x"]
"#
    ), @r#"
    error: tasks need each other in a cycle: a → b → c → a
     --> tasks.toml:3:10
      |
    3 | needs = ["b"]
      |          ^^^ `a` needs `b`
    4 | [tasks.b]
    5 | needs = ["lint"]
      |          ------ `b` needs `c`, a member of that group
    ...
    9 | needs = ["outside", "a"]
      |                     --- `c` needs `a`
      |
      = help: remove one of these needs

    error: tasks need each other in a cycle: x → y → x
      --> tasks.toml:13:10
       |
    13 | needs = ["y", "c"]
       |          ^^^ `x` needs `y`
    14 | [tasks.y]
    15 | needs = ["x"]
       |          --- `y` needs `x`
       |
       = help: remove one of these needs
    "#);
}
