//! Tests of types, numbers and units.

use super::*;

#[test]
fn wrong_types_say_what_was_expected_and_found() {
    insta::assert_snapshot!(parse_errors(
        r#"
tools = 1
[settings]
jobs = "four"
shell = "bash -c"
[tasks]
quick = "cargo test"
[tasks.a]
run = 1
description = ["x"]
needs = "b"
inputs = { a = 1 }
outputs = ["x", 2]
timeout = 30
slots = 1.5
cache = "no"
env = ["A=1"]
[tasks.b]
run = "b"
env = { A = 1, B = true }
"#
    ), @r#"
    error: expected a table, found an integer
     --> tasks.toml:2:9
      |
    2 | tools = 1
      |         ^ an integer here
      |
      = help: begin it with `[tools]` on a line of its own

    error: expected a number of jobs, found a string
     --> tasks.toml:4:8
      |
    4 | jobs = "four"
      |        ^^^^^^ a string here
      |
      = help: write a number without quotes, such as 2

    error: expected an array of strings, found a string
     --> tasks.toml:5:9
      |
    5 | shell = "bash -c"
      |         ^^^^^^^^^ a string here
      |
      = help: put it in brackets: ["bash -c"]

    error: expected a table, found a string
     --> tasks.toml:7:9
      |
    7 | quick = "cargo test"
      |         ^^^^^^^^^^^^ a string here
      |
      = help: write it as `[tasks.quick]` with `run = "…"` below

    error: expected a string or an array of strings, found an integer
     --> tasks.toml:9:7
      |
    9 | run = 1
      |       ^ an integer here
      |
      = help: write a shell line such as "cargo test", or a program and its arguments such as ["cargo", "test"]

    error: expected a string, found an array
      --> tasks.toml:10:15
       |
    10 | description = ["x"]
       |               ^^^^^ an array here
       |
       = help: write a string in quotes

    error: expected an array of strings, found a string
      --> tasks.toml:11:9
       |
    11 | needs = "b"
       |         ^^^ a string here
       |
       = help: put it in brackets: ["b"]

    error: expected an array of strings, found a table
      --> tasks.toml:12:10
       |
    12 | inputs = { a = 1 }
       |          ^^^^^^^^^ a table here
       |
       = help: write it as ["…", "…"]

    error: expected a string, found an integer
      --> tasks.toml:13:17
       |
    13 | outputs = ["x", 2]
       |                 ^ an integer here
       |
       = help: put it in quotes: "2"

    error: expected a duration such as "30s", "10m" or "1h 30m", found an integer
      --> tasks.toml:14:11
       |
    14 | timeout = 30
       |           ^^ an integer here
       |
       = help: write a duration such as "30s", "10m" or "1h 30m"

    error: expected a number of job slots, found a float
      --> tasks.toml:15:9
       |
    15 | slots = 1.5
       |         ^^^ a float here
       |
       = help: write a number without quotes, such as 2

    error: expected a boolean, found a string
      --> tasks.toml:16:9
       |
    16 | cache = "no"
       |         ^^^^ a string here
       |
       = help: write true or false, without quotes

    error: expected a table, found an array
      --> tasks.toml:17:7
       |
    17 | env = ["A=1"]
       |       ^^^^^^^ an array here
       |
       = help: write `env = { NAME = "value" }`; to pass a variable on, use `pass-env`

    error: expected a string, found an integer
      --> tasks.toml:20:13
       |
    20 | env = { A = 1, B = true }
       |             ^ an integer here
       |
       = help: put it in quotes: "1"

    error: expected a string, found a boolean
      --> tasks.toml:20:20
       |
    20 | env = { A = 1, B = true }
       |                    ^^^^ a boolean here
       |
       = help: put it in quotes: "true"
    "#);
}

#[test]
fn numbers_and_units_have_limits() {
    insta::assert_snapshot!(parse_errors(
        "[settings]\njobs = -1\ncache-size = '0 B'\n[tasks.a]\nrun = 'x'\nslots = 0\nretries = 99999999999\ntimeout = '0s'\nslow-after = '5 parsecs'\n"
    ), @r#"
    error: -1 is not a number of jobs
     --> tasks.toml:2:8
      |
    2 | jobs = -1
      |        ^^ out of range
      |
      = help: write 0 for one job per core

    error: a size can't be zero
     --> tasks.toml:3:14
      |
    3 | cache-size = '0 B'
      |              ^^^^^ not understood
      |
      = help: write a size such as "10 GiB"

    error: 0 is not a number of job slots
     --> tasks.toml:6:9
      |
    6 | slots = 0
      |         ^ out of range
      |
      = help: a task takes at least 1

    error: 99999999999 is not a number of retries
     --> tasks.toml:7:11
      |
    7 | retries = 99999999999
      |           ^^^^^^^^^^^ out of range
      |
      = help: 0 is none, 2 is at most three attempts

    error: a duration can't be zero
     --> tasks.toml:8:11
      |
    8 | timeout = '0s'
      |           ^^^^ not understood
      |
      = help: write a duration such as "30s", "10m" or "1h 30m"

    error: `5 parsecs` is not a duration such as "30s", "10m" or "1h 30m"
     --> tasks.toml:9:14
      |
    9 | slow-after = '5 parsecs'
      |              ^^^^^^^^^^^ not understood
      |
      = help: write a duration such as "30s", "10m" or "1h 30m"
    "#);
    assert_eq!(messages("[settings]\njobs = 99999999999999999999"), ["the number is too large"]);
    assert_eq!(parse_ok("[settings]\njobs = 0x10").settings.jobs.map(std::num::NonZero::get), Some(16));
    assert_eq!(parse_ok("[settings]\njobs = 1_000").settings.jobs.map(std::num::NonZero::get), Some(1000));
}
