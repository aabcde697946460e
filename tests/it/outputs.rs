//! Outputs: they are stored and restored exactly, and no other file is overwritten or deleted.

use std::os::unix::fs::PermissionsExt as _;

use crate::project::{Project, flip_bit};

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
    assert_eq!(project.lines("../ran").len(), 1, "the output was restored and the task did not run");
}

#[test]
fn outputs_edited_deleted_or_added_by_hand_are_restored() {
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
        project.xtask(&["build"]).ends(0).says(reason);
        check(&project);
        assert!(!project.path("dist/stale").exists());
        project.xtask(&["build"]).ends(0);
    }
    assert_screens!();
}

#[test]
fn flipped_byte_in_any_cache_file_is_found_and_repaired() {
    let project = build();
    let files = project.cache_files();
    assert!(files.len() >= 2, "an entry and a blob");
    for file in &files {
        let len = usize::try_from(std::fs::metadata(file).unwrap().len()).unwrap();
        for at in [0, len / 3, len / 2, len - 1] {
            flip_bit(file, at);
            project.xtask(&["build"]).ends(0);
            project.xtask(&["build"]).ends(0);
            project.xtask(&["cache", "verify"]).ends(0);
        }
    }
    assert_screens!();
}

#[test]
fn missing_blob_is_a_miss_that_keeps_outputs_until_the_task_runs() {
    let project = build();
    let blob =
        project.cache_files().into_iter().find(|file| file.starts_with(project.state().join("cache/blobs")));
    std::fs::remove_file(blob.unwrap()).unwrap();
    project.write("dist/app", "two\n");
    project.xtask(&["plan", "build"]).ends(0);
    assert_eq!(project.read("dist/app"), "two\n");
    project.xtask(&["build"]).ends(0);
    assert_eq!(project.read("dist/app"), "one\n");
    assert_screens!();
}

#[test]
fn tracked_file_is_never_deleted() {
    let project = Project::new(
        r#"
        [tasks.gen]
        run = "echo x > gen/out"
        inputs = ["?in"]
        outputs = ["gen/**"]
        "#,
    );
    project.write("gen/.keep", "").write(".gitignore", "gen/out\n").commit("gen");
    project.xtask(&["gen"]).ends(0);
    project.write("gen/mine.md", "by hand\n").commit("mine");
    std::fs::remove_file(project.path("gen/out")).unwrap();
    project.xtask(&["gen"]).ends(0);
    assert_eq!(project.read("gen/mine.md"), "by hand\n");
    assert_screens!();
}

#[test]
fn missing_output_is_not_stored() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "true"
        inputs = ["?in"]
        outputs = ["out/app"]
        "#,
    );
    project.xtask(&["t"]).ends(0);
    project.xtask(&["t"]).ends(0);
    assert_screens!();
}

#[test]
fn outputs_are_part_of_later_keys_as_they_are() {
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
    project.xtask(&["check"]).ends(1);
    assert_screens!();
}

/// Returns what is at each path below a folder: kind, permission bits, size or target.
fn list_files(project: &Project, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![project.path(folder)];
    while let Some(path) = open.pop() {
        let meta = path.symlink_metadata().unwrap();
        let what = match std::fs::read_link(&path) {
            Ok(target) => format!("→ {}", target.display()),
            Err(_) if meta.is_dir() => "folder".to_owned(),
            Err(_) => format!("{:?}", std::fs::read(&path).unwrap().len()),
        };
        found.push(format!("{} {:o} {what}", path.display(), meta.permissions().mode() & 0o7777));
        if meta.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

const MODES: &str = r#"
    [tasks.build]
    run = '''
    test ! -d out || chmod -R u+w out
    mkdir -p out/ro/deep out/priv out/empty out/sticky
    echo 1 > out/ro/deep/f; head -c 200000 /dev/zero > out/ro/deep/big
    echo 2 > out/priv/secret; chmod 600 out/priv/secret; chmod 700 out/priv
    ln -f out/priv/secret out/hard; ln -sf nowhere out/dangling; ln -sf /etc/passwd out/absolute
    chmod 711 out/empty; chmod 1777 out/sticky; chmod 2750 out; truncate -s 1M out/hole
    chmod 555 out/ro/deep out/ro
    '''
    inputs = ["a"]
    outputs = ["out/**"]
    SANDBOX
    "#;

/// Runs a shell script as an ordinary user, since root may access files in spite of their permission bits.
fn run_as_user(project: &Project, script: &str) {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = project.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-ec", script]);
        command
    } else {
        let mut command = project.command("sh");
        command.args(["-ec", script]);
        command
    };
    let output = command.env("X", env!("CARGO_BIN_EXE_xtask")).output().unwrap();
    assert!(output.status.success(), "{script}:\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes the ordinary user the owner of all files of a project.
fn give_to_user(project: &Project) {
    if rustix::process::geteuid().is_root() {
        let chown =
            project.command("chown").args(["-R", "65534:65534"]).arg(project.parent_folder()).status();
        assert!(chown.unwrap().success());
    }
}

#[test]
fn folder_modes_are_restored_for_an_unprivileged_user() {
    for sandbox in ["", "sandbox = true"] {
        let project = Project::new(&MODES.replace("SANDBOX", sandbox));
        project.write("a", "a\n").write(".gitignore", "out\n").commit("a");
        give_to_user(&project);
        run_as_user(&project, "$X build && $X build 2>&1 | grep 'nothing ran'");
        let made = list_files(&project, "out");
        let restored = "2>&1 | grep 'outputs restored'";
        for change in [
            "chmod -R u+w out; rm -rf out",
            "chmod -R u+w out; rm -rf out; umask 077",
            "chmod 755 out/priv",
            "chmod 755 out/ro/deep; rm out/ro/deep/f; echo x > out/ro/deep/extra; chmod 555 out/ro/deep",
            "chmod -R u+w out; rm -rf out/ro",
            "rmdir out/empty; chmod 700 out/sticky",
        ] {
            run_as_user(&project, &format!("{change}; $X build {restored}"));
            assert_eq!(list_files(&project, "out"), made, "{sandbox} {change}");
        }
        run_as_user(&project, "$X build --force && $X build 2>&1 | grep 'nothing ran' && chmod -R u+w out");
    }
}

#[test]
fn modes_of_other_folders_are_unchanged() {
    let project = Project::new(
        r#"
        [tasks.build]
        run = "mkdir -p d; echo x > d/f"
        inputs = ["a"]
        outputs = ["d/f"]
        "#,
    );
    project.write("a", "a\n").write(".gitignore", "d\n").commit("a");
    project.xtask(&["build"]).ends(0);
    project.chmod("d", 0o700);
    project.xtask(&["build"]).ends(0);
    assert_eq!(std::fs::metadata(project.path("d")).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_screens!();
}

#[test]
fn entry_of_an_older_version_is_a_silent_miss() {
    let project = build();
    for file in project.cache_files().iter().filter(|file| file.display().to_string().contains("entries")) {
        let mut bytes = std::fs::read(file).unwrap();
        bytes[..8].copy_from_slice(b"tgentry1");
        std::fs::write(file, bytes).unwrap();
    }
    project.xtask(&["cache", "verify"]).ends(0);
    project.xtask(&["build"]).ends(0);
    project.xtask(&["build"]).ends(0);
    assert_screens!();
}
