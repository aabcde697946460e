//! Tests of the driver `command` with a shell script that keeps everything in files: `blue` and `green` contain the
//! release of a slot, `blue.runs` exists while it runs, and `weights` are the shares.

use std::fs;
use std::path::{Path, PathBuf};

use crate::conformance::{self, Deployed, Fault};
use crate::deploy::{at_once, change_setting};
use crate::project::{Project, signal, wait_for};

/// Does all operations. `fail-OPERATION` makes one fail, `answer-OPERATION` is printed instead of its answer, `old` is
/// the release that answers to every check, and `wait` holds back a stage.
const DRIVER: &str = r#"#!/bin/sh
set -eu
cd "$CLOUD"
request=$(cat)
printf '%s\n' "$request" >>requests
field() { printf '%s' "$request" | sed -n "s/.*\"$1\":\"*\([^\",}]*\).*/\1/p"; }
operation=$(field operation)
token=$(field token)
if [ -n "$token" ]; then
    [ "$token" -ge "$(cat token 2>/dev/null || echo 0)" ] || { echo "token $token is too old" >&2; exit 1; }
    echo "$token" >token
fi
if [ -e "fail-$operation" ]; then echo "$operation is broken" >&2; exit 3; fi
slot=$(field slot)
case $operation in
observe)
    if [ -e answer-observe ]; then cat answer-observe; exit; fi
    state() {
        runs=false
        [ ! -e "$1.runs" ] || runs=true
        if [ -e "$1" ]; then echo "{\"release\":\"$(cat "$1")\",\"running\":$runs}"; else echo '{}'; fi
    }
    echo "{\"version\":1,\"slots\":{\"blue\":$(state blue),\"green\":$(state green)},\"weights\":$(cat weights 2>/dev/null || echo null)}"
    ;;
stage)
    touch staging
    while [ -e wait ]; do sleep 0.05; done
    test -e "$(field folder)/out/version"
    field id >"$slot"
    touch "$slot.runs"
    ;;
check)
    if [ -e answer-check ]; then cat answer-check; exit; fi
    echo "{\"version\":1,\"release\":\"$(cat old 2>/dev/null || cat "$slot")\"}"
    ;;
shift) printf '%s\n' "$request" | sed 's/.*"weights":\({[^}]*}\).*/\1/' >weights ;;
stop) rm -f "$slot.runs" ;;
cleanup) ;;
*) exit 9 ;;
esac
"#;

fn project() -> Project {
    let project = Project::new("");
    let cloud = cloud(&project);
    fs::create_dir(&cloud).unwrap();
    let text = format!(
        r#"[tasks.build]
run = "mkdir -p out && cp app/* out/"
inputs = ["app/**"]
outputs = ["out/**"]

[artifacts.app]
task = "build"

[environments.cloud]
driver = "command"
artifact = "app"
observe = "sh driver"
stage = "sh driver"
check = "sh driver"
shift = "sh driver"
cleanup = "sh driver"
traffic = ["50%", "100%"]
every = "10ms"
timeout = "20s"
lease = "3s"
secret-env = ["API_KEY"]

[environments.cloud.env]
CLOUD = "{}"
"#,
        cloud.display()
    );
    project.write("tasks.toml", text).write("driver", DRIVER).write(".gitignore", "out\n");
    version(&project, 1);
    project
}

fn version(project: &Project, number: u32) {
    project.write("app/version", format!("{number}\n")).commit(&format!("version {number}"));
}

fn cloud(project: &Project) -> PathBuf {
    project.parent_folder().join("cloud")
}

fn read(project: &Project, file: &str) -> String {
    fs::read_to_string(cloud(project).join(file)).unwrap_or_default().trim().to_owned()
}

fn touch(project: &Project, file: &str, text: &str) {
    fs::write(cloud(project).join(file), text).unwrap();
}

fn remove(project: &Project, file: &str) {
    fs::remove_file(cloud(project).join(file)).unwrap();
}

fn deploy(project: &Project, more: &[&str]) -> crate::project::CommandOutput {
    let arguments = [&["deploy", "--env", "cloud"], more].concat();
    project.xtask_env(&arguments, &[("API_KEY", "hidden-key")])
}

/// Checks that the release with this number gets all requests.
#[track_caller]
fn assert_serves(project: &Project, number: u32) {
    let slot = match &*read(project, "weights") {
        r#"{"blue":100,"green":0}"# => "blue",
        r#"{"blue":0,"green":100}"# => "green",
        other => panic!("weights: {other}"),
    };
    let release = read(project, slot);
    assert!(release.starts_with(&format!("{number}-")), "{slot}: {release}");
    assert!(cloud(project).join(format!("{slot}.runs")).exists(), "{slot} does not run");
}

fn operations(project: &Project) -> Vec<String> {
    let operation = |line: &str| {
        let request: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&request["version"], &request["environment"]), (&1.into(), &"cloud".into()));
        request["operation"].as_str().unwrap().to_owned()
    };
    read(project, "requests").lines().map(operation).collect()
}

#[test]
fn first_deploy_then_the_same_then_another() {
    let project = project();
    project.xtask(&["status", "--env", "cloud"]).ends(0).prints("cloud: no release is current");
    deploy(&project, &[]).ends(0).does_not_say("warning");
    assert_serves(&project, 1);
    remove(&project, "requests");
    deploy(&project, &[]).ends(0).says("nothing to do: it is current already");
    assert!(operations(&project).iter().all(|operation| operation == "observe"));
    version(&project, 2);
    remove(&project, "requests");
    deploy(&project, &[]).ends(0);
    assert_serves(&project, 2);
    let mut orders = operations(&project);
    orders.retain(|operation| operation != "observe");
    assert_eq!(orders, ["stage", "check", "shift", "shift", "stop", "cleanup"]);
    let requests = read(&project, "requests");
    let stage = requests.lines().find(|line| line.contains("\"stage\"")).unwrap();
    let stage: serde_json::Value = serde_json::from_str(stage).unwrap();
    assert_eq!((&stage["token"], &stage["slot"]), (&2.into(), &"green".into()), "{stage}");
    assert_eq!(stage["release"]["commit"], project.git(&["rev-parse", "HEAD"]).trim());
    assert_eq!((&stage["env"]["API_KEY"], &stage["env"]["SLOT"]), (&"hidden-key".into(), &"green".into()));
    project.xtask(&["status"]).ends(0).prints("green: 2-").prints(" is current");
}

struct Cloud(Project);

impl Deployed for Cloud {
    fn project(&self) -> &Project {
        &self.0
    }

    fn name(&self) -> &'static str {
        "cloud"
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("API_KEY", "hidden-key".to_owned())]
    }

    fn commit_version(&self, number: u32, fault: Option<Fault>) {
        for file in ["fail-stage", "fail-check", "old"] {
            let _ = fs::remove_file(cloud(&self.0).join(file));
        }
        match fault {
            None => {}
            Some(Fault::Start) => touch(&self.0, "fail-stage", ""),
            Some(Fault::Check) => touch(&self.0, "fail-check", ""),
            Some(Fault::OldAnswers) => touch(&self.0, "old", &self.serving()),
        }
        version(&self.0, number);
    }

    fn commit_configuration(&self) {
        let changed = self.0.read("tasks.toml") + "LOG_LEVEL = \"debug\"\n";
        self.0.write("tasks.toml", changed).commit("log more");
    }

    fn serving(&self) -> String {
        let slot = if read(&self.0, "weights").starts_with(r#"{"blue":100,"#) { "blue" } else { "green" };
        read(&self.0, slot)
    }

    fn state(&self) -> String {
        ["blue", "blue.runs", "green", "green.runs", "weights"].map(|file| read(&self.0, file)).join("\n")
    }

    fn cut_off(&self) {
        fs::remove_dir_all(self.0.path(".git/xtask/artifacts")).unwrap();
    }
}

#[test]
fn command_releases_follow_each_other() {
    conformance::releases_follow_each_other(&Cloud(project()));
}

#[test]
fn faulty_version_of_a_command_does_not_serve() {
    at_once([Fault::Start, Fault::Check, Fault::OldAnswers], |fault| {
        let project = project();
        change_setting(&project, "timeout = \"20s\"", "timeout = \"5s\"");
        conformance::faulty_version_does_not_serve(&Cloud(project), fault);
    });
}

#[test]
fn rollback_by_command_fetches_nothing() {
    conformance::rollback_fetches_nothing(&Cloud(project()));
}

#[test]
fn plan_only_observes() {
    let project = project();
    deploy(&project, &["--plan"]).ends(0);
    assert_eq!(operations(&project), ["observe"]);
    assert!(!project.path(".git/xtask/environments").exists());
}

#[test]
fn failing_shift_leaves_the_old_release() {
    let project = project();
    deploy(&project, &[]).ends(0);
    version(&project, 2);
    touch(&project, "fail-shift", "");
    // A shift back is broken too.
    let failed = deploy(&project, &[]).ends(7);
    failed.says("environments.cloud.shift: sh driver: exit status 3: shift is broken");
    remove(&project, "fail-shift");
    assert_serves(&project, 1);
    deploy(&project, &["--abort", "--wait"]);
    deploy(&project, &[]).ends(0);
    assert!(read(&project, "green").contains('-'));
}

#[test]
fn invalid_answers_are_reported_with_place_and_hint() {
    let cases = [
        ("ready", "expected value at line 1 column 1: `ready`"),
        ("{\"version\":1}", "missing field `slots` at line 1 column 13"),
        ("{\"version\":2,\"slots\":{\"blue\":{},\"green\":{}}}", "version 2 is unknown, 1 is the latest"),
        ("", "EOF while parsing a value at line 1 column 0"),
    ];
    let project = project();
    for (answer, reason) in cases {
        touch(&project, "answer-observe", answer);
        let failed =
            deploy(&project, &[]).ends(5).says("environments.cloud.observe: the answer is invalid: ");
        failed.says(reason).says("hint: docs/deploy-command.md");
    }
    let sum = r#"{"version":1,"slots":{"blue":{},"green":{}},"weights":{"blue":50,"green":40}}"#;
    touch(&project, "answer-observe", sum);
    deploy(&project, &[]).ends(5).says("the weights are 50 and 40; hint: their sum must be 100");
    remove(&project, "answer-observe");
    touch(&project, "answer-check", "yes");
    deploy(&project, &[]).ends(1).says("environments.cloud.check: the answer is invalid");
}

#[test]
fn killed_deploy_is_resumed() {
    let project = project();
    deploy(&project, &[]).ends(0);
    version(&project, 2);
    remove(&project, "staging");
    touch(&project, "wait", "");
    let mut command = project.xtask_command(&["deploy", "--env", "cloud"]);
    let mut running = command.env("API_KEY", "hidden-key").spawn().unwrap();
    wait_for("the stage", || cloud(&project).join("staging").exists());
    signal("KILL", i32::try_from(running.id()).unwrap());
    running.wait().unwrap();
    remove(&project, "wait");
    deploy(&project, &["--resume", "--wait"]).ends(0);
    assert_serves(&project, 2);
    assert_eq!(read(&project, "token"), "3");
}

#[test]
fn secret_is_in_no_argument_record_or_message() {
    let project = project();
    deploy(&project, &[]).ends(0);
    version(&project, 2);
    let leaking =
        "cat >/dev/null; echo \\\"key: $API_KEY\\\" >&2; tr '\\\\0' ' ' </proc/$$/cmdline >&2; exit 1";
    let text = project.read("tasks.toml").replace("stage = \"sh driver\"", &format!("stage = \"{leaking}\""));
    project.write("tasks.toml", text).commit("leak");
    let failed = deploy(&project, &[]).ends(1);
    failed.says("key: ").does_not_say("hidden-key");
    // What the command itself has printed is in a file that only the user can read.
    let environment = project.path(".git/xtask/environments");
    let mut found = files_with(&environment, "hidden-key");
    found.retain(|file| !file.to_str().unwrap().contains("/.taskgate/logs/"));
    assert_eq!(found, Vec::<PathBuf>::new());
}

/// Returns the files below a folder that contain a text.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)) {
            found.push(path);
        }
    }
    found
}
