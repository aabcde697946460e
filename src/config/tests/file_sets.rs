//! Tests of `[files]`.

use super::*;

#[test]
fn sets_can_contain_sets_and_be_excluded() {
    let config = parse_ok(
        r#"
[files]
all = ["@rust", "!@generated", "keep.txt"]
rust = ["**/*.rs"]
generated = ["gen/**"]
[tasks.a]
run = "a"
inputs = ["@all"]
[tasks.b]
run = "b"
inputs = ["!@rust"]
[tasks.c]
run = "c"
inputs = ['\@rust']
"#,
    );
    let a = &task(&config, "a").inputs;
    assert!(a.matches(&path("x.rs")) && a.matches(&path("keep.txt")) && !a.matches(&path("gen/x.rs")));
    let b = &task(&config, "b").inputs;
    assert!(b.matches(&path("x.py")) && !b.matches(&path("x.rs")));
    assert!(task(&config, "c").inputs.matches(&path("@rust")));
}

#[test]
fn unknown_set_or_cycle_of_sets_is_an_error() {
    insta::assert_snapshot!(parse_errors(
        r#"
[files]
a = ["@b"]
b = ["x", "@c"]
c = ["!@a"]
self = ["@self"]
rust = ["@missing"]
[tasks.a]
run = "x"
inputs = ["@rst"]
"#
    ), @r#"
    error: sets contain each other in a cycle: @a → @b → @c → @a
     --> tasks.toml:3:6
      |
    3 | a = ["@b"]
      |      ^^^^ `@a` contains `@b`
    4 | b = ["x", "@c"]
      |           ---- `@b` contains `@c`
    5 | c = ["!@a"]
      |      ----- `@c` contains `@a`
      |
      = help: remove one of these

    error: sets contain each other in a cycle: @self → @self
     --> tasks.toml:6:9
      |
    6 | self = ["@self"]
      |         ^^^^^^^ `@self` contains `@self`
      |
      = help: remove one of these

    error: there is no set `@missing`
     --> tasks.toml:7:9
      |
    7 | rust = ["@missing"]
      |         ^^^^^^^^^^ unknown set
      |
      = help: there are `@a`, `@b`, `@c`, `@rust`, `@self`

    error: there is no set `@rst`
      --> tasks.toml:10:11
       |
    10 | inputs = ["@rst"]
       |           ^^^^^^ unknown set
       |
       = help: did you mean `@rust`?
    "#);
    assert_eq!(messages("[tasks.a]\nrun = 'x'\ninputs = ['@x']"), ["there is no set `@x`"]);
    assert_eq!(messages("[tasks.a]\nrun = 'x'\ninputs = ['!@']"), ["`@` names no set"]);
}

#[test]
fn nested_sets_do_not_grow_exponentially() {
    let mut text = "[files]\ns0 = ['a', 'b']\n".to_owned();
    for i in 1..40 {
        writeln!(text, "s{i} = ['@s{0}', '!@s{0}', '@s{0}']", i - 1).unwrap();
    }
    assert_eq!(messages(&text), ["with the sets within it, `@s8` is too large"]);
}
