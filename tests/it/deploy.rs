//! Tests of the commands on environments, with a host that is a folder of this machine. A "process" of a slot is
//! a file that its start line writes and its stop line removes, so that a killed test leaves nothing behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::project::{Project, signal, wait_for};

/// Says which release it is, once `go` exists if `wait` does. Exits with 1 in a version that has a file `broken`.
pub(crate) const START: &str = r#"
test ! -e out/broken || { echo "it is broken" >&2; exit 1; }
run=../../run-$SLOT
while test -e ../../wait && ! test -e ../../go; do sleep 0.05; done
echo "release=${ANSWER-$RELEASE}" >$run
"#;

pub(crate) fn project(more: &str) -> Project {
    let project = Project::new("");
    let srv = srv(&project);
    let srv = srv.display();
    let text = format!(
        r#"[tasks.build]
run = "mkdir -p out && cp app/* out/"
inputs = ["app/**"]
outputs = ["out/**"]

[tasks.ci]
run = "true"
inputs = ["app/**"]

[artifacts.app]
task = "build"

[environments.dev]
driver = "hosts"
path = "{srv}"
artifact = "app"
gate = ["ci"]
hosts = [{{ local = true }}]
start = "sh out/start"
stop = "rm -f {srv}/run-{{{{ slot }}}}"
status = "test -e {srv}/run-{{{{ slot }}}}"
health-check = {{ command = "cat {srv}/run-{{{{ slot }}}}", release = 'pattern:release=(\S+)', timeout = "20s", interval = "50ms" }}
lease = "60s"
{more}"#
    );
    project.write("tasks.toml", text).write("app/start", START).write(".gitignore", "out\n");
    version(&project, 1);
    project
}

/// Changes a line of tasks.toml.
pub(crate) fn change_setting(project: &Project, old: &str, new: &str) {
    let text = project.read("tasks.toml");
    assert!(text.contains(old), "{text}");
    project.write("tasks.toml", text.replace(old, new)).commit(new);
}

/// Returns a project whose deploys notice a failing release soon.
pub(crate) fn project_with_faults(more: &str) -> Project {
    let project = project(more);
    change_setting(&project, "timeout = \"20s\"", "timeout = \"5s\"");
    project
}

/// Returns a project whose lease ends soon when a deploy was killed.
pub(crate) fn project_with_short_lease() -> Project {
    let project = project("");
    change_setting(&project, "lease = \"60s\"", "lease = \"3s\"");
    project
}

/// The folder of the environment.
pub(crate) fn srv(project: &Project) -> PathBuf {
    project.parent_folder().join("srv")
}

pub(crate) fn version(project: &Project, number: u32) {
    project.write("app/version", format!("{number}\n")).commit(&format!("version {number}"));
}

/// Returns the releases whose processes run.
pub(crate) fn running(project: &Project) -> Vec<String> {
    let files = ["blue", "green"].map(|slot| srv(project).join(format!("run-{slot}")));
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.map(|text| text.trim().trim_start_matches("release=").to_owned()).collect()
}

/// Checks that the release with this number is the only one that runs.
#[track_caller]
pub(crate) fn assert_serves(project: &Project, number: u32) {
    let running = running(project);
    assert!(running.len() == 1 && running[0].starts_with(&format!("{number}-")), "{running:?}");
}

/// Returns the content of all files below a folder.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            found.insert(path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn first_deploy_then_the_same_then_another() {
    let project = project("");
    project.xtask(&["status", "--env", "dev"]).ends(0).prints("dev: no release is current");
    let first = project.xtask(&["deploy", "--env", "dev"]).ends(0);
    first.says("nothing was deployed before").says("next: xtask status --env dev").does_not_say("warning");
    assert_serves(&project, 1);
    let before = files(&srv(&project));
    project.xtask(&["deploy", "--env", "dev"]).ends(0).says("nothing to do: it is current already");
    assert_eq!(before, files(&srv(&project)));
    version(&project, 2);
    let second = project.xtask(&["deploy", "--env", "dev", "--json"]).ends(0);
    let events = second.events();
    let first = events.first().unwrap();
    assert_eq!((&first["event"], &first["version"]), (&"command-started".into(), &1.into()));
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["status"]), (&"ended".into(), &0.into()));
    assert_serves(&project, 2);
    project.xtask(&["status"]).ends(0).prints("green: 2-").prints(" is current");
    let history = project.xtask(&["releases", "--env", "dev"]).ends(0).out;
    let numbers: Vec<_> = history.lines().map(|line| line.split("  ").nth(1).unwrap()).collect();
    assert!(numbers.len() == 2 && numbers[0].starts_with("2-") && numbers[1].starts_with("1-"), "{history}");
}

#[test]
fn plan_changes_nothing() {
    let project = project("");
    project.xtask(&["deploy", "--env", "dev", "--plan"]).ends(0).prints("its id is not known before");
    assert!(!srv(&project).exists());
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    let state = || {
        let refs = project.git(&["for-each-ref"]);
        (files(&srv(&project)), files(&project.state().join("artifacts")), refs)
    };
    let before = state();
    project.xtask(&["deploy", "--env", "dev", "--plan"]).ends(0).prints("the way back");
    project.xtask(&["deploy", "--env", "dev", "--prepare"]).ends(0).prints("\nplan ");
    project.xtask(&["rollback", "--env", "dev", "--plan"]).ends(6).says("no earlier release");
    let after = state();
    assert_eq!(before.0, after.0);
    assert_eq!(before.2, after.2);
    // Only `--prepare` stores artifacts.
    assert_eq!(before.1.len() + 1, after.1.len());
    assert_serves(&project, 1);
}

#[test]
fn failing_start_leads_back_to_the_old_release() {
    let project = project("");
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    project.write("app/broken", "").commit("broken");
    let failed = project.xtask(&["deploy", "--env", "dev"]).ends(1);
    let failed = failed.says("it is broken").says("went back");
    let lines: Vec<_> = failed.err.lines().rev().take(2).collect();
    assert!(lines[1].starts_with("dev: 1-") && lines[1].ends_with(" serves"), "{lines:?}");
    assert_eq!(lines[0], "next: xtask deploy --env dev");
    assert_serves(&project, 1);
    // A failed release is no target of a rollback.
    project.xtask(&["rollback", "--env", "dev"]).ends(6).says("no earlier release succeeded");
}

#[test]
fn first_deploy_that_fails_says_that_nothing_serves() {
    let project = project("");
    project.write("app/broken", "").commit("broken");
    project.xtask(&["deploy", "--env", "dev"]).ends(1).says("nothing serves");
    assert!(running(&project).is_empty());
}

#[test]
fn answer_of_another_release_is_no_success() {
    let project = project_with_faults("env = { ANSWER = \"1-00000000\" }\n");
    project.xtask(&["deploy", "--env", "dev"]).ends(1).says("health check failed").says("1-00000000");
}

#[test]
fn tree_that_does_not_pass_is_not_deployed() {
    let project = project("");
    let text = project.read("tasks.toml").replace("run = \"true\"", "run = \"false\"");
    project.write("tasks.toml", text).commit("red");
    project.xtask(&["deploy", "--env", "dev"]).ends(1).says("the tree did not pass its gate");
    assert!(!srv(&project).exists());
}

#[test]
fn rollback_needs_no_remote_and_the_journal_gets_the_records_later() {
    let project = project("");
    let remote = project.parent_folder().join("remote.git");
    project.git(&["init", "-q", "--bare", remote.to_str().unwrap()]);
    project.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    let journal = || {
        let log =
            project.git(&["--git-dir", remote.to_str().unwrap(), "log", "--format=%s", "xtask-deploy/dev"]);
        log.lines().rev().map(str::to_owned).collect::<Vec<_>>()
    };
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    assert_eq!(journal().len(), 4);
    let away = project.parent_folder().join("away.git");
    fs::rename(&remote, &away).unwrap();
    fs::remove_dir_all(project.state().join("artifacts")).unwrap();
    let back = project.xtask(&["rollback", "--env", "dev"]).ends(0);
    back.says("the journal was not written").says("hint: nothing is lost");
    assert_serves(&project, 1);
    project.xtask(&["rollback", "--env", "dev", "--to", "7"]).ends(6).says("release 7 can't be made current");
    fs::rename(&away, &remote).unwrap();
    project.xtask(&["rollback", "--env", "dev", "--to", "2"]).ends(0).does_not_say("warning");
    assert_serves(&project, 2);
    let journal = journal();
    assert_eq!(journal.len(), 8, "{journal:#?}");
    assert!(journal[7].starts_with("dev: succeeded: 2-"), "{journal:#?}");
}

#[test]
fn second_deploy_at_once_names_the_holder() {
    let project = project("");
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    fs::write(srv(&project).join("wait"), "").unwrap();
    let mut first = project.start(&["deploy", "--env", "dev"]);
    wait_for("the first deploy to start", || running(&project).is_empty());
    let second = project.xtask(&["deploy", "--env", "dev"]).ends(6);
    second.says(" is deploying since ").says("hint: the same command with --wait");
    project.xtask(&["status", "--env", "dev"]).prints("in progress:");
    fs::write(srv(&project).join("go"), "").unwrap();
    assert!(first.wait().unwrap().success());
    assert_serves(&project, 2);
}

#[test]
fn signal_leads_back_to_the_old_release() {
    let project = project("");
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    fs::write(srv(&project).join("wait"), "").unwrap();
    let mut deploy = project.start(&["deploy", "--env", "dev"]);
    wait_for("the deploy to start", || running(&project).is_empty());
    signal("INT", i32::try_from(deploy.id()).unwrap());
    let err = project.parent_folder().join("err");
    wait_for("the deploy to stop", || fs::read_to_string(&err).unwrap().contains("the deploy goes back"));
    fs::write(srv(&project).join("go"), "").unwrap();
    assert_eq!(deploy.wait().unwrap().code(), Some(1), "{}", fs::read_to_string(&err).unwrap());
    assert_serves(&project, 1);
}

/// Kills a deploy of version 2 once it has printed `text`. Returns the project and whether the deploy had not
/// ended before.
fn killed_after(text: &str) -> (Project, bool) {
    let project = project_with_short_lease();
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    let mut deploy = project.start(&["deploy", "--env", "dev"]);
    let err = project.parent_folder().join("err");
    wait_for(text, || fs::read_to_string(&err).unwrap_or_default().contains(text));
    signal("KILL", i32::try_from(deploy.id()).unwrap());
    let is_killed = !deploy.wait().unwrap().success();
    (project, is_killed)
}

/// Tries several cases, each on a thread of its own: most of their time, they wait.
pub(crate) fn at_once<C: Send>(cases: impl IntoIterator<Item = C>, test: impl Fn(C) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            let test = &test;
            scope.spawn(move || test(case));
        }
    });
}

/// What a deploy prints at each of its steps.
const STEPS: [&str; 6] = ["deliver\n", "stage\n", "replace\n", ": stop blue", ": start 2-", "clean\n"];

/// A router that keeps its weights in a file, and an analysis of what another file says.
pub(crate) fn canary() -> Project {
    let project = project("");
    let srv = srv(&project);
    let srv = srv.display();
    let router = format!(
        r#"ports = {{ blue = 1, green = 2 }}
traffic = ["50%", "100%"]
every = "100ms"
bake = "100ms"
drain = "100ms"
router = {{ shift = "echo blue=$WEIGHT_BLUE green=$WEIGHT_GREEN >{srv}/weights; echo $WEIGHT_BLUE >>{srv}/shifts", read = "cat {srv}/weights 2>/dev/null || echo blue=0 green=0", on = {{ local = true }} }}
analysis = {{ error-rate = "10%", min-requests = 1, source = {{ command = "cat {srv}/figures" }} }}
"#
    );
    project.write("tasks.toml", project.read("tasks.toml") + &router).commit("router");
    fs::create_dir(srv_figures(&project).parent().unwrap()).unwrap();
    fs::write(srv_figures(&project), r#"{"requests": 10, "errors": 0}"#).unwrap();
    project
}

pub(crate) fn srv_figures(project: &Project) -> PathBuf {
    srv(project).join("figures")
}

#[test]
fn canary_moves_requests_in_steps_and_goes_back_when_they_fail() {
    let project = canary();
    let remote = project.parent_folder().join("remote.git");
    project.git(&["init", "-q", "--bare", remote.to_str().unwrap()]);
    project.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    project.xtask(&["deploy", "--env", "dev"]).ends(0).says("good: 10 requests, 0.00 % failed");
    assert_serves(&project, 2);
    let shifts = || fs::read_to_string(srv(&project).join("shifts")).unwrap().replace('\n', " ");
    assert_eq!(shifts(), "100 50 0 ");
    let log = ["--git-dir", remote.to_str().unwrap(), "log", "--format=%s", "-3", "xtask-deploy/dev"];
    let journal = project.git(&log);
    assert!(journal.contains("send 50 % to blue and 50 % to green"), "{journal}");
    version(&project, 3);
    fs::write(srv_figures(&project), r#"{"requests": 10, "errors": 5}"#).unwrap();
    let failed = project.xtask(&["deploy", "--env", "dev"]).ends(1);
    failed.says("50.00 % of the requests failed, more than 10 %");
    assert_serves(&project, 2);
    assert_eq!(fs::read_to_string(srv(&project).join("weights")).unwrap(), "blue=0 green=100\n");
}

#[test]
fn killed_deploy_is_resumed_at_any_step() {
    // At once, since each waits for a lease to end.
    at_once(STEPS, |step| {
        let (project, is_killed) = killed_after(step);
        if is_killed {
            project.xtask(&["deploy", "--env", "dev", "--resume", "--wait"]).ends(0);
        }
        assert_serves(&project, 2);
        project.xtask(&["deploy", "--env", "dev", "--resume"]).ends(6).says("no deploy is unfinished");
        project.xtask(&["deploy", "--env", "dev"]).ends(0).says("nothing to do");
    });
}

#[test]
fn killed_deploy_is_aborted_at_any_step_before_the_commit() {
    at_once(STEPS, |step| {
        let (project, _) = killed_after(step);
        let refused = project.xtask(&["deploy", "--env", "dev", "--wait"]);
        assert!([0, 7].contains(&refused.status), "{}", refused.err);
        let aborted = project.xtask(&["deploy", "--env", "dev", "--abort", "--wait"]);
        // It had not begun and was deployed again, or it had made its release current.
        if aborted.err.contains("is already current") || aborted.err.contains("no deploy is unfinished") {
            assert!(matches!(&*running(&project), [one] if !one.starts_with("1-")), "{}", aborted.err);
            return;
        }
        aborted.ends(0);
        assert_serves(&project, 1);
        project.xtask(&["deploy", "--env", "dev"]).ends(0);
        assert_eq!(running(&project).len(), 1);
    });
}

#[test]
fn freeze_stops_deploys_but_no_rollback() {
    let project = project("");
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 3);
    project.xtask(&["freeze", "--env", "dev", "the shop is on fire"]).ends(0);
    let refused = project.xtask(&["deploy", "--env", "dev"]).ends(6);
    refused.says("the shop is on fire").says("hint: xtask unfreeze --env dev");
    project.xtask(&["deploy", "--env", "dev", "--override", "urgent"]).ends(6).says("the shop is on fire");
    project.xtask(&["status", "--env", "dev"]).ends(0).prints("frozen:");
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    assert_serves(&project, 1);
    project.xtask(&["unfreeze", "--env", "dev"]).ends(0);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    assert_serves(&project, 3);
}

#[test]
fn policy_is_overridden_only_with_a_reason() {
    let project = project("branches = [\"release/*\"]\n");
    project.xtask(&["deploy", "--env", "dev"]).ends(6).says("the commit is not in branch release/*");
    assert!(!srv(&project).exists());
    project.xtask(&["deploy", "--env", "dev", "--override", "urgent"]).ends(0);
    project.xtask(&["releases", "--env", "dev"]).ends(0).prints("policy overridden: urgent");
}

#[test]
fn older_commit_needs_a_word() {
    let project = project("");
    version(&project, 2);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    project.xtask(&["deploy", "--env", "dev", "HEAD~1"]).ends(6).says("the commit is older than that of 1-");
    project.xtask(&["deploy", "--env", "dev", "HEAD~1", "--allow-older"]).ends(0);
    assert_serves(&project, 2);
}

#[test]
fn smoke_tasks_get_the_release_and_can_stop_the_deploy() {
    let smoke = "url = \"http://localhost:1\"\nsmoke = [\"smoke\"]\n\n[tasks.smoke]\n\
                 run = \"echo $URL $RELEASE; test ! -e app/sick\"\n";
    let project = project(smoke);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    let log = project.xtask(&["log", "--last", "--task", "smoke"]).ends(0);
    log.prints("http://localhost:1 1-");
    project.write("app/sick", "").commit("sick");
    project.xtask(&["deploy", "--env", "dev"]).ends(1).says("a smoke task failed");
    assert_serves(&project, 1);
}

#[test]
fn secrets_get_to_the_process_and_nowhere_else() {
    let project = project("secret-env = [\"TOKEN\"]\n");
    project.write("app/start", format!("echo \"$TOKEN\" >../../token\n{START}")).commit("secret");
    let hint = "hint: export TOKEN=";
    project
        .xtask(&["deploy", "--env", "dev"])
        .ends(5)
        .says("role app needs TOKEN, which is not set")
        .says(hint);
    let secret = "open-sesame-4711";
    let deployed = project.xtask_env(&["deploy", "--env", "dev", "--json"], &[("TOKEN", secret)]).ends(0);
    assert!(!deployed.out.contains(secret) && !deployed.err.contains(secret));
    let with_secret: Vec<_> = files(&project.parent_folder())
        .into_iter()
        .filter(|(_, content)| String::from_utf8_lossy(content).contains(secret))
        .map(|(path, _)| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(with_secret, ["blue.env", "token"]);
}

#[test]
fn unknown_environment_is_named_with_the_known_ones() {
    let project = project("");
    let unknown = project.xtask(&["deploy", "--env", "prod"]).ends(4);
    unknown.says("unknown environment `prod`").says("hint: tasks.toml has: dev");
    for command in ["rollback", "status", "releases", "unfreeze"] {
        project.xtask(&[command, "--env", "prod"]).ends(4);
    }
    let plan = "0".repeat(63);
    project.xtask(&["approve", "--env", "dev", &plan]).ends(2).says("is not the id of a plan");
}
