//! Tasks of a Go module. Of go.mod, it only reads whether it refers to other folders.

use crate::base::tool_files;
use crate::init::ci_commands::CiCommands;
use crate::init::package_manager::quote_word;
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::survey::{Folder, Survey};

const FILE: &str = "go.mod";
/// Variables that change what go does.
const VARIABLES: &[&str] = &["GOFLAGS"];

/// Adds tasks for formatting, vetting and tests of a module.
pub(super) fn propose(survey: &Survey, ci: &CiCommands, folder: &Folder, found: &mut Proposals) {
    if !folder.has(FILE) {
        return;
    }
    found.pass_env.extend(VARIABLES.iter().map(|name| (*name).to_owned()));
    let tool = found.tool(folder, "go", "go version");
    let settings = found.settings("go-settings", tool_files::GO);
    // A workspace or a `replace` refers to files outside of the folder.
    let leaves = folder.text(FILE).is_some_and(|text| text.contains("../"))
        || survey.upward(folder).any(|above| above.has("go.work"));
    let task = |name: &str, kind, about: &str, run: &str| Candidate {
        about: about.to_owned(),
        run: run.to_owned(),
        tools: vec![tool.clone()],
        programs: vec!["go".to_owned()],
        inputs: match &*Candidate::new(folder, FILE, name, kind).inputs {
            [own] if !leaves => vec![own.clone(), settings.clone()],
            _ => Vec::new(),
        },
        ..Candidate::new(folder, FILE, name, kind)
    };
    // gofmt always exits with 0, so its output is checked.
    let run = "files=$(gofmt -l .); echo \"$files\"; test -z \"$files\"";
    let mut format = task("gofmt", TaskKind::Format, "Check the formatting", run);
    if folder.is_top() {
        found.sets.insert("go".to_owned(), vec!["**/*.go".to_owned(), settings.clone()]);
        format.inputs = vec!["@go".to_owned()];
    }
    format.programs.push("gofmt".to_owned());
    found.add(Candidate { fix: Some("gofmt -w .".to_owned()), ..format });
    let has_config = survey.upward(folder).any(|above| {
        [".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json"]
            .iter()
            .any(|name| above.has(name))
    });
    let in_ci = ci.calls(&folder.path, "golangci-lint").next().is_some();
    // golangci-lint also does what vet does.
    if !has_config && !in_ci || !survey.has_program("golangci-lint") {
        found.add(task("vet", TaskKind::Lint, "Look for mistakes with go vet", "go vet ./..."));
    }
    if has_config || in_ci {
        let mut lint = task("golangci-lint", TaskKind::Lint, "Lint with golangci-lint", "golangci-lint run");
        lint.tools.push(found.tool(folder, "golangci-lint", "golangci-lint --version"));
        lint.programs.push("golangci-lint".to_owned());
        found.add(Candidate { fix: Some("golangci-lint run --fix".to_owned()), ..lint });
    }
    let calls = |verb: &str| -> Option<String> {
        let mut calls = ci.calls(&folder.path, "go").filter(|it| it.command.subcommand() == verb);
        let call = calls.find(|it| it.command.is_plain && it.command.has_any(&["./..."]))?;
        let covers = |word: &&str| {
            !matches!(*word, "-v" | "--race-off" | "-cover" | "-x")
                && !word.starts_with("-cover")
                && !word.contains('$')
        };
        Some(format!(
            "go {}",
            call.command.args().filter(covers).map(quote_word).collect::<Vec<_>>().join(" ")
        ))
    };
    if let Some(run) = calls("build") {
        found.add(task("go-build", TaskKind::Build, "Compile all packages", &run));
    }
    let run = calls("test").unwrap_or_else(|| "go test ./...".to_owned());
    found.add(task("go-test", TaskKind::Test, "Run the tests", &run));
}
