//! Tests of whole files: the example of the design, an empty file, and large files.

use super::*;

#[test]
fn design_example_is_loaded_completely() {
    let config = parse_ok(DESIGN);
    let names: Vec<&str> = config.tasks.iter().map(|task| &*task.name).collect();
    assert_eq!(names, ["ci", "clippy", "build", "integration", "wheel", "browser"]);
    assert_eq!(config.settings, model::Settings::default());
    assert_eq!(config.tools["rustc"].probe, "rustc -vV");

    let ci = task(&config, "ci");
    assert!(ci.is_aggregate());
    assert_eq!(ci.needs, [TaskId(1), TaskId(3), TaskId(4), TaskId(5)]);
    assert!(ci.run().is_none() && ci.inputs.is_empty());

    let clippy = task(&config, "clippy");
    assert_eq!(clippy.description.as_deref(), Some("Lint with clippy"));
    assert_eq!(clippy.run().unwrap().limits.timeout, Some(Duration::from_secs(1800)));
    assert_eq!(clippy.tools, ["rustc"]);
    assert_eq!(clippy.env.shell, ["sh", "-ec"]);
    assert!(clippy.inputs.matches(&path("x/a.rs")) && !clippy.inputs.matches(&path("target/a.rs")));
    assert_eq!(clippy.place, model::SourceLocation { file: "tasks.toml".to_owned(), line: 19, column: 8 });

    let build = task(&config, "build");
    assert_eq!(build.env.variables.set["RUSTFLAGS"], "-D warnings");
    assert_eq!(build.env.variables.passed, [PassEnv { name: "CARGO_HOME".to_owned(), keyed: true }]);
    assert_eq!(build.env.variables.secret, ["REGISTRY_TOKEN"]);
    assert!(build.outputs.matches(&path("target/release/app")));

    let integration = task(&config, "integration");
    let run = integration.run().unwrap();
    assert!(matches!(&run.command, Command::Argv(argv) if argv.len() == 5));
    assert_eq!(run.finally, Some(Command::Shell("docker compose down".to_owned())));
    assert_eq!(run.limits.timeout, Some(Duration::from_secs(600)));
    assert_eq!(run.limits.slow_after, Some(Duration::from_secs(120)));
    assert_eq!((run.retries, run.slots.get(), run.cache), (2, 2, true));
    assert_eq!((&*run.locks, &*run.os), (&["port-5432".to_owned()][..], &["linux".to_owned()][..]));
    assert!(integration.inputs.is_whole());

    let wheel = task(&config, "wheel");
    assert_eq!((wheel.env.cwd.to_string(), wheel.is_cached()), ("python".to_owned(), false));
    assert_eq!(wheel.env.shell, ["bash", "-c"]);
    assert!(task(&config, "browser").inputs.is_empty());
}

#[test]
fn empty_file_has_no_tasks() {
    assert!(parse_ok("").tasks.is_empty());
    assert!(parse_ok("[settings]\n[tasks]\n[files]\n").tasks.is_empty());
}

/// Returns a tasks.toml with many tasks, which need each other and have different outputs.
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
fn large_file_is_loaded() {
    let config = parse_ok(&large(300, |i| format!("packages/p{i}/dist")));
    assert_eq!(config.tasks.len(), 300);
    assert_eq!(config.tasks[299].needs, [TaskId(149)]);
}

/// Measures how long a large file takes. Run it with
/// `cargo test --release --lib config -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, of use in a release build alone"]
fn measure_loading_a_thousand_tasks() {
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
