//! Tests of whole files: each is YAML, whatever the names are, and says what tasks.toml says.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::runner::{Install, Runner};
use super::*;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Pattern, PatternBase, Patterns};
use crate::base::yaml::{parse as parse_yaml, scalar};
use crate::config::model::{Config, Provider, Report};
use crate::config::{SourceText, parse};
use crate::graph::{Graph, Reach};
use crate::select::Selection;
use ci_reports::ReportKind;

fn config(text: &str, base: &str) -> Config {
    let base = RepoPath::top().join(base).unwrap();
    parse(&SourceText { name: "tasks.toml", text, base, project: "" }).unwrap()
}

fn facts(config: &Config, runner: Runner) -> CiFacts {
    let selection = Selection::from_names(config, &config.ci.run).unwrap();
    CiFacts::new(config, &Graph::new(config, &selection.tasks, Reach::WithNeeds), runner)
}

#[test]
fn runner_is_called_as_the_repository_provides_it() {
    let ci = "[tasks.ci]\nrun = \"true\"\n";
    let named = "[ci]\nrun = [\"unit\", \"wheel[v=a;b]\"]\n[tasks.unit]\nrun = \"x\"\n[tasks.wheel]\nmatrix = { v = [\"a;b\"] }\nrun = \"x\"";
    let cases = [
        (ci, "", Runner::Own, "cargo xtask ci", None),
        (ci, "", Runner::Installed, "xtask ci", Some(Install::Release)),
        (ci, "web app", Runner::Own, "cargo xtask -C 'web app' ci", None),
        (named, "", Runner::Installed, "xtask run unit 'wheel[v=a;b]'", Some(Install::Release)),
    ];
    for (text, base, runner, line, install) in cases {
        let facts = facts(&config(text, base), runner);
        assert_eq!(format!("{} {}", facts.call, facts.run), line);
        assert_eq!(facts.install, install);
    }
    let own = format!("[ci]\ninstall = \"curl x | sh # y\"\n{ci}");
    assert_eq!(
        facts(&config(&own, ""), Runner::Own).install,
        Some(Install::Line("curl x | sh # y".to_owned()))
    );
    let none = format!("[ci]\ninstall = \"\"\n{ci}");
    assert_eq!(facts(&config(&none, ""), Runner::Installed).install, None);
}

#[test]
fn systems_are_those_of_the_selected_tasks() {
    use ci_facts::System::{Linux, MacOs};
    let cases: &[(&str, &[ci_facts::System], &[&str])] = &[
        ("[tasks.ci]\nrun = \"x\"", &[Linux], &[]),
        ("[tasks.ci]\nneeds = [\"a\"]\n[tasks.a]\nrun = \"x\"\nos = [\"macos\"]", &[MacOs], &[]),
        (
            "[tasks.ci]\nrun = \"x\"\nneeds = [\"a\"]\n[tasks.a]\nrun = \"x\"\nos = [\"macos\"]",
            &[Linux, MacOs],
            &[],
        ),
        ("[tasks.ci]\nrun = \"x\"\n[tasks.other]\nrun = \"x\"\nos = [\"macos\"]", &[Linux], &[]),
        ("[tasks.ci]\nrun = \"x\"\nos = [\"freebsd\", \"linux\"]", &[Linux], &["freebsd"]),
    ];
    for (text, systems, unserved) in cases {
        let facts = facts(&config(text, ""), Runner::Own);
        assert_eq!(
            (&*facts.systems, &*facts.unserved),
            (*systems, &*unserved.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
            "{text}"
        );
    }
}

#[test]
fn gitlab_gets_the_report_paths() {
    let base = RepoPath::top().join("web").unwrap();
    let mut config = config("[tasks.ci]\nrun = \"x\"", "web");
    let report = |kind, text| {
        let pattern = Pattern::parse(text, PatternBase { base: &base, anchored: true }).unwrap();
        let files = Patterns::new(vec![Item::including(Matcher::Pattern(pattern))]);
        Report { kind, files, partial: None }
    };
    config.tasks[0].run_mut().unwrap().reports = vec![
        report(ReportKind::Junit, "out/junit.xml"),
        report(ReportKind::Junit, "out/**/TEST-*.xml"),
        report(ReportKind::Cobertura, "out/cobertura.xml"),
        report(ReportKind::Lcov, "out/lcov.info"),
    ];
    let pipeline = parse_yaml(&gitlab::draft(&facts(&config, Runner::Installed), gitlab::PATH).text).unwrap();
    let reports = &pipeline["ci"]["artifacts"]["reports"];
    let junit = json!([".xtask-artifacts/junit.xml", "web/out/**/TEST-*.xml", "web/out/junit.xml"]);
    assert_eq!(reports["junit"], junit);
    let coverage = json!({ "coverage_format": "cobertura", "path": "web/out/cobertura.xml" });
    assert_eq!(reports["coverage_report"], coverage);
}

#[test]
fn matrix_values_reach_a_shell_only_as_variables() {
    let text = "[ci]\nshards = 3\ntimings = \"it's\"\n[tasks.ci]\nneeds = [\"a\"]\n[tasks.a]\nrun = \"x\"\nos = [\"linux\", \"macos\"]";
    let facts = facts(&config(text, ""), Runner::Installed);
    let draft = github::draft(&facts, &["main".to_owned()], github::PATH);
    let workflow = parse_yaml(&draft.text).unwrap();
    let steps = |job: &str| workflow["jobs"][job]["steps"].as_array().unwrap();
    for job in ["shard", "ci"] {
        let lines: Vec<&str> = steps(job).iter().filter_map(|step| step["run"].as_str()).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| !line.contains("${{")), "{lines:?}");
    }
    let run = steps("shard").iter().find(|step| step["env"].is_object()).unwrap();
    assert_eq!(
        run["run"],
        "xtask ci --shard \"$SHARD/3\" --manifest \"$RUNNER_TEMP/manifest-$SHARD.json\" --timings \"it's\""
    );
    assert_eq!(workflow["jobs"]["shard"]["strategy"]["matrix"]["shard"], json!([1, 2, 3]));
    assert_eq!(workflow["jobs"]["ci"]["strategy"]["matrix"]["image"], json!(["ubuntu-24.04", "macos-15"]));
    assert_eq!(workflow["jobs"]["shard"]["strategy"]["fail-fast"], false);
    assert_eq!(workflow["permissions"], json!({ "contents": "read" }));
}

#[test]
fn each_file_says_that_it_is_generated() {
    let facts = facts(&config("[tasks.ci]\nrun = \"x\"", ""), Runner::Own);
    let mut drafts = vec![
        github::draft(&facts, &[], github::PATH),
        gitlab::draft(&facts, gitlab::PATH),
        dependabot::draft(ecosystem::Ecosystems::new()),
    ];
    for draft in &drafts {
        assert!(parse_yaml(&draft.text).is_ok(), "{}", draft.path);
    }
    drafts.extend([Provider::GitHub, Provider::GitLab].map(|provider| pr_template::draft(&facts, provider)));
    for draft in drafts {
        assert!(is_generated(&draft.text), "{}", draft.path);
        assert!(Sections::parse(&draft.text).is_ok(), "{}", draft.path);
    }
    for text in ["", "name: ci\n", "\n# Written by `xtask ci init` from tasks.toml\n"] {
        assert!(!is_generated(text), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_line_is_quoted_as_valid_yaml(text in "[^\\p{Cc}\\u{2028}\\u{2029}\\u{feff}]{0,30}") {
        let value = parse_yaml(&format!("a:\n  - {}\n", scalar(&text))).unwrap();
        prop_assert_eq!(&value["a"][0], &Value::from(text));
    }

    #[test]
    fn any_names_give_a_valid_workflow(
        branches in proptest::collection::vec("[ -~é]{1,12}", 1..4),
        install in "[ -~]{0,30}",
    ) {
        let mut config = config("[ci]\nshards = 2\n[tasks.ci]\nrun = \"x\"", "");
        config.ci.install = Some(install.clone());
        config.ci.branches = branches.clone();
        let facts = facts(&config, Runner::Installed);
        let text = github::draft(&facts, &branches, github::PATH).text;
        prop_assert_eq!(github::branches(&text), branches);
        let workflow = parse_yaml(&text).unwrap();
        let steps = workflow["jobs"]["shard"]["steps"].as_array().unwrap();
        let found = steps.iter().any(|step| step["run"].as_str() == Some(&install));
        prop_assert_eq!(found, !install.is_empty());
        prop_assert!(parse_yaml(&gitlab::draft(&facts, gitlab::PATH).text).is_ok());
    }

    #[test]
    fn any_text_is_parsed_without_a_panic(text in "[-:?\\[\\]{}&*!|>'\"%@`# \n\ta1]{0,60}") {
        let _ = parse_yaml(&text);
        let _ = Sections::parse(&text);
    }
}
