//! Tests of `run`, `fix` and `finally`, and of the tools and operating systems that tasks need.

use super::*;

#[test]
fn empty_command_is_an_error() {
    insta::assert_snapshot!(parse_errors(
        "[tasks.a]\nrun = ' '\n[tasks.b]\nrun = []\nfix = ['']\nshell = []\n[tools]\nt = ''\n"
    ), @r#"
    error: `run` is empty
     --> tasks.toml:2:7
      |
    2 | run = ' '
      |       ^^^ nothing to run
      |
      = help: write a shell line such as "cargo test", or a program and its arguments such as ["cargo", "test"]

    error: `run` names no program
     --> tasks.toml:4:7
      |
    4 | run = []
      |       ^^ empty
      |
      = help: write a shell line such as "cargo test", or a program and its arguments such as ["cargo", "test"]

    error: `fix` names no program
     --> tasks.toml:5:8
      |
    5 | fix = ['']
      |        ^^ empty
      |
      = help: write a shell line such as "cargo test", or a program and its arguments such as ["cargo", "test"]

    error: the shell names no program
     --> tasks.toml:6:9
      |
    6 | shell = []
      |         ^^ empty
      |
      = help: write the program and its arguments before the line, such as ["bash", "-ec"]

    error: the probe of `t` is empty
     --> tasks.toml:8:5
      |
    8 | t = ''
      |     ^^ nothing to run
      |
      = help: write what prints its version, such as `rustc = "rustc -vV"`
    "#);
    let cases = [
        "[settings]\nshell = []",
        "[settings]\nshell = ['']",
        "[defaults]\nshell = []",
        "[tasks.a]\nrun = ['', 'x']",
        "[tasks.a]\nrun = \"a\\u0000b\"",
        "[tasks.a]\nrun = ['a', \"\\u0000\"]",
        "[tasks.a]\nrun = 'a'\ncwd = \"\\u0000\"",
        "[tasks.a]\nrun = 'a'\nenv = { A = \"\\u0000\" }",
        "[tasks.a]\nrun = 'a'\nenv = { \"\\u0000\" = '' }",
        "[tasks.a]\nrun = 'a'\ninputs = [\"\\u0000\"]",
        "[tasks.a]\nrun = 'a'\nfinally = ''",
    ];
    for text in cases {
        assert_eq!(messages(text).len(), 1, "{text}");
    }
    assert!(messages("[tasks.a]\nrun = ['a', '']").is_empty());
}

#[test]
fn unknown_system_or_tool_is_an_error() {
    insta::assert_snapshot!(parse_errors(
        "[tools]\nrustc = 'rustc -vV'\nnode = 'node -v'\n[tasks.a]\nrun = 'x'\nos = ['linus', 'darwin', 'plan9']\ntools = ['rust', 'gcc']\n"
    ), @r#"
    error: there is no system `linus`
     --> tasks.toml:6:7
      |
    6 | os = ['linus', 'darwin', 'plan9']
      |       ^^^^^^^ unknown system
      |
      = help: did you mean `linux`?

    error: there is no system `darwin`
     --> tasks.toml:6:16
      |
    6 | os = ['linus', 'darwin', 'plan9']
      |                ^^^^^^^^ unknown system
      |
      = help: did you mean `macos`?

    error: there is no system `plan9`
     --> tasks.toml:6:26
      |
    6 | os = ['linus', 'darwin', 'plan9']
      |                          ^^^^^^^ unknown system
      |
      = help: there are `linux`, `macos`, `windows`, `freebsd`

    error: there is no tool `rust`
     --> tasks.toml:7:10
      |
    7 | tools = ['rust', 'gcc']
      |          ^^^^^^ unknown tool
      |
      = help: did you mean `rustc`?

    error: there is no tool `gcc`
     --> tasks.toml:7:18
      |
    7 | tools = ['rust', 'gcc']
      |                  ^^^^^ unknown tool
      |
      = help: there are `node`, `rustc`
    "#);
    assert_eq!(messages("[tasks.a]\nrun = 'x'\ntools = ['gcc']"), ["there is no tool `gcc`"]);
    assert!(messages("[tasks.a]\nrun = 'x'\nos = ['linux', 'macos', 'windows', 'freebsd']").is_empty());
}
