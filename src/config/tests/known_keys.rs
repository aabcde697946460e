//! Tests of known and unknown keys.

use super::*;

#[test]
fn planned_keys_are_known() {
    insta::assert_snapshot!(parse_errors("[notify]\n"), @r#"
    error: `notify` is not yet supported here
     --> tasks.toml:1:2
      |
    1 | [notify]
      |  ^^^^^^ not yet supported
      |
      = help: remove it
    "#);
    for key in ["notify", "cache"] {
        assert_eq!(messages(&format!("[{key}]")), [format!("`{key}` is not yet supported here")]);
    }
}

#[test]
fn unknown_key_suggests_the_nearest_or_intended_one() {
    insta::assert_snapshot!(parse_errors(
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
      = help: its keys are jobs, cache-size, shell

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
fn each_known_key_is_parsed() {
    for key in all_keys::TASK.names() {
        let found = messages(&format!("[tasks.a]\nrun = 'x'\n{key} = 1979-05-27"));
        assert!(!found.iter().any(|message| message.contains("has no key")), "{key}: {found:?}");
        assert!(!found.is_empty(), "{key} takes a date");
    }
    for (table, known) in [("defaults", all_keys::DEFAULTS.names()), ("settings", all_keys::SETTINGS.names())]
    {
        for key in known {
            let found = messages(&format!("[{table}]\n{key} = 1979-05-27"));
            assert!(found.len() == 1 && found[0].starts_with("expected"), "{key}: {found:?}");
        }
    }
    for key in all_keys::TOP.names() {
        assert!(messages(&format!("{key} = 1"))[0].starts_with("expected a"), "{key}");
    }
}
