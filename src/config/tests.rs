//! Tests of the parser from the text of a file to its config or its drawn diagnostics.
#![expect(clippy::too_many_lines, reason = "drawn messages stand in the tests as they are read")]

mod gates;

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::ground::clock::Clock;
use model::{PassEnv, TaskId};
use stage::Stage;

fn source(text: &str) -> Source<'_> {
    Source { name: "tasks.toml", text, base: RepoPath::top(), project: "" }
}

fn right(text: &str) -> Config {
    let config = parse(&source(text)).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    schema::tests::accepts(text);
    config
}

fn wrong(text: &str) -> String {
    match parse(&source(text)) {
        Ok(config) => panic!("this should be refused: {text}\n{config:?}"),
        Err(diagnostics) => diagnostics.render(false),
    }
}

/// Messages alone, a line each.
fn messages(text: &str) -> Vec<String> {
    match parse(&source(text)) {
        Ok(_) => {
            schema::tests::accepts(text);
            Vec::new()
        }
        Err(diagnostics) => diagnostics.list().map(|diagnostic| diagnostic.message.clone()).collect(),
    }
}

fn path(text: &str) -> RepoPath {
    RepoPath::from_git(text.as_bytes())
}

fn task<'c>(config: &'c Config, name: &str) -> &'c Task {
    config.tasks.iter().find(|task| task.name == name).unwrap()
}

fn need_names<'c>(config: &'c Config, name: &str) -> Vec<&'c str> {
    task(config, name).needs.iter().map(|id| &*config.task(*id).name).collect()
}

pub(super) const DESIGN: &str = r#"
[settings]
jobs = 0                                # 0: one per core
cache-size = "10 GiB"
shell = ["sh", "-ec"]                   # runs a string command; a task may name its own

[files]                                 # named sets, used as "@rust"; gitignore-style globs, "!" excludes
rust = ["**/*.rs", "**/Cargo.toml", "Cargo.lock", "!target/**"]

[tools]                                 # probes; a probe's output enters the key of each task that names it
rustc = "rustc -vV"

[defaults]                              # for every task of this file
timeout = "30m"

[tasks.ci]
needs = ["lint", "unit", "integration", "e2e"]      # tasks or groups

[tasks.clippy]
description = "Lint with clippy"
group = "lint"
run = "cargo clippy --workspace --all-targets -- -D warnings"   # a string is a shell line, an array is an argv
fix = "cargo clippy --fix --allow-dirty"
inputs = ["@rust"]                      # left out: the whole tree
tools = ["rustc"]

[tasks.build]
run = "cargo build --release"
inputs = ["@rust"]
outputs = ["target/release/app"]        # stored and restored; no outputs: only the log and the fact that it passed
env = { RUSTFLAGS = "-D warnings" }
pass-env = ["CARGO_HOME"]               # value enters the key; "?NAME" passes it without entering the key
secret-env = ["REGISTRY_TOKEN"]         # passed, hashed into the key, masked in every log

[tasks.integration]
group = "integration"
run = ["cargo", "nextest", "run", "--profile", "integration"]
needs = ["build"]
timeout = "10m"
slow-after = "2m"
retries = 2                             # a pass after a failure is "flaky": the run passes, nothing is cached
locks = ["port-5432"]                   # never two holders at once
slots = 2                               # job slots it takes
os = ["linux"]
finally = "docker compose down"         # always runs, also after a failure, a timeout or Ctrl-C

[tasks.wheel]
group = "unit"
run = "tox -e py"
cwd = "python"
shell = ["bash", "-c"]
cache = false

[tasks.browser]
group = "e2e"
run = "npx playwright test"
inputs = []
"#;

#[test]
fn the_design_is_read_as_it_says() {
    let config = right(DESIGN);
    let names: Vec<&str> = config.tasks.iter().map(|task| &*task.name).collect();
    assert_eq!(names, ["ci", "clippy", "build", "integration", "wheel", "browser"]);
    assert_eq!(config.settings, model::Settings::default());
    assert_eq!(config.tools["rustc"].probe, "rustc -vV");

    let ci = task(&config, "ci");
    assert!(ci.is_aggregate());
    assert_eq!(ci.needs, [TaskId(1), TaskId(3), TaskId(4), TaskId(5)]);
    assert_eq!((ci.timeout, ci.inputs.is_empty()), (None, true));

    let clippy = task(&config, "clippy");
    assert_eq!(clippy.description.as_deref(), Some("Lint with clippy"));
    assert_eq!(clippy.timeout, Some(Duration::from_secs(1800)));
    assert_eq!(clippy.tools, ["rustc"]);
    assert_eq!(clippy.shell, ["sh", "-ec"]);
    assert!(clippy.inputs.matches(&path("x/a.rs")) && !clippy.inputs.matches(&path("target/a.rs")));
    assert_eq!(clippy.place, model::Place { file: "tasks.toml".to_owned(), line: 19, column: 8 });

    let build = task(&config, "build");
    assert_eq!(build.env["RUSTFLAGS"], "-D warnings");
    assert_eq!(build.pass_env, [PassEnv { name: "CARGO_HOME".to_owned(), keyed: true }]);
    assert_eq!(build.secret_env, ["REGISTRY_TOKEN"]);
    assert!(build.outputs.matches(&path("target/release/app")));

    let integration = task(&config, "integration");
    assert!(matches!(&integration.run, Some(Command::Argv(argv)) if argv.len() == 5));
    assert_eq!(integration.finally, Some(Command::Shell("docker compose down".to_owned())));
    assert_eq!(integration.timeout, Some(Duration::from_secs(600)));
    assert_eq!(integration.slow_after, Some(Duration::from_secs(120)));
    assert_eq!((integration.retries, integration.slots.get(), integration.cache), (2, 2, true));
    assert_eq!(
        (&*integration.locks, &*integration.os),
        (&["port-5432".to_owned()][..], &["linux".to_owned()][..])
    );
    assert!(integration.inputs.is_whole());

    let wheel = task(&config, "wheel");
    assert_eq!((wheel.cwd.to_string(), wheel.cache), ("python".to_owned(), false));
    assert_eq!(wheel.shell, ["bash", "-c"]);
    assert!(task(&config, "browser").inputs.is_empty());
}

#[test]
fn an_empty_file_has_no_tasks() {
    assert!(right("").tasks.is_empty());
    assert!(right("[settings]\n[tasks]\n[files]\n").tasks.is_empty());
}

#[test]
fn paths_are_taken_from_the_folder_of_the_file() {
    let text = "[files]\nx = ['src']\n[tasks.a]\nrun = 'a'\ncwd = '../lib'\ninputs = ['@x']\noutputs = ['dist']\n[tasks.b]\nrun = 'b'";
    let config = parse(&Source { name: "web/tasks.toml", text, base: path("web"), project: "" }).unwrap();
    let a = task(&config, "a");
    assert_eq!(a.cwd, path("lib"));
    assert_eq!(task(&config, "b").cwd, path("web"));
    assert!(a.inputs.matches(&path("web/src/x")) && !a.inputs.matches(&path("src/x")));
    assert!(a.outputs.matches(&path("web/dist/x")) && !a.outputs.matches(&path("dist/x")));
}

#[test]
fn a_task_overrides_and_joins_the_defaults() {
    let config = right(
        r#"
[settings]
shell = ["zsh", "-c"]
[tools]
one = "one"
two = "two"
[defaults]
env = { A = "a", B = "b", D = "d" }
pass-env = ["P", "?Q"]
secret-env = ["S"]
tools = ["one"]
os = ["linux", "macos", "linux"]
locks = ["x"]
slots = 3
retries = 1
cache = false
inputs = ["src"]
[tasks.plain]
run = "true"
[tasks.own]
run = "true"
env = { B = "own", P = "set" }
pass-env = ["Q", "D"]
tools = ["two", "one", "two"]
os = []
locks = []
slots = 1
retries = 0
cache = true
inputs = ["lib"]
[tasks.gathers]
needs = ["own"]
[tasks.mends]
needs = ["own"]
fix = "mend"
env = { X = "x" }
"#,
    );
    let plain = task(&config, "plain");
    assert_eq!((plain.slots.get(), plain.retries, plain.cache, plain.os.len()), (3, 1, false, 2));
    assert_eq!(plain.shell, ["zsh", "-c"]);
    assert_eq!(plain.tools, ["one"]);
    assert!(plain.inputs.matches(&path("src/x")));

    let own = task(&config, "own");
    let env: Vec<(&str, &str)> = own.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(env, [("A", "a"), ("B", "own"), ("P", "set")]);
    let passed: Vec<(&str, bool)> = own.pass_env.iter().map(|pass| (&*pass.name, pass.keyed)).collect();
    assert_eq!(passed, [("D", true), ("Q", true)]);
    assert_eq!(own.secret_env, ["S"]);
    assert_eq!(own.tools, ["one", "two"]);
    assert!(own.os.is_empty() && own.locks.is_empty() && own.cache);
    assert_eq!((own.slots.get(), own.retries), (1, 0));
    assert!(own.inputs.matches(&path("lib/x")) && !own.inputs.matches(&path("src/x")));

    assert!(task(&config, "gathers").env.is_empty() && task(&config, "gathers").tools.is_empty());
    assert_eq!(task(&config, "mends").env.len(), 4);
}

#[test]
fn needs_name_tasks_and_groups_but_never_the_task_itself() {
    let config = right(
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
fn sets_may_hold_sets_and_be_excluded() {
    let config = right(
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
fn every_error_is_reported_in_one_go() {
    insta::assert_snapshot!(wrong(
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
fn broken_toml_is_reported_with_what_can_be_read_of_the_rest() {
    insta::assert_snapshot!(wrong(
        "[tasks.a]\nrun = cargo test\nslots = 0\ntimeout =\n[tasks.b]\nneeds = ['lost']\nrun = 'x'\nrun = 'y'\nretries = 'two'\n[tasks.lost\nrun = 'z'\n"
    ), @r#"
    error: a text without quotes
     --> tasks.toml:2:7
      |
    2 | run = cargo test
      |       ^^^^^^^^^^ TOML can't be read here
      |
      = help: put it between double quotes

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
      |          ^ TOML can't be read here
      |
      = help: write the value behind `=`

    error: `run` is defined twice
     --> tasks.toml:8:1
      |
    8 | run = 'y'
      | ^^^ TOML can't be read here
      |
      = help: keep one of the two, or join them

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
       |            ^ TOML can't be read here
       |
       = help: close it
    "#);
}

#[test]
fn a_broken_line_brings_no_false_findings() {
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

#[test]
fn keys_to_come_are_known() {
    insta::assert_snapshot!(wrong("[notify]\n"), @r#"
    error: `notify` is not yet supported here
     --> tasks.toml:1:2
      |
    1 | [notify]
      |  ^^^^^^ not yet supported
      |
      = help: take it out
    "#);
    for key in ["environments", "notify", "cache"] {
        assert_eq!(messages(&format!("[{key}]")), [format!("`{key}` is not yet supported here")]);
    }
}

#[test]
fn unknown_keys_name_the_nearest_or_what_is_meant() {
    insta::assert_snapshot!(wrong(
        r#"
shell = ["sh"]
[setings]
[settings]
colour = "red"
[defaults]
run = "x"
pass_env = ["X"]
[tasks.a]
run = "x"
deps = ["b"]
nonsense-entirely = 1
"#
    ), @r#"
    error: the top of tasks.toml has no key `shell`
     --> tasks.toml:2:1
      |
    2 | shell = ["sh"]
      | ^^^^^ not a key here
      |
      = help: it belongs in `[settings]`

    error: the top of tasks.toml has no key `setings`
     --> tasks.toml:3:2
      |
    3 | [setings]
      |  ^^^^^^^ not a key here
      |
      = help: did you mean `settings`?

    error: `[settings]` has no key `colour`
     --> tasks.toml:5:1
      |
    5 | colour = "red"
      | ^^^^^^ not a key here
      |
      = help: its keys are jobs, cache-size, shell, push-budget

    error: `[defaults]` has no key `run`
     --> tasks.toml:7:1
      |
    7 | run = "x"
      | ^^^ not a key here
      |
      = help: it differs from task to task: write it in each

    error: `[defaults]` has no key `pass_env`
     --> tasks.toml:8:1
      |
    8 | pass_env = ["X"]
      | ^^^^^^^^ not a key here
      |
      = help: did you mean `pass-env`?

    error: task `a` has no key `deps`
      --> tasks.toml:11:1
       |
    11 | deps = ["b"]
       | ^^^^ not a key here
       |
       = help: did you mean `needs`?

    error: task `a` has no key `nonsense-entirely`
      --> tasks.toml:12:1
       |
    12 | nonsense-entirely = 1
       | ^^^^^^^^^^^^^^^^^ not a key here
       |
       = help: its keys are description, group, run, fix, finally, shell, cwd, inputs, outputs, reports, needs, matrix, env, pass-env, secret-env, tools, timeout, slow-after, retries, locks, slots, os, cache, sandbox, services, env-file, rust
    "#);
}

#[test]
fn wrong_types_say_what_was_expected_and_found() {
    insta::assert_snapshot!(wrong(
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
      = help: put it between brackets: ["bash -c"]

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
       = help: write a text between quotes

    error: expected an array of strings, found a string
      --> tasks.toml:11:9
       |
    11 | needs = "b"
       |         ^^^ a string here
       |
       = help: put it between brackets: ["b"]

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
       = help: put it between quotes: "2"

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
       = help: put it between quotes: "1"

    error: expected a string, found a boolean
      --> tasks.toml:20:20
       |
    20 | env = { A = 1, B = true }
       |                    ^^^^ a boolean here
       |
       = help: put it between quotes: "true"
    "#);
}

#[test]
fn commands_run_something() {
    insta::assert_snapshot!(wrong(
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
      = help: write the program and what stands in front of the line, such as ["bash", "-ec"]

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
fn numbers_and_units_are_bounded() {
    insta::assert_snapshot!(wrong(
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
    assert_eq!(right("[settings]\njobs = 0x10").settings.jobs.map(std::num::NonZero::get), Some(16));
    assert_eq!(right("[settings]\njobs = 1_000").settings.jobs.map(std::num::NonZero::get), Some(1000));
}

#[test]
fn names_are_checked() {
    insta::assert_snapshot!(wrong(
        "[files]\n'a b' = []\n[tools]\n-x = 'x'\n[tasks.'a:b']\nrun = 'x'\ngroup = ''\nlocks = ['a/b']\n"
    ), @r#"
    error: `a b` can't be a set's name
     --> tasks.toml:2:1
      |
    2 | 'a b' = []
      | ^^^^^ not a name
      |
      = help: a name has letters, digits, `-`, `_` and `.` only

    error: `-x` can't be a tool's name
     --> tasks.toml:4:1
      |
    4 | -x = 'x'
      | ^^ not a name
      |
      = help: a name starts with a letter, a digit or `_`

    error: `a:b` can't be a task's name
     --> tasks.toml:5:8
      |
    5 | [tasks.'a:b']
      |        ^^^^^ not a name
      |
      = help: a name has letters, digits, `-`, `_` and `.` only

    error: an empty text can't be a group's name
     --> tasks.toml:7:9
      |
    7 | group = ''
      |         ^^ not a name
      |
      = help: a name can't be empty

    error: `a/b` can't be a lock's name
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
fn a_description_is_one_line() {
    insta::assert_snapshot!(wrong("[tasks.a]\nrun = 'x'\ndescription = \"one\\ntwo\"\n"), @r#"
    error: a description is one line of plain text
     --> tasks.toml:3:15
      |
    3 | description = "one\ntwo"
      |               ^^^^^^^^^^ has a line end or another control character
      |
      = help: shorten it; longer words can stand in a comment
    "#);
    assert_eq!(messages("[tasks.a]\nrun = 'x'\ndescription = \"\\u001b[31mred\"").len(), 1);
}

#[test]
fn variables_are_declared_once_and_are_the_users() {
    insta::assert_snapshot!(wrong(
        r#"
[tasks.a]
run = "x"
env = { A = "1", "" = "2", "B=C" = "3", XTASK_RUN = "4" }
pass-env = ["A", "P", "?P", "NAME=value"]
secret-env = ["P", "?T"]
"#
    ), @r#"
    error: a variable's name can't be empty
     --> tasks.toml:4:18
      |
    4 | env = { A = "1", "" = "2", "B=C" = "3", XTASK_RUN = "4" }
      |                  ^^ not a name here
      |
      = help: write its name, such as "CARGO_HOME"

    error: a variable's name can't hold `=`
     --> tasks.toml:4:28
      |
    4 | env = { A = "1", "" = "2", "B=C" = "3", XTASK_RUN = "4" }
      |                            ^^^^^ not a name here
      |
      = help: to set a value, write `env = { NAME = "value" }`

    error: variables that begin with `XTASK_` are set by taskgate
     --> tasks.toml:4:41
      |
    4 | env = { A = "1", "" = "2", "B=C" = "3", XTASK_RUN = "4" }
      |                                         ^^^^^^^^^ not a name here
      |
      = help: take another name

    error: variable `A` is both in `env` and in `pass-env`
     --> tasks.toml:5:13
      |
    4 | env = { A = "1", "" = "2", "B=C" = "3", XTASK_RUN = "4" }
      |         - declared here
    5 | pass-env = ["A", "P", "?P", "NAME=value"]
      |             ^^^ declared again
      |
      = help: keep one: `env` sets a value, `pass-env` passes the caller's, `secret-env` also hides it

    error: variable `P` is passed both with and without `?`
     --> tasks.toml:5:23
      |
    5 | pass-env = ["A", "P", "?P", "NAME=value"]
      |                  ---  ^^^^ declared again
      |                  |
      |                  declared here
      |
      = help: with `?` its value does not enter the key; keep one

    error: a variable's name can't hold `=`
     --> tasks.toml:5:29
      |
    5 | pass-env = ["A", "P", "?P", "NAME=value"]
      |                             ^^^^^^^^^^^^ not a name here
      |
      = help: to set a value, write `env = { NAME = "value" }`

    error: variable `P` is both in `pass-env` and in `secret-env`
     --> tasks.toml:6:15
      |
    5 | pass-env = ["A", "P", "?P", "NAME=value"]
      |                  --- declared here
    6 | secret-env = ["P", "?T"]
      |               ^^^ declared again
      |
      = help: keep one: `env` sets a value, `pass-env` passes the caller's, `secret-env` also hides it

    error: a secret always enters the key, as a digest
     --> tasks.toml:6:20
      |
    6 | secret-env = ["P", "?T"]
      |                    ^^^^ not with `?`
      |
      = help: take the `?` out
    "#);
    assert!(messages("[defaults]\npass-env = ['A']\n[tasks.a]\nrun = 'x'\nenv = { A = '1' }").is_empty());
    assert!(messages("[tasks.a]\nrun = 'x'\npass-env = ['A', 'A']").is_empty());
    assert_eq!(messages("[defaults]\npass-env = ['A']\nsecret-env = ['A']").len(), 1);
}

#[test]
fn systems_and_tools_are_known() {
    insta::assert_snapshot!(wrong(
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

#[test]
fn patterns_and_folders_stay_in_the_repository() {
    insta::assert_snapshot!(wrong(
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
    error: `../x` can't be matched: it lies outside the repository
     --> tasks.toml:3:7
      |
    3 | up = ["../x"]
      |       ^^^^^^ not a pattern here
      |
      = help: a task reads and writes files of its repository alone

    error: `/tmp` lies outside the repository
     --> tasks.toml:6:7
      |
    6 | cwd = "/tmp"
      |       ^^^^^^ not in the repository
      |
      = help: write a folder relative to the one that holds this file, such as "web/app"

    error: an empty pattern matches nothing
     --> tasks.toml:7:11
      |
    7 | inputs = ["", "a[b", "*/../x", "!!x"]
      |           ^^ not a pattern here
      |
      = help: take it out; `[]` is no file, `["**"]` is each

    error: `a[b` can't be matched: `[` is never closed
     --> tasks.toml:7:15
      |
    7 | inputs = ["", "a[b", "*/../x", "!!x"]
      |               ^^^^^ not a pattern here
      |
      = help: close it, or write `\` in front of it if it is part of a name

    error: `*/../x` can't be matched: `..` can't follow a wildcard
     --> tasks.toml:7:22
      |
    7 | inputs = ["", "a[b", "*/../x", "!!x"]
      |                      ^^^^^^^^ not a pattern here
      |
      = help: write `..` in front of all wildcards

    error: `!!x` can't be matched: it begins with more than one `!`
     --> tasks.toml:7:32
      |
    7 | inputs = ["", "a[b", "*/../x", "!!x"]
      |                                ^^^^^ not a pattern here
      |
      = help: write it more simply, as more than one pattern if need be

    error: `../../dist` can't be matched: it lies outside the repository
     --> tasks.toml:8:12
      |
    8 | outputs = ["../../dist", "@up"]
      |            ^^^^^^^^^^^^ not a pattern here
      |
      = help: a task reads and writes files of its repository alone

    error: a set can't be used in `outputs`
     --> tasks.toml:8:26
      |
    8 | outputs = ["../../dist", "@up"]
      |                          ^^^^^ a set
      |
      = help: write the files that the task makes
    "#);
    assert_eq!(messages("[tasks.a]\nrun = 'x'\ncwd = 'a/../..'").len(), 1);
}

#[test]
fn sets_are_known_and_make_no_circle() {
    insta::assert_snapshot!(wrong(
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
    error: sets contain each other in a circle: @a → @b → @c → @a
     --> tasks.toml:3:6
      |
    3 | a = ["@b"]
      |      ^^^^ `@a` contains `@b`
    4 | b = ["x", "@c"]
      |           ---- `@b` contains `@c`
    5 | c = ["!@a"]
      |      ----- `@c` contains `@a`
      |
      = help: take one of these out

    error: sets contain each other in a circle: @self → @self
     --> tasks.toml:6:9
      |
    6 | self = ["@self"]
      |         ^^^^^^^ `@self` contains `@self`
      |
      = help: take one of these out

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
fn sets_within_sets_do_not_explode() {
    let mut text = "[files]\ns0 = ['a', 'b']\n".to_owned();
    for i in 1..40 {
        writeln!(text, "s{i} = ['@s{0}', '!@s{0}', '@s{0}']", i - 1).unwrap();
    }
    assert_eq!(messages(&text), ["with the sets within it, `@s8` is too large"]);
}

#[test]
fn a_task_runs_or_gathers() {
    insta::assert_snapshot!(wrong(
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
      = help: add `run` with a command, or `needs` with tasks that it gathers

    error: task `only-fix` does nothing
     --> tasks.toml:3:8
      |
    3 | [tasks.only-fix]
      |        ^^^^^^^^ neither `run` nor `needs`
      |
      = help: add `run` with a command, or `needs` with tasks that it gathers

    error: `outputs` has no meaning without `run`
     --> tasks.toml:8:1
      |
    8 | outputs = ["x"]
      | ^^^^^^^ `gathers` runs nothing
      |
      = help: take it out, or add `run`; a task with `needs` alone only gathers them

    error: `env` has no meaning without `run`
     --> tasks.toml:9:1
      |
    9 | env = { A = "1" }
      | ^^^ `gathers` runs nothing
      |
      = help: take it out, or add `run`; a task with `needs` alone only gathers them

    error: `timeout` has no meaning without `run`
      --> tasks.toml:10:1
       |
    10 | timeout = "1m"
       | ^^^^^^^ `gathers` runs nothing
       |
       = help: take it out, or add `run`; a task with `needs` alone only gathers them

    error: `finally` has no meaning without `run`
      --> tasks.toml:16:1
       |
    16 | finally = "y"
       | ^^^^^^^ `mends` runs nothing
       |
       = help: take it out, or add `run`; a task with `needs` alone only gathers them
    "#);
}

#[test]
fn needs_are_known() {
    insta::assert_snapshot!(wrong(
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
      |                           ^^^^ stands for no other task
      |
      = help: take it out

    error: task `alone` needs itself
     --> tasks.toml:9:10
      |
    9 | needs = ["alone"]
      |          ^^^^^^^ stands for no other task
      |
      = help: take it out
    "#);
}

#[test]
fn circles_are_shown_whole_and_once() {
    insta::assert_snapshot!(wrong(
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
    error: tasks need each other in a circle: a → b → c → a
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
      = help: take one of these needs out

    error: tasks need each other in a circle: x → y → x
      --> tasks.toml:13:10
       |
    13 | needs = ["y", "c"]
       |          ^^^ `x` needs `y`
    14 | [tasks.y]
    15 | needs = ["x"]
       |          --- `y` needs `x`
       |
       = help: take one of these needs out
    "#);
}

#[test]
fn two_tasks_do_not_write_one_output() {
    insta::assert_snapshot!(wrong(
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
fn outputs_leave_alone_what_no_task_may_write() {
    insta::assert_snapshot!(wrong(
        "[tasks.a]\nrun = 'x'\noutputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']\n[tasks.b]\nrun = 'x'\noutputs = ['!x']\n"
    ), @r#"
    error: output `.` would take in the whole folder of tasks.toml
     --> tasks.toml:3:12
      |
    3 | outputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']
      |            ^^^ too much
      |
      = help: outputs are replaced from the cache: name only files that the task makes, such as "dist/**"

    error: output `.git/hooks` would take in files of git
     --> tasks.toml:3:17
      |
    3 | outputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']
      |                 ^^^^^^^^^^^^ too much
      |
      = help: outputs are replaced from the cache: name only files that the task makes, such as "dist/**"

    error: output `tasks.*` would take in tasks.toml itself
     --> tasks.toml:3:31
      |
    3 | outputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']
      |                               ^^^^^^^^^ too much
      |
      = help: outputs are replaced from the cache: name only files that the task makes, such as "dist/**"

    error: output `.g*` would take in files of git
     --> tasks.toml:3:42
      |
    3 | outputs = ['.', '.git/hooks', 'tasks.*', '.g*', '!x']
      |                                          ^^^^^ too much
      |
      = help: outputs are replaced from the cache: name only files that the task makes, such as "dist/**"

    error: `outputs` only excludes
     --> tasks.toml:6:12
      |
    6 | outputs = ['!x']
      |            ^^^^ nothing to exclude from
      |
      = help: write the files that the task makes in front of it
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
        parse(&Source {
            name: "x",
            text: "[tasks.a]\nrun='x'\noutputs=['..']",
            base: path("web"),
            project: ""
        })
        .is_err()
    );
}

#[test]
fn each_known_key_is_read() {
    for key in keys::TASK.known() {
        let found = messages(&format!("[tasks.a]\nrun = 'x'\n{key} = 1979-05-27"));
        assert!(!found.iter().any(|message| message.contains("has no key")), "{key}: {found:?}");
        assert!(!found.is_empty(), "{key} takes a date");
    }
    for (table, known) in [("defaults", keys::DEFAULTS.known()), ("settings", keys::SETTINGS.known())] {
        for key in known {
            let found = messages(&format!("[{table}]\n{key} = 1979-05-27"));
            assert!(found.len() == 1 && found[0].starts_with("expected"), "{key}: {found:?}");
        }
    }
    for key in keys::TOP.known() {
        assert!(messages(&format!("{key} = 1"))[0].starts_with("expected a"), "{key}");
    }
}

/// A file of many tasks that need each other and write files of their own.
fn large(tasks: usize, output: impl Fn(usize) -> String) -> String {
    let mut text =
        "[files]\nrust = ['**/*.rs', '**/Cargo.toml', '!target/**']\n[defaults]\ntimeout = '5m'\n".to_owned();
    for i in 0..tasks {
        let need = if i == 0 { String::new() } else { format!("'task-{}'", (i - 1) / 2) };
        let output = output(i);
        write!(
            text,
            "[tasks.task-{i}]\ngroup = 'group-{}'\nrun = 'make {i}'\ninputs = ['@rust', 'packages/p{i}/**']\n\
             outputs = ['{output}']\nneeds = [{need}]\nenv = {{ N = '{i}' }}\npass-env = ['HOME_{i}']\n",
            i % 10,
        )
        .unwrap();
    }
    text
}

#[test]
fn a_large_file_is_read() {
    let config = right(&large(300, |i| format!("packages/p{i}/dist")));
    assert_eq!(config.tasks.len(), 300);
    assert_eq!(config.tasks[299].needs, [TaskId(149)]);
}

/// `cargo test --release --lib config -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, of use in a release build alone"]
fn measure_a_file_of_a_thousand_tasks() {
    let clock = Clock::system();
    let measure = |what: &str, text: &str| {
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let start = clock.elapsed();
            let result = parse(&source(text));
            best = best.min(clock.elapsed().saturating_sub(start));
            drop(result);
        }
        println!("{what}: {best:?}");
    };
    measure("folders apart", &large(1000, |i| format!("packages/p{i}/dist")));
    measure("globs in one folder", &large(1000, |i| format!("dist/*-{i}.js")));
    measure("all write one output", &large(1000, |_| "dist".to_owned()));
    let text = large(1000, |_| "dist".to_owned());
    let diagnostics = parse(&source(&text)).unwrap_err();
    let start = clock.elapsed();
    let length = diagnostics.render(true).len();
    println!(
        "drawing {} diagnostics, {length} bytes: {:?}",
        diagnostics.list().count(),
        clock.elapsed().saturating_sub(start)
    );
}

/// Pieces from which files that are nearly right are put together.
fn piece() -> impl Strategy<Value = String> {
    let fixed = select(vec![
        "[tasks.a]\n",
        "[tasks.b]\n",
        "[[tasks]]\n",
        "[tasks]\n",
        "[files]\n",
        "[tools]\n",
        "[defaults]\n",
        "[settings]\n",
        "[tasks.a.env]\n",
        "run = 'x'\n",
        "run = ['x', 1]\n",
        "needs = ['a', 'b']\n",
        "group = 'a'\n",
        "outputs = ['dist/**', '!dist/x', '{a,b}/*']\n",
        "outputs = ['*']\n",
        "inputs = ['@x', '!@y', '..']\n",
        "x = ['@y', 'a']\n",
        "y = ['@x']\n",
        "env = { A = 'é' }\n",
        "pass-env = ['A', '?A']\n",
        "timeout = '1m'\n",
        "slots = 0\n",
        "= 1\n",
        "'''\n",
        "\"",
        "{",
        "[",
        "é\r\n",
        "\u{feff}",
        "a.b.c = 1\n",
        "tasks.a.run = 1\n",
        "shell = []\n",
        "\0",
        "# comment\n",
    ]);
    prop_oneof![6 => fixed.prop_map(str::to_owned), 1 => "\\PC{0,12}", 1 => any::<String>()]
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = pieces.concat();
        let parsed = parse(&source(&text));
        if parsed.is_ok() {
            schema::tests::accepts(&text);
        }
        if let Err(diagnostics) = parsed {
            prop_assert!(diagnostics.list().next().is_some());
            let has_escapes = diagnostics.render(false).contains('\u{1b}');
            prop_assert!(!has_escapes);
            prop_assert!(!diagnostics.render(true).is_empty());
            prop_assert_eq!(diagnostics.records().len(), diagnostics.list().count());
            for diagnostic in diagnostics.list() {
                prop_assert!(diagnostic.hint.is_some(), "{:?} has no hint", diagnostic);
                prop_assert!(diagnostic.span.end <= text.len());
            }
        }
    }

    #[test]
    fn the_design_with_a_byte_changed_is_read_or_refused(at in 0..DESIGN.len(), with in any::<char>()) {
        let mut text: Vec<char> = DESIGN.chars().collect();
        text[at] = with;
        let text: String = text.into_iter().collect();
        match parse(&source(&text)) {
            Ok(_) => schema::tests::accepts(&text),
            Err(diagnostics) => prop_assert!(!diagnostics.render(false).is_empty()),
        }
    }
}

#[test]
fn hooks_name_tasks_and_groups_by_stage() {
    let config = right(
        "[tasks.fmt]\ngroup = 'lint'\nrun = 'x'\n[tasks.ci]\nneeds = ['lint']\n[hooks]\npre-push = ['ci', 'ci']\npre-commit = ['lint']\npost-merge = []\n",
    );
    let names = |stage| config.hooks.get(&stage).map(|names| names.join(" "));
    assert_eq!(names(Stage::PRE_PUSH).as_deref(), Some("ci"));
    assert_eq!(names(Stage::PRE_COMMIT).as_deref(), Some("lint"));
    assert_eq!(names(Stage::parse("post-merge").unwrap()).as_deref(), Some(""));
    assert_eq!(names(Stage::PRE_MERGE_COMMIT), None);
}

#[test]
fn hooks_that_name_nothing_are_told() {
    insta::assert_snapshot!(wrong(
        "[tasks.fmt]\ngroup = 'lint'\nrun = 'x'\n[hooks]\nprepush = ['lnt']\npre-push = ['lnt']\nupdate = []\npre-commit = 'fmt'\n"
    ), @r#"
    error: git has no stage `prepush` here
     --> tasks.toml:5:1
      |
    5 | prepush = ['lnt']
      | ^^^^^^^ not a client-side stage
      |
      = help: did you mean `pre-push`?

    error: pre-push names `lnt`, which is neither a task nor a group
     --> tasks.toml:6:13
      |
    6 | pre-push = ['lnt']
      |             ^^^^^ unknown task
      |
      = help: did you mean `lint`?

    error: git has no stage `update` here
     --> tasks.toml:7:1
      |
    7 | update = []
      | ^^^^^^ not a client-side stage
      |
      = help: it is a stage of the server; `pre-push` is the last one on this side

    error: expected an array of strings, found a string
     --> tasks.toml:8:14
      |
    8 | pre-commit = 'fmt'
      |              ^^^^^ a string here
      |
      = help: put it between brackets: ["fmt"]
    "#);
}

#[test]
fn a_private_worktree_is_provided_for() {
    let config = right(
        "[tasks.a]\nrun = 'x'\n[worktree]\nlink = ['node_modules', 'web/dist/']\ncopy = ['.env.test']\nfilters = ['lfs']\nsetup = 'npm ci'\n[settings]\npush-budget = '90s'\n[defaults]\ntimeout = '5m'\n",
    );
    let worktree = &config.worktree;
    assert_eq!(worktree.link, [path("node_modules"), path("web/dist")]);
    assert_eq!(worktree.copy, [path(".env.test")]);
    assert_eq!(worktree.filters, ["lfs"]);
    let setup = worktree.setup.as_ref().unwrap();
    assert_eq!(setup.run, Some(Command::Shell("npm ci".to_owned())));
    assert_eq!((setup.timeout, setup.inputs.is_whole()), (Some(Duration::from_secs(300)), true));
    assert_eq!(config.settings.push_budget, Duration::from_secs(90));
    let table = right(
        "[tools]\nnpm = 'npm -v'\n[worktree.setup]\nrun = ['npm', 'ci']\ninputs = ['package-lock.json']\ntools = ['npm']\n",
    );
    let setup = table.worktree.setup.unwrap();
    assert!(setup.inputs.matches(&path("package-lock.json")) && !setup.inputs.matches(&path("a")));
    assert_eq!(setup.tools, ["npm"]);
}

#[test]
fn what_can_not_be_provided_is_told() {
    insta::assert_snapshot!(wrong(
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
      = help: what it writes stays in the worktree: take it out
    "#);
}

#[test]
fn a_matrix_makes_a_task_for_each_combination() {
    let config = right(
        "[tasks.wheel]\ngroup = 'unit'\nmatrix = { python = ['3.11', '3.12'], os = ['linux', 'macos'] }\nrun = 'tox -e py{{ matrix.python }} {{ .Go }}'\nos = ['{{ matrix.os }}']\noutputs = ['dist/{{matrix.python}}-{{matrix.os}}']\n[tasks.one]\nrun = 'x'\nneeds = ['wheel[python=3.11,os=linux]']\n[tasks.all]\nneeds = ['wheel']\n[hooks]\npre-push = ['wheel']\n",
    );
    let names: Vec<&str> = config.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "wheel[python=3.11,os=linux]",
            "wheel[python=3.11,os=macos]",
            "wheel[python=3.12,os=linux]",
            "wheel[python=3.12,os=macos]",
            "one",
            "all"
        ]
    );
    let last = &config.tasks[3];
    assert_eq!(last.run, Some(Command::Shell("tox -e py3.12 {{ .Go }}".to_owned())));
    assert_eq!(
        (last.os.join(" "), last.outputs.to_string()),
        ("macos".to_owned(), config.tasks[3].outputs.to_string())
    );
    assert!(
        last.outputs.matches(&path("dist/3.12-macos")) && !last.outputs.matches(&path("dist/3.11-macos"))
    );
    assert_eq!(config.named("wheel").len(), 4);
    assert_eq!(config.named("unit").len(), 4);
    assert_eq!(config.named("wheel[python=3.12,os=linux]"), [TaskId(2)]);
    assert_eq!(config.tasks[4].needs, [TaskId(0)]);
    assert_eq!(config.tasks[5].needs.len(), 4);
    assert!(config.names().iter().any(|name| name == "wheel"));
}

#[test]
fn a_matrix_that_makes_no_sense_is_told_once() {
    insta::assert_snapshot!(wrong(
        "[tasks.a]\nrun = 'x {{ matrix.pyton }}'\nmatrix = { python = ['1', '2'] }\ntimeout = 'soon'\n[tasks.b]\nrun = '{{ matrix.v }}'\n[tasks.c]\nrun = 'x'\nmatrix = { v = [] }\n[tasks.d]\nrun = 'x'\nmatrix = {}\n[tasks.e]\nrun = 'x'\nmatrix = { v = ['a b', '1', '1'], 'x y' = ['1'], w = 'one' }\n[tasks.f]\nrun = 'x'\nmatrix = ['1']\n"
    ), @r#"
    error: there is no `matrix.pyton`
     --> tasks.toml:2:7
      |
    2 | run = 'x {{ matrix.pyton }}'
      |       ^^^^^^^^^^^^^^^^^^^^^^ unknown value of the matrix
      |
      = help: did you mean `matrix.python`?

    error: `soon` is not a duration such as "30s", "10m" or "1h 30m"
     --> tasks.toml:4:11
      |
    4 | timeout = 'soon'
      |           ^^^^^^ not understood
      |
      = help: write a duration such as "30s", "10m" or "1h 30m"

    error: there is no `matrix.v`
     --> tasks.toml:6:7
      |
    6 | run = '{{ matrix.v }}'
      |       ^^^^^^^^^^^^^^^^ unknown value of the matrix
      |
      = help: the task has no matrix: write matrix = { NAME = ["…"] }

    error: `v` of the matrix has no values
     --> tasks.toml:9:16
      |
    9 | matrix = { v = [] }
      |                ^^ an empty list makes no task
      |
      = help: write at least one value, or take it out

    error: the matrix is empty
      --> tasks.toml:12:10
       |
    12 | matrix = {}
       |          ^^ no values
       |
       = help: write it as { python = ["3.11", "3.12"] }

    error: `a b` can't be a value of a matrix
      --> tasks.toml:15:17
       |
    15 | matrix = { v = ['a b', '1', '1'], 'x y' = ['1'], w = 'one' }
       |                 ^^^^^ it is part of the task's name
       |
       = help: write it without spaces, brackets, `,` and `=`

    error: `1` stands twice in the matrix
      --> tasks.toml:15:29
       |
    15 | matrix = { v = ['a b', '1', '1'], 'x y' = ['1'], w = 'one' }
       |                             ^^^ again
       |
       = help: take one out

    error: `x y` can't be a value of a matrix's name
      --> tasks.toml:15:35
       |
    15 | matrix = { v = ['a b', '1', '1'], 'x y' = ['1'], w = 'one' }
       |                                   ^^^^^ not a name
       |
       = help: a name has letters, digits, `-`, `_` and `.` only

    error: expected an array of strings, found a string
      --> tasks.toml:15:54
       |
    15 | matrix = { v = ['a b', '1', '1'], 'x y' = ['1'], w = 'one' }
       |                                                      ^^^^^ a string here
       |
       = help: put it between brackets: ["one"]

    error: expected a table, found an array
      --> tasks.toml:18:10
       |
    18 | matrix = ['1']
       |          ^^^^^ an array here
       |
       = help: write it as { python = ["3.11", "3.12"] }
    "#);
}

#[test]
fn variants_of_a_matrix_must_not_write_the_same_files() {
    let text = "[tasks.a]\nrun = 'x'\nmatrix = { v = ['1', '2'] }\noutputs = ['out']\n";
    assert!(messages(text)[0].contains("a[v="), "{:?}", messages(text));
}

#[test]
fn a_matrix_may_be_large_and_not_too_large() {
    let values: Vec<String> = (0..17).map(|value| format!("'{value}'")).collect();
    let text = format!("[tasks.a]\nrun = 'x'\nmatrix = {{ v = [{0}], w = [{0}] }}\n", values.join(","));
    assert_eq!(messages(&text), ["the matrix makes 289 tasks"]);
}
