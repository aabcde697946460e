//! Tests that a report of 200 MB can be read for two gates with at most 1 GiB of memory.

use crate::project::{CommandOutput, Project};

/// Writes 400,000 results of 500 bytes each.
const WRITE: &str = r#"awk 'BEGIN {
    printf "{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"lint\",\"rules\":[{\"id\":\"R\",\"defaultConfiguration\":{\"level\":\"note\"}}]}},\"results\":["
    text = sprintf("%330s", ""); gsub(/ /, "long words ", text); text = substr(text, 1, 330)
    for (i = 0; i < 400000; i++) {
        printf "%s{\"ruleId\":\"R\",\"message\":{\"text\":\"%d %s\"},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":\"src/file-%d.c\"},\"region\":{\"startLine\":%d,\"snippet\":{\"text\":\"x = %d;\"}}}}]}\n", (i ? "," : ""), i, text, i % 1000, i, i
    }
    printf "]}]}"
}' > out.sarif"#;

#[test]
fn large_report_is_read() {
    let tasks = format!(
        r"
        [tasks.scan]
        run = '''{WRITE}'''
        inputs = []
        reports = {{ sarif = 'out.sarif' }}
        [gates.scanned]
        findings = {{ high = 0, note = 400000 }}
        [gates.again]
        findings = {{ total = 400000 }}
        "
    );
    let project = Project::new(&tasks);
    project.write(".gitignore", "out.sarif\n").commit("ignored");
    // The limit is for address space, which is larger than the memory that is really used.
    let mut command = project.command("sh");
    let line = format!("ulimit -v 1048576; exec '{}' run scan", env!("CARGO_BIN_EXE_xtask"));
    let ran = CommandOutput::from_output(command.args(["-c", &line]).output().unwrap());
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("400000"), "{}", ran.err);
    let size = std::fs::metadata(project.path("out.sarif")).unwrap().len();
    assert!(size > 200_000_000, "{size}");
}
