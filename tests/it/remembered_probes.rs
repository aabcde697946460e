//! Tests that the answer of a tool probe is remembered while all that it looked up is the same, and never
//! longer. The tools are shims, as version managers install them: scripts that choose a version.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::project::Project;
use crate::project::server::bind;

/// A repository, a shim in a folder of `PATH`, and two versions of its tool.
struct Fixture {
    project: Project,
}

const SHIM: &str = r#"#!/bin/sh
version=$TOOL_VERSION
dir=$PWD
while [ -z "$version" ] && [ -n "$dir" ]; do
    if [ -f "$dir/.tool-version" ]; then read -r version < "$dir/.tool-version"; fi
    dir=${dir%/*}
done
[ -n "$version" ] || read -r version < "HOME/default"
exec "HOME/versions/$version/bin/tool" "$@"
"#;

impl Fixture {
    fn new() -> Self {
        Self::with_probe("tool --version")
    }

    fn with_probe(line: &str) -> Self {
        let project = Project::new(&format!(
            r#"
            [tools]
            tool = '''{line}'''
            [tasks.t]
            run = "true"
            inputs = ["tasks.toml"]
            tools = ["tool"]
            pass-env = ["?TOOL_VERSION"]
            "#
        ));
        let fixture = Self { project };
        for version in ["1", "2"] {
            fixture.install(version, version);
        }
        fixture.script("bin/tool", &SHIM.replace("HOME", fixture.home().to_str().unwrap()));
        symlink("1", fixture.home().join("versions/current")).unwrap();
        fixture.write("default", "1\n");
        fixture
    }

    /// Returns the home folder of the version manager.
    fn home(&self) -> PathBuf {
        self.project.parent_folder().join("manager")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.home().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a script, in place if it exists.
    fn script(&self, path: &str, text: &str) {
        self.write(path, text);
        fs::set_permissions(self.home().join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes the tool of a version, which prints `prints`.
    fn install(&self, version: &str, prints: &str) {
        self.script(&format!("versions/{version}/bin/tool"), &format!("#!/bin/sh\necho tool {prints}\n"));
    }

    fn path_variable(&self) -> String {
        format!("{}:{}", self.home().join("bin").display(), std::env::var("PATH").unwrap())
    }

    /// Returns the answer of the probe, and whether it was remembered.
    #[track_caller]
    fn why(&self, vars: &[(&str, &str)]) -> (String, bool) {
        let path = self.path_variable();
        self.project.probe_answer(&[&[("PATH", path.as_str())], vars].concat())
    }

    /// Asks until the answer is remembered, and expects this one each time.
    #[track_caller]
    fn expect(&self, answer: &str, vars: &[(&str, &str)]) {
        self.project.settle();
        assert_eq!(self.why(vars), (answer.to_owned(), false));
        assert_eq!(self.why(vars), (answer.to_owned(), true));
    }
}

#[test]
fn each_way_to_switch_a_version_has_the_new_answer() {
    let fixture = Fixture::new();
    let home = fixture.home();
    fixture.expect("tool 1", &[]);

    // A global default, and a version that is a symlink.
    fixture.write("default", "2\n");
    fixture.expect("tool 2", &[]);
    fixture.write("default", "current\n");
    fixture.expect("tool 1", &[]);
    fs::remove_file(home.join("versions/current")).unwrap();
    symlink("2", home.join("versions/current")).unwrap();
    fixture.expect("tool 2", &[]);

    // Version files that were missing: above the repository, then in it.
    fs::write(fixture.project.parent_folder().join(".tool-version"), "1\n").unwrap();
    fixture.expect("tool 1", &[]);
    fixture.project.write(".tool-version", "2\n");
    fixture.expect("tool 2", &[]);
    fs::remove_file(fixture.project.path(".tool-version")).unwrap();
    // A command has one answer, so the earlier one of this state is gone.
    fixture.expect("tool 1", &[]);

    // A variable. Each value has its own answer, and the other one is still remembered.
    fixture.expect("tool 2", &[("TOOL_VERSION", "2")]);
    assert_eq!(fixture.why(&[]), ("tool 1".to_owned(), true));
}

#[test]
fn reinstalled_tool_has_the_new_answer() {
    let fixture = Fixture::new();
    let home = fixture.home();
    fixture.expect("tool 1", &[]);

    // In place, with the same size and the old times.
    let file = home.join("versions/1/bin/tool");
    let times = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        fs::FileTimes::new().set_modified(metadata.modified().unwrap()).set_accessed(SystemTime::UNIX_EPOCH)
    };
    let old = times(&file);
    fixture.install("1", "3");
    fs::File::options().write(true).open(&file).unwrap().set_times(old).unwrap();
    fixture.expect("tool 3", &[]);

    // By renaming whole folders, whose files keep all their times.
    fixture.project.settle();
    fs::rename(home.join("versions/1"), home.join("versions/old")).unwrap();
    fs::rename(home.join("versions/2"), home.join("versions/1")).unwrap();
    fixture.expect("tool 2", &[]);

    // A tool that appears earlier in PATH, where it was missing.
    let first = fixture.project.parent_folder().join("first");
    fs::create_dir(&first).unwrap();
    let path = format!("{}:{}", first.display(), fixture.path_variable());
    fixture.expect("tool 2", &[("PATH", &path)]);
    symlink(home.join("versions/old/bin/tool"), first.join("tool")).unwrap();
    fixture.expect("tool 3", &[("PATH", &path)]);
}

#[test]
fn interpreter_of_a_script_is_part_of_its_answer() {
    let fixture = Fixture::with_probe("tool --version");
    let interpreter = fixture.home().join("interpreter");
    fixture.script("one", "#!/bin/sh\necho one\n");
    fixture.script("two", "#!/bin/sh\necho two\n");
    symlink("one", &interpreter).unwrap();
    fixture.script("bin/tool", &format!("#!{}\n", interpreter.display()));
    fixture.expect("one", &[]);
    fs::remove_file(&interpreter).unwrap();
    symlink("two", &interpreter).unwrap();
    fixture.expect("two", &[]);
}

#[test]
fn listed_folder_is_part_of_an_answer() {
    let fixture = Fixture::with_probe("ls ../manager/versions");
    fixture.expect("1\n2\ncurrent", &[]);
    fixture.install("3", "3");
    fixture.expect("1\n2\n3\ncurrent", &[]);
}

#[test]
fn run_with_remembered_answers_starts_no_process() {
    let fixture = Fixture::new();
    fixture.expect("tool 1", &[]);
    let project = &fixture.project;
    let path = fixture.path_variable();
    project.xtask_env(&["t"], &[("PATH", &path)]).ends(0);
    let report = project.parent_folder().join("report");
    let own = project.xtask_command(&[]).get_program().to_str().unwrap().to_owned();
    let args = ["__trace", report.to_str().unwrap(), "--", &own, "t"];
    project.xtask_env(&args, &[("PATH", &path)]).ends(0);
    let trace = open_trace::Trace::load(&report).unwrap();
    let executed: Vec<String> = trace.paths(open_trace::Access::Executed).map(ToString::to_string).collect();
    assert_eq!(executed, [fs::canonicalize(own).unwrap().display().to_string()]);
}

#[test]
fn force_and_no_cache_run_the_probe() {
    let fixture = Fixture::new();
    fixture.expect("tool 1", &[]);
    let path = fixture.path_variable();
    let project = &fixture.project;
    let report = project.parent_folder().join("report");
    let own = project.xtask_command(&[]).get_program().to_str().unwrap().to_owned();
    for option in ["--force", "--no-cache"] {
        // No other tracer can be at work when the probe is traced.
        let opens = ["__trace", report.to_str().unwrap(), "--", &own, "t", option];
        project.xtask_env(&opens, &[("PATH", &path)]).ends(0);
        let trace = open_trace::Trace::load(&report).unwrap();
        let tool = fixture.home().join("versions/1/bin/tool");
        let ran = trace.paths(open_trace::Access::Executed).any(|path| path.as_path() == tool);
        assert!(ran, "{option}");
    }
}

#[test]
fn damaged_answers_are_asked_for_again() {
    let fixture = Fixture::new();
    fixture.expect("tool 1", &[]);
    let file = fixture.project.state().join("probes/answers");
    let bytes = fs::read(&file).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], b"", b"tgprobe1 of a later version"] {
        fs::write(&file, damaged).unwrap();
        fixture.expect("tool 1", &[]);
    }
}

#[test]
fn probe_that_changes_what_it_reads_is_not_remembered() {
    let counter = Fixture::with_probe("read -r n < ../counter; echo $((n + 1)) > ../counter; echo $n");
    fs::write(counter.project.parent_folder().join("counter"), "1\n").unwrap();
    // It runs a second time under the tracer, until that was in vain three times.
    for n in ["1", "3", "5", "7", "8", "9"] {
        counter.project.settle();
        assert_eq!(counter.why(&[]), (n.to_owned(), false));
    }
    let text = counter.project.xtask(&["why", "t"]).ends(0);
    text.prints("/counter, which it looks up");

    // One that fills a cache is remembered as soon as the cache is there.
    let cache = Fixture::with_probe("[ -e ../cache ] || echo 7 > ../cache; cat ../cache");
    cache.project.settle();
    assert_eq!(cache.why(&[]), ("7".to_owned(), false));
    cache.expect("7", &[]);
}

#[test]
fn probe_that_asks_another_program_is_not_remembered() {
    let fixture = Fixture::with_probe("bash -c 'exec 3<>/dev/tcp/127.0.0.1/1' 2> /dev/null || echo 1");
    for _ in 0..5 {
        fixture.project.settle();
        assert_eq!(fixture.why(&[]), ("1".to_owned(), false));
    }
    fixture.project.xtask(&["doctor"]).prints("tool tool: 1 (ran, and is not remembered: a socket was used)");
}

#[test]
fn probe_that_looks_for_a_certain_port_is_not_remembered() {
    let program = bind();
    Fixture::with_probe(&format!("{} 0", program.display())).expect("free", &[]);
    let fixture = Fixture::with_probe(&format!("{} 61234", program.display()));
    for _ in 0..3 {
        fixture.project.settle();
        assert!(!fixture.why(&[]).1);
    }
}

#[test]
fn answer_that_only_the_tracer_gets_is_not_remembered() {
    let line = "if grep -q '^TracerPid:.0$' /proc/self/status; then echo alone; else echo traced; fi";
    let fixture = Fixture::with_probe(line);
    for _ in 0..4 {
        fixture.project.settle();
        assert_eq!(fixture.why(&[]), ("alone".to_owned(), false));
    }
}

#[test]
fn folder_before_two_dots_is_part_of_an_answer() {
    let fixture = Fixture::with_probe("cat ../manager/a/sub/../version");
    let home = fixture.home();
    for (folder, version) in [("a", "1"), ("b", "2")] {
        fixture.write(&format!("{folder}/version"), &format!("{version}\n"));
        fs::create_dir(home.join(folder).join("sub")).unwrap();
    }
    fixture.expect("1", &[]);
    fs::remove_dir(home.join("a/sub")).unwrap();
    symlink("../b/sub", home.join("a/sub")).unwrap();
    fixture.expect("2", &[]);
}

#[test]
fn failure_is_not_remembered() {
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.home().join("versions/1")).unwrap();
    let path = fixture.path_variable();
    for _ in 0..2 {
        fixture.project.settle();
        fixture.project.xtask_env(&["t"], &[("PATH", &path)]).ends(1);
    }
    fixture.install("1", "4");
    fixture.expect("tool 4", &[]);
    let shown = fixture.project.xtask_env(&["doctor"], &[("PATH", &path)]);
    shown.prints("tool tool: tool 4 (remembered, ");
}

#[test]
fn what_a_killed_command_left_is_removed() {
    let fixture = Fixture::new();
    let probes = fixture.project.state().join("probes");
    for folder in ["old", "new"] {
        fs::create_dir_all(probes.join(folder)).unwrap();
        fs::write(probes.join(folder).join("report"), "half").unwrap();
    }
    let day = SystemTime::now() - std::time::Duration::from_secs(24 * 60 * 60);
    fs::File::open(probes.join("old")).unwrap().set_modified(day).unwrap();
    fixture.expect("tool 1", &[]);
    let left: Vec<_> = fs::read_dir(&probes).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.contains(&"new".into()) && !left.contains(&"old".into()), "{left:?}");
}
