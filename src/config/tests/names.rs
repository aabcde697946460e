//! Tests of names and descriptions.

use super::*;

#[test]
fn invalid_names_are_errors() {
    insta::assert_snapshot!(parse_errors(
        "[files]\n'a b' = []\n[tools]\n-x = 'x'\n[tasks.'a:b']\nrun = 'x'\ngroup = ''\nlocks = ['a/b']\n"
    ), @r#"
    error: `a b` can't be the name of a set
     --> tasks.toml:2:1
      |
    2 | 'a b' = []
      | ^^^^^ not a name
      |
      = help: a name has letters, digits, `-`, `_` and `.` only

    error: `-x` can't be the name of a tool
     --> tasks.toml:4:1
      |
    4 | -x = 'x'
      | ^^ not a name
      |
      = help: a name starts with a letter, a digit or `_`

    error: `a:b` can't be the name of a task
     --> tasks.toml:5:8
      |
    5 | [tasks.'a:b']
      |        ^^^^^ not a name
      |
      = help: a name has letters, digits, `-`, `_` and `.` only

    error: the name of a group is empty
     --> tasks.toml:7:9
      |
    7 | group = ''
      |         ^^ not a name
      |
      = help: a name can't be empty

    error: `a/b` can't be the name of a lock
     --> tasks.toml:8:10
      |
    8 | locks = ['a/b']
      |          ^^^^^ not a name
      |
      = help: a name has letters, digits, `-`, `_` and `.` only
    "#);
    assert!(messages("[tasks.A]\nrun = 'x'\n[tasks.a]\nrun = 'x'").is_empty());
}

#[test]
fn description_is_one_line() {
    insta::assert_snapshot!(parse_errors("[tasks.a]\nrun = 'x'\ndescription = \"one\\ntwo\"\n"), @r#"
    error: a description must be one line of plain text
     --> tasks.toml:3:15
      |
    3 | description = "one\ntwo"
      |               ^^^^^^^^^^ has a line end or another control character
      |
      = help: shorten it; longer text can be a comment
    "#);
    assert_eq!(messages("[tasks.a]\nrun = 'x'\ndescription = \"\\u001b[31mred\"").len(), 1);
}
