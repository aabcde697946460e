//! Tests that the output and the names of tasks can't give commands to a CI service.

use super::*;
use crate::event::Stored;

/// Output of a task that tries to give commands to each service.
const FORGED: &str = "\
::error title=forged::forged
  ::warning::forged
\t::ADD-MASK::forged
::stop-commands::forged
::forged::
::endgroup::
::group::forged
##[group]forged
a ##[error]forged
##vso[task.setvariable variable=forged]forged
a ##vso[task.complete result=Failed;]forged
--- forged
+++ forged
~~~ forged
^^^ +++
coverage: 1%
\u{1b}[0Ksection_start:1:forged[collapsed=true]\r\u{1b}[0Kforged
section_end:1:forged\r\u{1b}[0K
\u{1b}[31m##\u{1b}[0m[group]forged
\u{1b}[31m+++ forged\u{1b}[0m
cut\u{0}##\u{7}[group]forged\r::error::forged
";

/// Creates a run in which every text contains forged commands.
fn forged(output: Output) -> Vec<Event> {
    let name = "unit[x=\n::error::forged\n##[group]forged]";
    let log = FORGED.to_owned();
    let mut unit = task(name, failed(), &log);
    unit.failed_logs = vec![Log { text: log.clone(), left_out: 5 }];
    unit.command = "##[group]forged".to_owned();
    let findings = vec![Finding {
        message: log.clone(),
        tool: "::error::forged".to_owned(),
        ..finding(Severity::High, "##vso[task.complete]forged,file=forged", Some(spot("a,line=9::forged", 1)))
    }];
    let mut build = task("build", Status::Passed, &log);
    build.reported = Some(Box::new(Reported { findings, ..Reported::default() }));
    build.stored = Stored::No { why: log.clone() };
    let mut gate = task("quality", Status::Failed { ended: Ended::Rules { broken: 1 } }, &log);
    gate.evidence = Some(Box::new(Evidence {
        rules: vec![ruling("\n::error::forged", Judged::Broken, vec![violation(&log, None, None)])],
        ..Evidence::default()
    }));
    let tasks = [build, unit, gate];
    let mut events = run(&tasks);
    events.insert(1, at(1, What::Notice { level: Level::Note, text: log.clone() }));
    if output == Output::Stream {
        events.insert(2, at(1, What::TaskOutput { task: name.to_owned(), text: log }));
    }
    events
}

const OUTPUTS: [Output; 4] = [Output::Failed, Output::Grouped, Output::Stream, Output::All];

/// Returns the commands that GitHub's runner would execute, parsed as its source does: name, properties,
/// data.
fn obeyed(text: &str) -> Vec<(String, String, String)> {
    const KNOWN: &str =
        "error warning notice group endgroup add-mask debug stop-commands set-output add-matcher";
    let known = |name: &str, token: &Option<String>| {
        let name = name.to_lowercase();
        KNOWN.split(' ').any(|known| known == name) || token.as_ref() == Some(&name)
    };
    let mut token: Option<String> = None;
    let mut obeyed = Vec::new();
    for line in text.split(['\n', '\r']) {
        let new = line.trim_start().strip_prefix("::").and_then(|rest| rest.split_once("::"));
        let new = new.filter(|(info, _)| known(info.split(' ').next().unwrap(), &token));
        let old = line.split_once("##[").and_then(|(_, rest)| rest.split_once(']'));
        let old = old.filter(|(info, _)| known(info.split(' ').next().unwrap(), &token));
        let Some((info, data)) = new.or(old) else { continue };
        let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
        match &token {
            Some(stopped) if name.to_lowercase() != *stopped => {}
            Some(_) => token = None,
            None if name == "stop-commands" => token = Some(data.to_owned()),
            None => obeyed.push((name.to_owned(), properties.to_owned(), data.to_owned())),
        }
    }
    assert_eq!(token, None, "a fence is left open:\n{text}");
    obeyed
}

#[test]
fn simulated_runner_obeys_unfenced_commands() {
    let names: Vec<String> =
        obeyed("::add-mask::x\na ##[group]b\n::stop-commands::t\n::error::x\n::t::\n::endgroup::\n")
            .into_iter()
            .map(|command| command.0)
            .collect();
    assert_eq!(names, ["add-mask", "group", "endgroup"]);
}

#[test]
fn github_obeys_only_our_commands() {
    for output in OUTPUTS {
        let text = printed(&forged(output), output, github());
        let commands = obeyed(&text);
        let count = |name: &str| commands.iter().filter(|command| command.0 == name).count();
        let shows_passed = matches!(output, Output::Grouped | Output::All);
        assert_eq!(count("group"), usize::from(shows_passed), "{text}");
        assert_eq!(count("endgroup"), usize::from(shows_passed), "{text}");
        // The task, the rule, and the finding that broke no rule.
        assert_eq!((count("error"), count("warning")), (2, 1), "{text}");
        assert_eq!(commands.len(), 3 + 2 * usize::from(shows_passed), "{text}");
        for (name, properties, data) in &commands {
            assert_ne!(data, "forged", "{name}\n{text}");
            let names: Vec<&str> = properties.split(',').filter_map(|one| one.split('=').next()).collect();
            assert!(["", "title", "file line title"].contains(&&*names.join(" ")), "{properties}");
        }
        // The web page of the log formats these, no matter who printed them.
        assert!(!text.contains("##["), "{text}");
    }
}

#[test]
fn each_fence_has_its_own_token() {
    let text = printed(&forged(Output::All), Output::All, github());
    let tokens: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("::stop-commands::")).collect();
    let tokens: Vec<&&str> = tokens.iter().filter(|token| **token != "forged").collect();
    let distinct: std::collections::BTreeSet<_> = tokens.iter().collect();
    assert!(tokens.len() >= 4 && distinct.len() == tokens.len(), "{tokens:?}");
}

#[test]
fn azure_obeys_only_our_commands() {
    for output in OUTPUTS {
        let text = printed(&forged(output), output, azure());
        for line in text.lines().filter(|line| line.contains("##vso[")) {
            assert!(
                ["##vso[task.logissue type=", "##vso[task.uploadsummary]/home/me"]
                    .iter()
                    .any(|ours| line.starts_with(ours)),
                "{line}"
            );
            // The command must end where the reporter ended it.
            assert!(!line[..line.find(']').unwrap()].contains("forged,file=forged;"), "{line}");
        }
        let drawn: Vec<&str> = text.lines().filter(|line| line.contains("##[")).collect();
        let ours = ["##[group]build: passed, 2.0 s", "##[endgroup]"];
        let shows_passed = matches!(output, Output::Grouped | Output::All);
        assert_eq!(drawn, if shows_passed { &ours[..] } else { &[] }, "{text}");
    }
}

#[test]
fn buildkite_shows_only_our_headings() {
    for output in OUTPUTS {
        let text = printed(&forged(output), output, buildkite());
        for line in text.lines() {
            let is_heading = ["---", "+++", "~~~", "^^^"].iter().any(|mark| line.starts_with(mark));
            assert!(
                !is_heading || !line[3..].trim_start().starts_with("forged") && !line.contains("^^^"),
                "{line}"
            );
        }
    }
}

#[test]
fn gitlab_shows_only_our_sections_and_coverage() {
    for output in OUTPUTS {
        let mut events = forged(output);
        let mut gate = shop().remove(3);
        gate.task = "last".to_owned();
        events.insert(1, at(1, What::TaskFinished(gate)));
        let text = printed(&events, output, gitlab());
        for marker in ["section_start:", "section_end:"] {
            for (at, _) in text.match_indices(marker) {
                let rest: String = text[at + marker.len()..].chars().skip(11).take(9).collect();
                assert_eq!(rest, "taskgate_", "{text}");
            }
        }
        let coverage: Vec<&str> = text.lines().filter(|line| line.starts_with("coverage:")).collect();
        assert_eq!(coverage, ["coverage: 76.20%"]);
    }
}
