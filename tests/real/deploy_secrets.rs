//! Traces whole deploys and rollbacks, on this machine and over ssh: a secret is in no list of arguments, and in no
//! file but those of variables, which only their owner can read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::project::{CommandOutput, Project, signal, wait_for};
use crate::sshd::Hosts;

const SECRET: &str = "open-sesame-4711";

/// Checks that strace is there.
fn needs_strace() {
    let found = Command::new("strace").arg("--version").stdout(Stdio::null()).status();
    assert!(
        found.is_ok_and(|status| status.success()),
        "strace is missing; tests/real/install.sh installs it"
    );
}

fn project(path: &Path, host: &str) -> Project {
    let project = Project::new("");
    let text = format!(
        r#"[tasks.build]
run = "rm -rf out && mkdir out && cp -R app/* out/"
inputs = ["app/**"]
outputs = ["out/**"]

[artifacts.app]
task = "build"

[environments.dev]
driver = "hosts"
path = "{}"
artifact = "app"
hosts = [{host}]
start = "sh out/start"
stop = "rm -f ../../run-$SLOT"
status = "test -e ../../run-$SLOT"
health-check = {{ command = "cat ../../run-$SLOT", release = 'pattern:release=(\S+)', timeout = "5s" }}
secret-env = ["TOKEN"]

[environments.dev.migrations]
pending = "test ! -e out/pending || cat out/pending"
expand = "echo expanding with $TOKEN"
revert = "true"
"#,
        path.display()
    );
    project.write("tasks.toml", text).write(".gitignore", "out\n");
    let start =
        format!("test \"$TOKEN\" = {} || exit 1\necho \"release=$RELEASE\" >../../run-$SLOT\n", quoted());
    project.write("app/start", start).write("app/pending", "1-table\n").commit("first");
    project
}

/// Returns the secret as a script writes it that must not contain it.
fn quoted() -> String {
    let (first, last) = SECRET.split_at(4);
    format!("\"{first}\"\"{last}\"")
}

/// Runs the program while all programs that it starts are written to a file.
fn traced(project: &Project, args: &[&str], variables: &[(&str, &str)], trace: &Path) -> CommandOutput {
    let program = project.xtask_command(args).get_program().to_owned();
    let mut command = project.command("strace");
    command.args(["-f", "-e", "trace=execve", "-s", "10000", "-o"]).arg(trace).arg(program).args(args);
    command.envs(variables.iter().copied()).env("TOKEN", SECRET);
    CommandOutput::from_output(command.output().unwrap())
}

fn assert_secret(text: &[u8], what: &str) {
    assert!(!String::from_utf8_lossy(text).contains(SECRET), "{what} contains the secret");
}

/// Checks all files below a folder.
fn assert_secret_below(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            assert_secret_below(&path);
        } else if path.extension().is_some_and(|ending| ending == "env") {
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        } else {
            assert_secret(&fs::read(&path).unwrap_or_default(), &path.display().to_string());
        }
    }
}

/// Deploys twice, goes back and asks for everything that can be asked.
fn deploy_and_roll_back(project: &Project, srv: &Path, variables: &[(&str, &str)]) {
    let trace = |name: &str| project.parent_folder().join(name);
    let run = |args: &[&str], name: &str| {
        let output = traced(project, args, variables, &trace(name)).ends(0);
        assert_secret(output.out.as_bytes(), "the output");
        assert_secret(output.err.as_bytes(), "the output");
        let programs = fs::read(trace(name)).unwrap();
        assert!(String::from_utf8_lossy(&programs).contains("execve("), "nothing was traced");
        assert_secret(&programs, "a list of arguments");
    };
    run(&["deploy", "--env", "dev"], "first");
    project.write("app/version", "2").commit("second");
    run(&["deploy", "--env", "dev", "--override", "not rehearsed", "--json"], "second");
    run(&["rollback", "--env", "dev"], "back");
    project.write("app/version", "3").commit("third");
    run(&["deploy", "--env", "dev", "--prepare"], "prepare");
    for args in [
        &["deploy", "--env", "dev", "--plan", "--json"][..],
        &["status", "--env", "dev", "--json"],
        &["releases", "--env", "dev", "--json"],
    ] {
        run(args, "question");
    }
    assert!(srv.join("app/blue.env").exists() && srv.join(".taskgate").exists());
    assert_secret_below(srv);
    assert_secret_below(&project.parent_folder());
    // Objects of git are compressed.
    let objects =
        project.command("git").args(["cat-file", "--batch-all-objects", "--batch"]).output().unwrap();
    assert!(String::from_utf8_lossy(&objects.stdout).contains("expanding with $TOKEN"));
    assert_secret(&objects.stdout, "an object of git");
}

#[test]
fn secret_is_in_no_arguments_and_no_files_on_this_machine() {
    needs_strace();
    let srv = tempfile::tempdir().unwrap();
    let project = project(srv.path(), "{ local = true }");
    deploy_and_roll_back(&project, srv.path(), &[]);
}

/// Follows a server and all that it starts.
struct Tracer {
    process: Child,
    file: PathBuf,
}

impl Tracer {
    fn attach(pid: u32, file: PathBuf) -> Self {
        let process = Command::new("strace")
            .args(["-f", "-e", "trace=execve", "-s", "10000", "-p", &pid.to_string(), "-o"])
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let status = format!("/proc/{pid}/status");
        wait_for("strace to follow the server", || {
            fs::read_to_string(&status).unwrap().contains(&format!("TracerPid:\t{}", process.id()))
        });
        Self { process, file }
    }

    fn end(mut self) -> Vec<u8> {
        signal("INT", i32::try_from(self.process.id()).unwrap());
        self.process.wait().unwrap();
        fs::read(&self.file).unwrap()
    }
}

#[test]
fn secret_is_in_no_arguments_and_no_files_over_ssh() {
    needs_strace();
    let hosts = Hosts::start(1);
    let srv = hosts.dir().join("srv");
    let project = project(&srv, "{ ssh = \"web1\" }");
    let variables = hosts.variables();
    let path = variables.iter().find(|(name, _)| name == "PATH").unwrap().1.to_str().unwrap().to_owned();
    let path = format!("{path}:{}", std::env::var("PATH").unwrap());
    let tracer = Tracer::attach(hosts.pid(0), hosts.dir().join("trace"));
    deploy_and_roll_back(&project, &srv, &[("PATH", &path)]);
    let programs = tracer.end();
    assert!(String::from_utf8_lossy(&programs).contains("fullblock"), "the host was not traced");
    assert_secret(&programs, "a list of arguments on the host");
}
