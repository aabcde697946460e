//! Outputs: stored, restored exactly, and never at the cost of what is not ours.

use std::os::unix::fs::PermissionsExt as _;

use crate::project::{Project, flip};

const BUILD: &str = r#"
[tasks.build]
run = '''
rm -rf dist; mkdir -p dist/sub dist/empty
cat src/in > dist/app; chmod 755 dist/app
head -c 200000 /dev/zero > dist/sub/big
ln -s app dist/link
echo ran >> ../ran
'''
inputs = ["src/**"]
outputs = ["dist/**"]
"#;

fn build() -> Project {
    let project = Project::new(BUILD);
    project.write("src/in", "one\n").write(".gitignore", "dist\n").commit("in");
    project.xtask(&["build"]).ends(0).says("1 ran");
    project
}

#[track_caller]
fn check(project: &Project) {
    assert_eq!(project.read("dist/app"), "one\n");
    assert_eq!(std::fs::metadata(project.path("dist/app")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(std::fs::read(project.path("dist/sub/big")).unwrap(), vec![0; 200_000]);
    assert_eq!(std::fs::read_link(project.path("dist/link")).unwrap().to_str(), Some("app"));
    assert!(project.path("dist/empty").is_dir());
    assert_eq!(project.lines("../ran").len(), 1, "it was restored, not run");
}

#[test]
fn what_is_edited_deleted_or_added_by_hand_is_put_right() {
    let project = build();
    let changes: [(&str, &dyn Fn()); 6] = [
        ("dist/app was edited", &|| {
            project.write("dist/app", "two\n");
        }),
        ("dist/app has another mode", &|| {
            project.chmod("dist/app", 0o644);
        }),
        ("dist/sub/big is missing", &|| std::fs::remove_file(project.path("dist/sub/big")).unwrap()),
        ("dist/stale is extra", &|| {
            project.write("dist/stale", "x");
        }),
        ("dist/link is no longer a symlink", &|| {
            std::fs::remove_file(project.path("dist/link")).unwrap();
            project.write("dist/link", "x");
        }),
        ("is missing", &|| std::fs::remove_dir_all(project.path("dist")).unwrap()),
    ];
    for (reason, change) in changes {
        change();
        project.xtask(&["build"]).ends(0).says("outputs restored").says(reason);
        check(&project);
        assert!(!project.path("dist/stale").exists());
        project.xtask(&["build"]).ends(0).does_not_say("restored");
    }
}

#[test]
fn a_flipped_byte_in_any_file_of_the_cache_is_found_and_replaced() {
    let project = build();
    let files = project.cache_files();
    assert!(files.len() >= 2, "an entry and a blob");
    for file in &files {
        let len = usize::try_from(std::fs::metadata(file).unwrap().len()).unwrap();
        for at in [0, len / 3, len / 2, len - 1] {
            flip(file, at);
            project.xtask(&["build"]).ends(0).says("damaged").says("1 ran");
            project.xtask(&["build"]).ends(0).says("nothing ran");
            project.xtask(&["cache", "verify"]).ends(0).prints("clean");
        }
    }
}

#[test]
fn a_missing_blob_is_a_miss_that_leaves_outputs_alone_until_it_runs() {
    let project = build();
    let blob =
        project.cache_files().into_iter().find(|file| file.starts_with(project.state().join("cache/blobs")));
    std::fs::remove_file(blob.unwrap()).unwrap();
    project.write("dist/app", "two\n");
    let plan = project.xtask(&["plan", "build"]).ends(0).prints("miss").prints("damaged");
    assert!(plan.out.contains("blobs/"), "{}", plan.out);
    assert_eq!(project.read("dist/app"), "two\n");
    project.xtask(&["build"]).ends(0).says("1 ran");
    assert_eq!(project.read("dist/app"), "one\n");
}

#[test]
fn a_tracked_file_is_never_deleted() {
    let project =
        Project::new("[tasks.gen]\nrun = \"echo x > gen/out\"\ninputs = [\"?in\"]\noutputs = [\"gen/**\"]\n");
    project.write("gen/.keep", "").write(".gitignore", "gen/out\n").commit("gen");
    project.xtask(&["gen"]).ends(0);
    project.write("gen/mine.md", "by hand\n").commit("mine");
    std::fs::remove_file(project.path("gen/out")).unwrap();
    project
        .xtask(&["gen"])
        .ends(0)
        .says("gen/mine.md would have to be deleted, and git tracks it")
        .says("1 ran");
    assert_eq!(project.read("gen/mine.md"), "by hand\n");
}

#[test]
fn an_output_that_was_not_written_is_not_stored() {
    let project = Project::new("[tasks.t]\nrun = \"true\"\ninputs = [\"?in\"]\noutputs = [\"out/app\"]\n");
    project.xtask(&["t"]).ends(0).says("not stored: its output `out/app` was not written");
    project.xtask(&["t"]).ends(0).says("1 ran");
}

#[test]
fn outputs_in_the_tree_enter_later_keys_as_they_are() {
    // `gen` writes a tracked file that `check` reads without needing `gen` itself.
    let project = Project::new(
        r#"
[tasks.gen]
run = "cp src.txt gen.txt"
inputs = ["src.txt"]
outputs = ["gen.txt"]
[tasks.mid]
run = "true"
inputs = ["mid.txt"]
outputs = []
needs = ["gen"]
[tasks.check]
run = "grep -q good gen.txt"
inputs = ["gen.txt"]
needs = ["mid"]
"#,
    );
    project.write("src.txt", "good\n").write("gen.txt", "good\n").commit("good");
    project.xtask(&["check"]).ends(0);
    project.write("src.txt", "bad\n");
    project.xtask(&["check"]).ends(1).says("✗ check");
}
