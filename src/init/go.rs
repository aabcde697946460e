//! What a go.mod leads to. It must not know what is in it.

use crate::init::found::{Candidate, Found, Kind};
use crate::init::survey::Folder;

const FILE: &str = "go.mod";
/// Variables that tell where go keeps things.
const VARIABLES: &[&str] = &["?GOPATH", "?GOMODCACHE", "?GOCACHE", "?GOPROXY"];

/// Adds formatting, vetting and tests of a module.
pub(super) fn look(folder: &Folder, found: &mut Found) {
    if !folder.has(FILE) {
        return;
    }
    found.pass_env.extend(VARIABLES.iter().map(|name| (*name).to_owned()));
    let tool = found.tool(folder, "go", "go version");
    let task = |name: &str, kind, about: &str, run: &str| Candidate {
        about: about.to_owned(),
        run: run.to_owned(),
        tools: vec![tool.clone()],
        programs: vec!["go".to_owned()],
        ..Candidate::new(folder, FILE, name, kind)
    };
    // It names the files, and passes whatever it finds: so its answer is looked at.
    let run = "files=$(gofmt -l .); echo \"$files\"; test -z \"$files\"";
    let mut format = task("gofmt", Kind::Format, "Check the formatting", run);
    if folder.is_top() {
        found.sets.insert("go".to_owned(), vec!["**/*.go".to_owned()]);
        format.inputs = vec!["@go".to_owned()];
    }
    format.programs.push("gofmt".to_owned());
    found.add(Candidate { fix: Some("gofmt -w .".to_owned()), ..format });
    found.add(task("vet", Kind::Lint, "Look for mistakes with go vet", "go vet ./..."));
    found.add(task("go-test", Kind::Test, "Run the tests", "go test ./..."));
}
