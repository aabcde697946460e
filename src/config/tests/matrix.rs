//! Tests of `matrix`.

use super::*;

#[test]
fn matrix_makes_a_task_for_each_combination() {
    let config = parse_ok(
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
    assert_eq!(last.command(), Some(&Command::Shell("tox -e py3.12 {{ .Go }}".to_owned())));
    assert_eq!(
        (last.systems().join(" "), last.outputs.to_string()),
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
fn invalid_matrix_is_reported_once() {
    insta::assert_snapshot!(parse_errors(
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
      = help: write at least one value, or remove it

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

    error: `1` is listed twice in the matrix
      --> tasks.toml:15:29
       |
    15 | matrix = { v = ['a b', '1', '1'], 'x y' = ['1'], w = 'one' }
       |                             ^^^ again
       |
       = help: remove one

    error: `x y` can't be the name of a value of a matrix
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
       = help: put it in brackets: ["one"]

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
fn variants_that_write_the_same_files_are_an_error() {
    let text = "[tasks.a]\nrun = 'x'\nmatrix = { v = ['1', '2'] }\noutputs = ['out']\n";
    assert!(messages(text)[0].contains("a[v="), "{:?}", messages(text));
}

#[test]
fn size_of_a_matrix_is_limited() {
    let values: Vec<String> = (0..17).map(|value| format!("'{value}'")).collect();
    let text = format!("[tasks.a]\nrun = 'x'\nmatrix = {{ v = [{0}], w = [{0}] }}\n", values.join(","));
    assert_eq!(messages(&text), ["the matrix makes 289 tasks"]);
}
