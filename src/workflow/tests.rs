//! Tests of the files as wholes: each is YAML, whatever the names are, and says what tasks.toml says.

use proptest::prelude::*;

use super::site::Runner;
use super::tree::Node;
use super::*;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Origin, Pattern, Patterns};
use crate::config::model::{Config, Provider, Report};
use crate::config::{Source, parse};
use crate::graph::{Graph, Reach};
use crate::select::Selection;
use ci_reports::ReportKind;

fn config(text: &str, base: &str) -> Config {
    let base = RepoPath::top().join(base).unwrap();
    parse(&Source { name: "tasks.toml", text, base, project: "" }).unwrap()
}

fn site(config: &Config, runner: Runner) -> Site {
    let selection = Selection::of(config, &config.ci.run).unwrap();
    Site::of(config, &Graph::of(config, &selection.tasks, Reach::WithNeeds), runner)
}

fn at<'n>(node: &'n Node, path: &str) -> &'n Node {
    path.split('.').fold(node, |node, part| match part.parse::<usize>() {
        Ok(at) => &node.list()[at],
        Err(_) => node.get(part).unwrap_or_else(|| panic!("no {part} of {path} in {}", node.brief(200))),
    })
}

#[test]
fn the_runner_is_called_as_the_repository_has_it() {
    let ci = "[tasks.ci]\nrun = \"true\"\n";
    let named = "[ci]\nrun = [\"unit\", \"wheel[v=a;b]\"]\n[tasks.unit]\nrun = \"x\"\n[tasks.wheel]\nmatrix = { v = [\"a;b\"] }\nrun = \"x\"";
    let cases = [
        (ci, "", Runner::Own, "cargo xtask ci", None),
        (ci, "", Runner::Installed, "xtask ci", Some("cargo install --locked --git ")),
        (ci, "web app", Runner::Own, "cargo xtask -C 'web app' ci", None),
        (named, "", Runner::Installed, "xtask run unit 'wheel[v=a;b]'", Some("cargo install ")),
    ];
    for (text, base, runner, line, install) in cases {
        let site = site(&config(text, base), runner);
        assert_eq!(format!("{} {}", site.call, site.run), line);
        let starts = site.install.as_deref().map(|line| line.starts_with(install.unwrap_or("-")));
        assert_eq!(starts, install.map(|_| true), "{:?}", site.install);
    }
    let own = format!("[ci]\ninstall = \"curl x | sh # y\"\n{ci}");
    assert_eq!(site(&config(&own, ""), Runner::Own).install.as_deref(), Some("curl x | sh # y"));
    let none = format!("[ci]\ninstall = \"\"\n{ci}");
    assert_eq!(site(&config(&none, ""), Runner::Installed).install, None);
}

#[test]
fn the_systems_are_those_of_the_tasks_that_are_run() {
    use site::System::{Linux, MacOs};
    let cases: &[(&str, &[site::System], &[&str])] = &[
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
        let site = site(&config(text, ""), Runner::Own);
        assert_eq!(
            (&*site.systems, &*site.unserved),
            (*systems, &*unserved.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
            "{text}"
        );
    }
}

#[test]
fn gitlab_is_told_where_tasks_leave_their_reports() {
    let base = RepoPath::top().join("web").unwrap();
    let mut config = config("[tasks.ci]\nrun = \"x\"", "web");
    let report = |kind, text| {
        let pattern = Pattern::parse(text, Origin { base: &base, anchored: true }).unwrap();
        let files = Patterns::new(vec![Item::adding(Matcher::Pattern(pattern))]);
        Report { kind, files, partial: None }
    };
    config.tasks[0].reports = vec![
        report(ReportKind::Junit, "out/junit.xml"),
        report(ReportKind::Junit, "out/**/TEST-*.xml"),
        report(ReportKind::Cobertura, "out/cobertura.xml"),
        report(ReportKind::Lcov, "out/lcov.info"),
    ];
    let tree = tree::read(&gitlab::draft(&site(&config, Runner::Installed)).text).unwrap();
    let reports = at(&tree, "ci.artifacts.reports");
    assert_eq!(
        at(reports, "junit").brief(200),
        r#"[".xtask-artifacts/junit.xml", "web/out/**/TEST-*.xml", "web/out/junit.xml"]"#
    );
    assert_eq!(
        at(reports, "coverage_report").brief(200),
        r#"{coverage_format: "cobertura", path: "web/out/cobertura.xml"}"#
    );
}

#[test]
fn values_of_a_matrix_reach_a_shell_as_variables_only() {
    let text = "[ci]\nshards = 3\ntimings = \"it's\"\n[tasks.ci]\nneeds = [\"a\"]\n[tasks.a]\nrun = \"x\"\nos = [\"linux\", \"macos\"]";
    let site = site(&config(text, ""), Runner::Installed);
    let draft = github::draft(&site, &["main".to_owned()]);
    let tree = tree::read(&draft.text).unwrap();
    for job in ["shard", "ci"] {
        let steps = at(&tree, &format!("jobs.{job}.steps")).list();
        let lines: Vec<&str> = steps.iter().filter_map(|step| step.get("run")?.text()).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| !line.contains("${{")), "{lines:?}");
    }
    let runs = at(&tree, "jobs.shard.steps").list();
    let run = runs.iter().find(|step| step.get("env").is_some()).unwrap();
    assert_eq!(
        at(run, "run").text().unwrap(),
        "xtask ci --shard \"$SHARD/3\" --manifest \"$RUNNER_TEMP/manifest-$SHARD.json\" --timings \"it's\""
    );
    assert_eq!(at(&tree, "jobs.shard.strategy.matrix.shard").brief(20), "[1, 2, 3]");
    assert_eq!(at(&tree, "jobs.ci.strategy.matrix.image").brief(50), r#"["ubuntu-24.04", "macos-15"]"#);
    assert_eq!(at(&tree, "jobs.shard.strategy.fail-fast").brief(9), "false");
    assert_eq!(at(&tree, "permissions").brief(30), r#"{contents: "read"}"#);
}

#[test]
fn each_file_tells_that_it_was_generated() {
    let site = site(&config("[tasks.ci]\nrun = \"x\"", ""), Runner::Own);
    let mut drafts = vec![
        github::draft(&site, &[]),
        gitlab::draft(&site),
        dependabot::draft(ecosystem::Ecosystems::new()),
    ];
    for draft in &drafts {
        assert!(tree::read(&draft.text).is_ok(), "{}", draft.path);
    }
    drafts.extend([Provider::GitHub, Provider::GitLab].map(|provider| request::draft(&site, provider)));
    for draft in drafts {
        assert!(is_generated(&draft.text), "{}", draft.path);
        assert!(handwritten::Parts::read(&draft.text).is_ok(), "{}", draft.path);
    }
    for text in ["", "name: ci\n", "\n# Written by `xtask ci init` from tasks.toml\n"] {
        assert!(!is_generated(text), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_line_is_written_as_yaml_that_means_it(text in "[^\\p{Cc}\\u{2028}\\u{2029}\\u{feff}]{0,30}") {
        let tree = tree::read(&format!("a:\n  - {}\n", scalar(&text))).unwrap();
        prop_assert_eq!(at(&tree, "a.0").text(), Some(&*text));
    }

    #[test]
    fn any_names_give_a_workflow_that_holds_them(
        branches in proptest::collection::vec("[ -~é]{1,12}", 1..4),
        install in "[ -~]{0,30}",
    ) {
        let mut config = config("[ci]\nshards = 2\n[tasks.ci]\nrun = \"x\"", "");
        config.ci.install = Some(install.clone());
        config.ci.branches = branches.clone();
        let site = site(&config, Runner::Installed);
        let text = github::draft(&site, &branches).text;
        prop_assert_eq!(github::branches(&text), branches);
        let tree = tree::read(&text).unwrap();
        let steps = at(&tree, "jobs.shard.steps").list();
        let found = steps.iter().any(|step| step.get("run").and_then(Node::text) == Some(&install));
        prop_assert_eq!(found, !install.is_empty());
        prop_assert!(tree::read(&gitlab::draft(&site).text).is_ok());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[-:?\\[\\]{}&*!|>'\"%@`# \n\ta1]{0,60}") {
        let _ = tree::read(&text);
        let _ = handwritten::Parts::read(&text);
    }
}
