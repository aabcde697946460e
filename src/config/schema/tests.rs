//! Tests that the schema says what the parser does: each key is described, what the parser reads is
//! accepted, and a value of a wrong type is refused by both.

use std::path::Path;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use toml::de::{DeTable, DeValue};

use super::*;
use crate::base::path::RepoPath;
use crate::config::tests::DESIGN;
use crate::config::{SourceText, parse};

static SCHEMA: LazyLock<(Schemas, SchemaIndex)> = LazyLock::new(|| {
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.add_resource(URL, schema()).unwrap();
    let index = compiler.compile(URL, &mut schemas).unwrap();
    (schemas, index)
});

fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(value) => (*value).into(),
        // Language servers pass dates as strings.
        DeValue::Datetime(date) => date.to_string().into(),
        DeValue::Array(array) => array.iter().map(|value| to_json(value.get_ref())).collect(),
        DeValue::Table(table) => table_to_json(table),
    }
}

fn table_to_json(table: &DeTable<'_>) -> Value {
    let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref())));
    Value::Object(entries.collect())
}

/// Returns the error of the schema for a text, which must be TOML.
fn schema_error(text: &str) -> Option<String> {
    let document = DeTable::parse(text).unwrap();
    let (schemas, index) = &*SCHEMA;
    schemas.validate(&table_to_json(document.get_ref()), *index).err().map(|error| format!("{error:#}"))
}

/// Returns the messages of the parser for a text.
fn diagnostics(text: &str) -> Vec<String> {
    let source = SourceText { name: "tasks.toml", text, base: RepoPath::top(), project: "" };
    parse(&source).err().map_or_else(Vec::new, |found| found.list().map(|one| one.message.clone()).collect())
}

/// Checks that the schema accepts a text that the parser accepts.
pub(in crate::config) fn assert_schema_accepts(text: &str) {
    if let Some(schema_error) = schema_error(text) {
        panic!("the schema refuses what the parser accepts: {text}\n{schema_error}");
    }
}

fn table(name: &str) -> &'static Table {
    TABLES.iter().copied().find(|table| table.name == name).unwrap()
}

#[test]
fn each_key_is_described() {
    let schema = schema();
    for table in TABLES {
        let name = table.name;
        let own = if name.is_empty() { &schema } else { &schema["definitions"][name] };
        for key in table.names() {
            let property = &own["properties"][key];
            let said = property.get("description").or_else(|| property.get("$ref")).and_then(Value::as_str);
            assert!(
                said.is_some_and(|said| !said.is_empty()),
                "`{key}` of {name:?} has no text in all_keys.rs or deploy_keys.rs"
            );
        }
    }
}

#[test]
fn reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == markdown::text(),
        "docs/reference.md is stale\nhint: cargo xtask schema --markdown > docs/reference.md"
    );
}

#[test]
fn each_referenced_table_is_defined() {
    let schema = schema();
    let text = schema.to_string();
    for part in text.split("#/definitions/").skip(1) {
        let name: String = part.chars().take_while(|c| *c != '"').collect();
        assert!(schema["definitions"].get(&name).is_some(), "{name}");
    }
    assert_eq!(text.matches("\"$ref\"").count(), text.matches("#/definitions/").count());
}

#[test]
fn tasks_files_of_this_repository_match_the_schema() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = std::fs::read_dir(top.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for folder in examples.chain([top.to_owned()]) {
        if let Ok(text) = std::fs::read_to_string(folder.join("tasks.toml")) {
            assert_schema_accepts(&text);
            count += 1;
        }
    }
    assert!(count >= 2);
    assert_schema_accepts(DESIGN);
}

/// A task with a report that gates can read.
const TASK_WITH_REPORT: &str = "[tasks.r]\nrun = 'x'\nreports = { junit = 'r.xml' }\n";

/// Returns a valid text, except that a key of a table has this value.
fn text_with(table: &str, key: &str, value: &str) -> String {
    let run = if key == "run" { "" } else { "run = 'x'\n" };
    let line = format!("{key} = {value}\n");
    match table {
        "" => line,
        "task" => format!("[tasks.a]\n{run}{line}"),
        "service" => format!("[services.a]\n{run}{line}"),
        "ready" if key == "timeout" => {
            format!("[services.a]\nrun = 'x'\nready = {{ log = 'x', {key} = {value} }}")
        }
        "ready" | "stop" => format!("[services.a]\nrun = 'x'\n{table} = {{ {key} = {value} }}"),
        "reports" if key == "partial" => {
            format!("[tasks.a]\n{run}reports = {{ sarif = 'a.sarif', {key} = {value} }}")
        }
        "reports" => format!("[tasks.a]\nrun = 'x'\nreports = {{ {key} = {value} }}"),
        "gate" => {
            let rule = if key == "secrets" { "" } else { "secrets = 0\n" };
            format!("{TASK_WITH_REPORT}[gates.a]\n{rule}{line}")
        }
        "coverage" | "tests" | "findings" | "licences" => {
            format!("{TASK_WITH_REPORT}[gates.a]\n{table} = {{ {key} = {value} }}")
        }
        "suppression" => {
            let all = [("rule", "'r'"), ("reason", "'x'"), ("expires", "'2026-12-31'")];
            let others = all.iter().filter(|(other, _)| {
                *other != key && !(*other == "rule" && ["licence", "package"].contains(&key))
            });
            let licence = if key == "package" { "licence = 'MIT', " } else { "" };
            let others: Vec<String> = others.map(|(other, value)| format!("{other} = {value}, ")).collect();
            let others = others.concat();
            format!(
                "{TASK_WITH_REPORT}[gates.a]\nsecrets = 0\nsuppress = [{{ {licence}{others}{key} = {value} }}]"
            )
        }
        "setup" => format!("[worktree.setup]\n{run}{line}"),
        "artifact" => {
            let task = if key == "task" { "" } else { "task = 'o'\n" };
            format!("{DEPLOYED_TASKS}[artifacts.b]\n{task}{line}")
        }
        "environment" => environment_with(key, value),
        "role" => format!("{ENVIRONMENT}[environments.e.roles.r]\n{}", role_with(key, value)),
        "host" => {
            let local = if ["ssh", "local"].contains(&key) { "" } else { "local = true, " };
            environment_with("hosts", &format!("[{{ {local}{key} = {value} }}]"))
        }
        "machine" => environment_with("host", &format!("{{ {key} = {value} }}")),
        "ports" | "health-check" | "router" | "analysis" | "analysis-source" | "migrations" | "rehearse"
        | "approval" | "deploy-window" => deploy_table_with(table, key, value),
        other => format!("[{other}]\n{line}"),
    }
}

/// Tasks, an artifact and a service for the tables about deploying.
const DEPLOYED_TASKS: &str = "[tasks.o]\nrun = 'x'\noutputs = ['o']\n[services.s]\nrun = 'x'\n[artifacts.a]\ntask = 'o'\n[artifacts.i]\ntask = 'o'\nimage = 'i'\n";

/// The beginning of an environment with named roles.
const ENVIRONMENT: &str = "[tasks.o]\nrun = 'x'\noutputs = ['o']\n[artifacts.a]\ntask = 'o'\n[environments.e]\ndriver = 'hosts'\npath = '/p'\n";

/// The keys of a role whose requests are moved by a router.
const ROLE: [(&str, &str); 6] = [
    ("artifact", "'a'"),
    ("hosts", "[{ local = true }]"),
    ("start", "'systemctl start x'"),
    ("ports", "{ blue = 1, green = 2 }"),
    ("traffic", "['100%']"),
    ("router", "{ haproxy = '/s', backend = 'b' }"),
];

/// Returns these keys as lines, in which a key has this value.
fn lines_with(lines: &[(&str, &str)], key: &str, value: &str) -> String {
    let others = lines.iter().copied().filter(|(other, _)| *other != key);
    let all = others.chain([(key, value)]);
    all.map(|(key, value)| format!("{key} = {value}\n")).collect::<Vec<_>>().concat()
}

fn role_with(key: &str, value: &str) -> String {
    lines_with(&ROLE, key, value)
}

/// Returns an environment of the driver that has the key.
fn environment_with(key: &str, value: &str) -> String {
    let lines = match key {
        "file" | "services" | "artifacts" | "host" => {
            let compose = [("driver", "'compose'"), ("path", "'/p'"), ("file", "'f'"), ("services", "['s']")];
            lines_with(&compose, key, value)
        }
        "observe" | "stage" | "check" | "shift" | "cleanup" => {
            let command = [
                ("driver", "'command'"),
                ("artifact", "'a'"),
                ("observe", "'x'"),
                ("stage", "'x'"),
                ("check", "'x'"),
                ("shift", "'x'"),
            ];
            lines_with(&command, key, value)
        }
        "roles" => lines_with(&[("driver", "'hosts'"), ("path", "'/p'")], key, value),
        _ => {
            let role = ROLE.into_iter().chain([("driver", "'hosts'"), ("path", "'/p'")]);
            lines_with(&role.collect::<Vec<_>>(), key, value)
        }
    };
    format!("{DEPLOYED_TASKS}[environments.e]\n{lines}")
}

/// Returns an environment in which a key of a table within it has this value.
fn deploy_table_with(table: &str, key: &str, value: &str) -> String {
    let inline = |lines: &[(&str, &str)]| {
        let lines = lines_with(lines, key, value);
        format!("{{ {} }}", lines.trim_end().replace('\n', ", "))
    };
    match table {
        "ports" => environment_with(table, &inline(&[("blue", "1"), ("green", "2")])),
        "health-check" if ["http", "command"].contains(&key) => environment_with(table, &inline(&[])),
        "health-check" => environment_with(table, &inline(&[("http", "'http://a'")])),
        "router" => {
            let lines: &[(&str, &str)] = match key {
                "nginx" | "upstream" | "url" | "reload" => &[("nginx", "'/n'"), ("upstream", "'u'")],
                "shift" | "read" => &[("shift", "'x'"), ("read", "'x'")],
                _ => &[("haproxy", "'/s'"), ("backend", "'b'")],
            };
            environment_with(table, &inline(lines))
        }
        "analysis" => {
            let source = ("source", "{ command = 'x' }");
            environment_with(table, &inline(&[("error-rate", "'1%'"), source]))
        }
        "analysis-source" => {
            let source = match key {
                "command" => inline(&[]),
                _ => inline(&[("prometheus", "'http://a'"), ("requests", "'q'"), ("errors", "'q'")]),
            };
            environment_with("analysis", &format!("{{ error-rate = '1%', source = {source} }}"))
        }
        "migrations" => {
            let way_back = if key == "irreversible" { key } else { "revert" };
            let lines = [("pending", "'x'"), ("expand", "'x'"), (way_back, "'x'")];
            environment_with(table, &inline(&lines))
        }
        "rehearse" => {
            let rehearsal = inline(&[("service", "'s'"), ("schema", "'x'")]);
            let migrations =
                format!("{{ pending = 'x', expand = 'x', revert = 'x', rehearse = {rehearsal} }}");
            environment_with("migrations", &migrations)
        }
        "approval" => environment_with(table, &inline(&[("signers", "'s'")])),
        _ => environment_with("deploy-windows", &format!("[{}]", inline(&[]))),
    }
}

/// Values of all types.
const VALUES: [&str; 10] =
    ["'x'", "1", "-1", "1.5", "true", "['x']", "[1]", "[['x']]", "{ x = 'x' }", "{ x = 1 }"];

#[test]
fn wrong_type_is_refused_by_parser_and_schema() {
    let mut refused = 0;
    for Table { name, keys, .. } in TABLES {
        for key in keys.iter().map(|key| key.name) {
            for value in VALUES {
                let text = text_with(name, key, value);
                let (found, schema_error) = (diagnostics(&text), schema_error(&text));
                let wrong_type = found.iter().any(|message| message.starts_with("expected "));
                assert!(!wrong_type || schema_error.is_some(), "only the parser refuses {text}: {found:?}");
                assert!(
                    schema_error.is_none() || !found.is_empty(),
                    "only the schema refuses {text}: {schema_error:?}"
                );
                refused += usize::from(wrong_type);
            }
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn schema_distinguishes_values_like_the_parser() {
    let cases = [
        (
            "task",
            "timeout",
            "'10m' '1h 30m' '1h30m' '250ms' '1.5s' ' 2 days ' '3µs' '1M 1y'",
            "'' 'ten' '0s' '10' 's' '10 parsecs' '1m,' '-1s' '1. s'",
        ),
        (
            "settings",
            "cache-size",
            "'10 GiB' '500MB' '1.5 g' '1024' '7b' '2 KiB'",
            "'' 'big' '0' '0 B' '-1 GiB' '1.5' '10 GiBs' ' 1 GB'",
        ),
        ("settings", "jobs", "0 8 0x10", "-1 4294967296 '2'"),
        ("task", "slots", "1 2", "0 -1"),
        ("task", "retries", "0 3", "-1 4294967296"),
        ("task", "os", "[] ['linux'] ['macos','windows','freebsd']", "['darwin'] ['Linux'] 'linux'"),
        ("task", "run", "'x' ['x'] ['x','']", "'' '  ' []"),
        ("task", "description", "'x é' ''", "\"a\\nb\" \"\\u007f\""),
        ("task", "group", "'a' '_x' 'a-b.c_9' 'éa' '9'", "'' '-a' 'a:b' '@a' 'a[x]'"),
        ("task", "locks", "[] ['port-5432']", "[''] ['a:b']"),
        ("task", "env", "{} {A='1'} {'a.b'=''}", "{A=1} {XTASK_A='1'} {'a=b'='1'} {''='1'}"),
        ("task", "pass-env", "[] ['A'] ['?A']", "[''] ['A=1'] ['XTASK_A'] ['?XTASK_A']"),
        ("task", "outputs", "[] ['dist/**']", "[''] ['@x'] ['!@x']"),
        ("task", "cache", "true false", "'true' 1"),
        (
            "task",
            "matrix",
            "{a=['1','2']} {a=['1'],b=['x']}",
            "{} {a=[]} {a=['1','1']} {a=['b c']} {a=['x=y']} {'a b'=['1']} {a='1'}",
        ),
        ("service", "port", "1 65535 'auto'", "0 65536 -1 '80' 'none' true"),
        ("ready", "tcp", "'127.0.0.1:1'", "'localhost' 1"),
        ("ready", "http", "'http://a/'", "'ftp://a/' 'a'"),
        ("stop", "signal", "'SIGINT' 'TERM' 'SIGKILL'", "'SIGSTOP' 'int' 2"),
        ("stop", "grace", "'1s'", "'0s' 1"),
        (
            "worktree",
            "setup",
            "'x' ['x'] {run='x'} {run=['x'],inputs=['a']}",
            "'' [] {} {inputs=['a']} {run='x',outputs=['a']} 1",
        ),
        (
            "service",
            "ready",
            "{log='x'} {tcp='a:1',timeout='1s'}",
            "{} {timeout='1s'} {log='x',tcp='a:1'} {port=1}",
        ),
        ("reports", "junit", "'a.xml' ['a.xml','b/*.xml']", "'' [] [''] '!a' '@a' 1 {}"),
        ("reports", "partial", "'vendored code'", "'' ' ' 1 true ['x']"),
        ("task", "reports", "{secrets='a',partial='x'}", "{partial='x'} {sarif='a',partial=''}"),
        ("gate", "secrets", "0 3", "-1 0.5 '0'"),
        ("gate", "of", "['r']", "[] [''] 'r'"),
        ("gate", "base", "'origin/main' 'v1~2'", "'' '-x' 'a b' 1"),
        ("gate", "sonar", "'ok'", "'OK' true ''"),
        (
            "gate",
            "coverage",
            "{min=80} {max-drop=0.5} {paths={'a/**'=100.0}}",
            "{} {paths={}} {paths={'@a'=1}} {paths={''=1}} 80 {lines=80}",
        ),
        ("coverage", "min", "0 100 79.9", "-1 100.5 '80'"),
        ("tests", "min-count", "0 1", "-1 1.5"),
        ("findings", "new", "0 1", "-1 '0'"),
        ("licences", "allow", "['MIT'] ['BSD-*','Apache 2']", "[] [''] ['MIT OR X'] 'MIT'"),
        (
            "gate",
            "performance",
            "{a='<=100ms'} {'a.b'='> 1.5'} {a=' == 0 %'} {a='< 3 μs'}",
            "{} {a='100ms'} {a='<= ms'} {a='<= -1'} {a='<= 1.'} {a='<= 1 h'} {''='< 1'} {a=1}",
        ),
        ("suppression", "expires", "2026-12-31 '2026-12-31'", "'31.12.2026' 2026 2026-12-31T00:00:00Z ''"),
        ("suppression", "reason", "'x'", "'' ' ' 1"),
        (
            "gate",
            "suppress",
            "[] [{licence='GPL-*',reason='x',expires=2026-01-01}]",
            "{} ['x'] [{}] [{reason='x',expires=2026-01-01}] [{rule='r',package='p',reason='x',expires=2026-01-01}]",
        ),
        ("", "artifacts", "{}", "1 {a={}} {a={task=1}} {'a b'={task='x'}} {a={run='x'}}"),
        ("artifact", "image", "'registry.example.org:5000/shop/web' 'shop/api'", "'' 1"),
        ("deploy", "store", "'../artifacts' '/a' 'ssh://u@h:22/p' 'oci://r.example.org/a/b'", "'' 1"),
        ("deploy", "journal", "'origin' 'local' 'git@h:r.git' 'https://h/r'", "'' 1"),
        ("deploy", "policy-branch", "'main' 'release/1'", "'' '-x' 'a b' 1"),
        ("environment", "driver", "'hosts'", "'' 'ssh' 'Hosts' 1"),
        ("environment", "path", "'/srv/a' '/srv/{{ host }}' 'srv'", "'' '~/x' 1"),
        ("environment", "keep", "2 9", "1 0 -1 '2'"),
        ("environment", "timeout", "'10m'", "'0s' 1"),
        ("environment", "traffic", "['100%'] ['10%','50 %','100%']", "[] ['10'] ['x%'] '100%' [100]"),
        ("environment", "on-lost", "'revert' 'hold'", "'' 'stop' 1"),
        (
            "environment",
            "hosts",
            "[{local=true}] [{ssh='u@h:2'}]",
            "[{}] [{local=true,ssh='h'}] [{host='h'}] ['h'] {}",
        ),
        ("environment", "host", "{local=true} {ssh='h'}", "{} 'h' {local=true,ssh='h'}"),
        ("environment", "services", "['a'] ['a','b']", "[] [''] 'a'"),
        ("environment", "artifacts", "{} {s='i'}", "{s=''} {s=1} ['i']"),
        (
            "environment",
            "roles",
            "{r={artifact='a',hosts=[{local=true}],start='systemctl start x'}}",
            "{r={}} {r='x'} []",
        ),
        ("environment", "ports", "{blue=1,green=65535}", "{} {blue=1} {blue=0,green=1} {blue='1',green=2}"),
        (
            "environment",
            "deploy-windows",
            "[{}] [{days='Mon',from='09:00',to='24:00',zone='UTC'}]",
            "{} ['x'] [{day='Mon'}]",
        ),
        ("deploy-window", "from", "'00:00' '23:59'", "'9:00' '0900' 9 ''"),
        ("approval", "count", "1 3", "0 -1 '1'"),
        ("health-check", "http", "'http://{{ host }}:{{ port }}/' 'https://a'", "'' 1"),
        ("health-check", "release", "'/a/b' 'header:X-A' 'pattern:(a)'", "'' 1"),
        ("health-check", "from", "'here' 'host'", "'there' 1"),
        ("router", "haproxy", "'/run/s' 's'", "'~/s' '' 1"),
        ("router", "on", "{local=true}", "{} 'h'"),
        ("analysis", "error-rate", "'1%' '0.5 %' '100%'", "'1' '%' '.5%' 1 ''"),
        ("analysis", "min-requests", "1 50", "0 '1'"),
        ("analysis", "inconclusive", "'rollback' 'continue'", "'' 'fail'"),
        ("analysis-source", "prometheus", "'http://a' 'https://a'", "'a' 1"),
        ("migrations", "run-on", "'first-host' 'here'", "'there' 1"),
        ("migrations", "irreversible", "true", "'true' 1"),
        ("migrations", "rehearse", "{service='s',schema='x'}", "{} {service='s'} 's'"),
        ("", "gates", "{}", "{a={}} {'a b'={secrets=0}} {a={secrets=0,run='x'}} {a={of=['r']}}"),
        ("", "hooks", "{} {pre-push=[]} {post-rewrite=[]}", "{update=[]} {pre-push='x'} {pre_push=[]}"),
        ("", "files", "{} {a=['**']} {a=[]}", "{a='x'} {'a b'=[]} {a=['']}"),
        (
            "",
            "tools",
            "{} {rustc='rustc -vV'} {node={run='node -v',cwd='web'}}",
            "{rustc=''} {'a b'='x'} {a=['x']} {a={}} {a={cwd='web'}} {a={run=''}} {a={run='x',dir='y'}}",
        ),
        (
            "",
            "tasks",
            "{} {a={run='x'}}",
            "{a={}} {a={fix='x'}} {'a:b'={run='x'}} {a='x'} {a={run='x',colour=1}}",
        ),
        ("", "services", "{} {a={run='x'}}", "{a={}} {a={port=1}} {a={run='x',outputs=[]}}"),
    ];
    for (name, key, right, wrong) in cases {
        assert!(table(name).has(key), "{key}");
        for value in split_values(right) {
            let text = text_with(name, key, &value);
            assert_eq!(diagnostics(&text), [""; 0], "{text}");
            assert_schema_accepts(&text);
        }
        for value in split_values(wrong) {
            let text = text_with(name, key, &value);
            assert!(!diagnostics(&text).is_empty(), "the parser accepts {text}");
            assert!(schema_error(&text).is_some(), "the schema accepts {text}");
        }
    }
}

/// Splits a list of values at spaces that are not in quotes or brackets.
fn split_values(list: &str) -> Vec<String> {
    let (mut values, mut depth, mut quote) = (vec![String::new()], 0, None);
    for c in list.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, ' ') if depth == 0 => {
                values.push(String::new());
                continue;
            }
            _ => {}
        }
        values.last_mut().unwrap().push(c);
    }
    values
}

#[test]
fn unknown_keys_are_refused() {
    for table in TABLES {
        let name = table.name;
        for key in table.planned.iter().map(|(key, _)| *key).chain(["no-such-key"]) {
            let text = text_with(name, key, "'x'");
            assert!(!diagnostics(&text).is_empty() && schema_error(&text).is_some(), "{text}");
        }
    }
}
