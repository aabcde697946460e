//! Secrets: they are passed to tasks and their digests are part of keys, but their values are never printed
//! or stored.

use std::path::PathBuf;

use crate::project::Project;

const VALUE: &str = "s3cr3t-t0ken-value";

fn files(project: &Project) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut stack = vec![project.state()];
    while let Some(folder) = stack.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { stack.push(path) } else { files.push(path) }
        }
    }
    files
}

#[test]
fn secret_is_passed_and_in_the_key_but_never_visible() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = '''test -n "$TOKEN"; echo "token is $TOKEN"; printf %s "$TOKEN" | cut -c1-5 | tr -d '\n'; printf %s "$TOKEN" | cut -c6-'''
        inputs = ["?in"]
        secret-env = ["TOKEN"]
        "#,
    );
    let run = |value: &str| project.xtask_env(&["t", "--output", "all"], &[("TOKEN", value)]).ends(0);
    run(VALUE).says("token is ***").does_not_say(VALUE);
    run(VALUE).says("nothing ran").does_not_say(VALUE);
    run("another-value").says("TOKEN has another value").does_not_say("another-value");
    let why = project.xtask_env(&["why", "t", "--json"], &[("TOKEN", VALUE)]).ends(0);
    assert!(!why.out.contains(VALUE));
    for file in files(&project) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(VALUE), "{}", file.display());
    }
}

#[test]
fn output_with_a_secret_is_not_stored() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "echo $TOKEN > out"
        inputs = ["?in"]
        outputs = ["out"]
        secret-env = ["TOKEN"]
        "#,
    );
    project.xtask_env(&["t"], &[("TOKEN", VALUE)]).ends(0).says("contains the value of a secret");
    assert!(project.cache_files().is_empty());
}
