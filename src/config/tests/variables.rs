//! Tests of the variables of tasks.

use super::*;

#[test]
fn variable_is_declared_once_and_not_reserved() {
    insta::assert_snapshot!(parse_errors(
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

    error: a variable's name can't contain `=`
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
      = help: use another name

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
      = help: with `?` its value is not part of the key; keep one

    error: a variable's name can't contain `=`
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

    error: a secret is always part of the key, as a digest
     --> tasks.toml:6:20
      |
    6 | secret-env = ["P", "?T"]
      |                    ^^^^ not with `?`
      |
      = help: remove the `?`
    "#);
    assert!(messages("[defaults]\npass-env = ['A']\n[tasks.a]\nrun = 'x'\nenv = { A = '1' }").is_empty());
    assert!(messages("[tasks.a]\nrun = 'x'\npass-env = ['A', 'A']").is_empty());
    assert_eq!(messages("[defaults]\npass-env = ['A']\nsecret-env = ['A']").len(), 1);
}

#[test]
fn port_has_a_variable() {
    for (service, expected) in
        [("db", "XTASK_SERVICE_DB_PORT"), ("api:mail-box.2", "XTASK_SERVICE_API_MAIL_BOX_2_PORT")]
    {
        assert_eq!(port_variable(service), expected);
    }
    let services = r#"
[services.a-b]
run = "x"
port = "auto"
[services.a_b]
run = "x"
port = 5432
[services.a_B]
run = "x"
"#;
    insta::assert_snapshot!(parse_errors(&format!("{services}[tasks.t]\nrun = \"x\"\nservices = [\"a-b\", \"a_b\", \"a_B\"]\n")), @r#"
    error: the ports of services `a-b` and `a_b` would both be `XTASK_SERVICE_A_B_PORT`
      --> tasks.toml:12:20
       |
    12 | services = ["a-b", "a_b", "a_B"]
       |             -----  ^^^^^ the same variable
       |             |
       |             one of them
       |
       = help: rename one of the services, so that they differ in letters or digits
    "#);
    insta::assert_snapshot!(parse_errors(&services.replace("port = 5432", "port = 5432\nservices = ['a-b']")), @r#"
    error: the ports of services `a_b` and `a-b` would both be `XTASK_SERVICE_A_B_PORT`
     --> tasks.toml:8:13
      |
    5 | [services.a_b]
      |           --- one of them
    ...
    8 | services = ['a-b']
      |             ^^^^^ the same variable
      |
      = help: rename one of the services, so that they differ in letters or digits
    "#);
    // A task that uses only one of these services, or one without a port, has no conflict.
    parse_ok(&format!(
        "{services}[tasks.t]\nrun = \"x\"\nservices = [\"a-b\", \"a_B\"]\n[tasks.u]\nrun = \"x\"\nservices = [\"a_b\"]\n"
    ));
}
