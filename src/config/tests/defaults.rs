//! Tests of the folder and the defaults that a task gets from its file.

use super::*;

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let text = "[files]\nx = ['src']\n[tasks.a]\nrun = 'a'\ncwd = '../lib'\ninputs = ['@x']\noutputs = ['dist']\n[tasks.b]\nrun = 'b'";
    let config = parse(&SourceText { name: "web/tasks.toml", text, base: path("web"), project: "" }).unwrap();
    let a = task(&config, "a");
    assert_eq!(a.env.cwd, path("lib"));
    assert_eq!(task(&config, "b").env.cwd, path("web"));
    assert!(a.inputs.matches(&path("web/src/x")) && !a.inputs.matches(&path("src/x")));
    assert!(a.outputs.matches(&path("web/dist/x")) && !a.outputs.matches(&path("dist/x")));
}

#[test]
fn task_overrides_and_extends_the_defaults() {
    let config = parse_ok(
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
    let run = plain.run().unwrap();
    assert_eq!((run.slots.get(), run.retries, run.cache, run.os.len()), (3, 1, false, 2));
    assert_eq!(plain.env.shell, ["zsh", "-c"]);
    assert_eq!(plain.tools, ["one"]);
    assert!(plain.inputs.matches(&path("src/x")));

    let own = task(&config, "own");
    let env: Vec<(&str, &str)> =
        own.env.variables.set.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(env, [("A", "a"), ("B", "own"), ("P", "set")]);
    let passed: Vec<(&str, bool)> =
        own.env.variables.passed.iter().map(|pass| (&*pass.name, pass.keyed)).collect();
    assert_eq!(passed, [("D", true), ("Q", true)]);
    assert_eq!(own.env.variables.secret, ["S"]);
    assert_eq!(own.tools, ["one", "two"]);
    let run = own.run().unwrap();
    assert!(run.os.is_empty() && run.locks.is_empty() && run.cache);
    assert_eq!((run.slots.get(), run.retries), (1, 0));
    assert!(own.inputs.matches(&path("lib/x")) && !own.inputs.matches(&path("src/x")));

    assert!(
        task(&config, "gathers").env.variables.set.is_empty() && task(&config, "gathers").tools.is_empty()
    );
    assert_eq!(task(&config, "mends").env.variables.set.len(), 4);
}
