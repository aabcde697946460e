//! Tests of what deploys are allowed: policy, approvals, locks, and the way back. The host is a folder of this
//! machine, as in the tests of the commands.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::deploy::{assert_serves, project, project_with_short_lease, running, srv, version};
use crate::project::{CommandOutput, Project, signal, wait_for};

const DEPLOY: [&str; 3] = ["deploy", "--env", "dev"];

fn deploy(project: &Project) -> CommandOutput {
    project.xtask(&DEPLOY)
}

/// Makes a key of ssh, and returns its line for a file of allowed signers.
fn make_key(project: &Project, name: &str) -> String {
    let path = key_path(project, name);
    let words = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path.to_str().unwrap()];
    assert!(project.command("ssh-keygen").args(words).status().unwrap().success());
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    format!("{name}@example.org {public}")
}

fn key_path(project: &Project, name: &str) -> PathBuf {
    project.parent_folder().join(format!("key-{name}"))
}

/// Lets git sign with the key of this person.
fn become_person(project: &Project, name: &str) {
    project.git(&["config", "user.name", name]);
    project.git(&["config", "user.email", &format!("{name}@example.org")]);
    project.git(&["config", "gpg.format", "ssh"]);
    let key = key_path(project, name).with_extension("pub");
    project.git(&["config", "user.signingkey", key.to_str().unwrap()]);
}

/// A project with a remote whose deploys must be approved by one of ann and bob. It is ann who asks.
fn approved(approval: &str) -> Project {
    let project = project(approval);
    let signers = [make_key(&project, "ann"), make_key(&project, "bob")].concat();
    make_key(&project, "eve");
    project.write("ops/signers", signers).commit("signers").publish();
    become_person(&project, "ann");
    project
}

const APPROVAL: &str = "approval = { signers = \"ops/signers\" }\n";

/// Returns the plan that is to be approved.
fn prepared(project: &Project) -> String {
    let out = project.xtask(&["deploy", "--env", "dev", "--prepare"]).ends(0).out;
    out.lines().find_map(|line| line.strip_prefix("plan ")).unwrap().to_owned()
}

fn approve(project: &Project, name: &str, plan: &str) {
    become_person(project, name);
    project.xtask(&["approve", "--env", "dev", plan]).ends(0);
    become_person(project, "ann");
}

#[test]
fn approval_of_the_requester_or_a_stranger_or_of_another_plan_does_not_count() {
    let project = approved(APPROVAL);
    let plan = prepared(&project);
    deploy(&project).ends(6).says("has 0 of 1 approvals").says(&format!("xtask approve --env dev {plan}"));
    approve(&project, "ann", &plan);
    deploy(&project).ends(6).says("nobody can approve what they ask for");
    become_person(&project, "eve");
    let refused = project.xtask(&["approve", "--env", "dev", &plan]).ends(6);
    refused.says("nothing was approved: the key of git's `user.signingkey` is not in ops/signers");
    // Somebody who gets round that still is a stranger for those who deploy.
    let key = fs::read_to_string(key_path(&project, "eve").with_extension("pub")).unwrap();
    project.write("ops/signers", format!("eve@example.org {key}")).commit("eve's own signers");
    approve(&project, "eve", &plan);
    project.git(&["reset", "-q", "--hard", "HEAD~1"]);
    deploy(&project).ends(6).says("it is not signed by an allowed signer");
    approve(&project, "bob", &"0".repeat(64));
    deploy(&project).ends(6).says("has 0 of 1 approvals");
    assert!(!srv(&project).join(".taskgate/records").exists());
    approve(&project, "bob", &plan);
    deploy(&project).ends(0);
    assert_serves(&project, 1);

    // The history says who approved and who asked, and git can check it.
    let signers = project.path("ops/signers");
    let file = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    project.git(&["fetch", "-q", "origin", "xtask-deploy/dev:journal"]);
    let log = project.git(&["-c", &file, "log", "--reverse", "--format=%G? %GS %s", "journal"]);
    let lines: Vec<_> = log.lines().collect();
    assert!(lines[0].starts_with("G ann@example.org dev: approve plan"), "{log}");
    assert!(lines[1].starts_with("U  dev: approve plan"), "{log}");
    assert!(lines[3].starts_with("G bob@example.org dev: approve plan"), "{log}");
    assert!(lines[4].starts_with("G ann@example.org dev: start the deploy of 1-"), "{log}");
    let shown = project.git(&["-c", &file, "log", "--show-signature", "journal"]);
    assert!(shown.contains("Good \"git\" signature for bob@example.org"), "{shown}");
}

#[test]
fn environment_without_approvals_takes_none() {
    let project = project("");
    let refused = project.xtask(&["approve", "--env", "dev", &"0".repeat(64)]).ends(6);
    refused.says("dev: deploys need no approval, so nothing was approved");
}

#[test]
fn approval_counts_for_one_deploy() {
    let project = approved(APPROVAL);
    project.write("app/start", "test ! -e ../../sick || exit 1\n".to_owned() + &project.read("app/start"));
    version(&project, 1);
    project.git(&["push", "-q", "origin", "main"]);
    let plan = prepared(&project);
    approve(&project, "bob", &plan);
    fs::create_dir_all(srv(&project)).unwrap();
    fs::write(srv(&project).join("sick"), "").unwrap();
    deploy(&project).ends(1);
    fs::remove_file(srv(&project).join("sick")).unwrap();
    deploy(&project).ends(6).says("it was used already");
    approve(&project, "bob", &plan);
    deploy(&project).ends(0);
}

#[test]
fn approval_expires() {
    let project = approved("approval = { signers = \"ops/signers\", expires = \"1ms\" }\n");
    let plan = prepared(&project);
    approve(&project, "bob", &plan);
    deploy(&project).ends(6).says("it has expired");
}

/// A commit pushed after the approval is deployed.
#[test]
fn commit_pushed_after_the_approval_is_not_deployed() {
    let project = approved(APPROVAL);
    let plan = prepared(&project);
    approve(&project, "bob", &plan);
    version(&project, 2);
    project.git(&["push", "-q", "origin", "main"]);
    deploy(&project).ends(6).says("has 0 of 1 approvals");
    assert!(running(&project).is_empty());
    project.xtask(&["deploy", "--env", "dev", "HEAD~1"]).ends(0);
}

#[test]
fn requester_must_be_known_by_a_signature() {
    let project = approved(APPROVAL);
    let plan = prepared(&project);
    approve(&project, "bob", &plan);
    project.git(&["config", "--unset", "user.signingkey"]);
    // A name in the environment proves nothing.
    let refused = project.xtask_env(&DEPLOY, &[("GITHUB_ACTOR", "ann")]).ends(6);
    refused.says("who asks for it is not known").says("git config user.signingkey");
    become_person(&project, "eve");
    deploy(&project).ends(6).says("is not in ops/signers");
    become_person(&project, "ann");
    deploy(&project).ends(0);
    project.xtask(&["releases", "--env", "dev"]).ends(0).prints("by ann@example.org");
}

#[test]
fn approved_deploy_does_not_begin_if_the_journal_can_not_have_it() {
    let project = approved(APPROVAL);
    let plan = prepared(&project);
    approve(&project, "bob", &plan);
    refuse_pushes(&project);
    deploy(&project).ends(5).says("refuses pushes to xtask-deploy/dev");
    assert!(running(&project).is_empty());
    let away = project.parent_folder().join("away.git");
    fs::rename(project.bare(), &away).unwrap();
    deploy(&project).ends(5).says("can't be reached");
    assert!(running(&project).is_empty());
    fs::rename(&away, project.bare()).unwrap();
    fs::remove_file(project.bare().join("hooks/pre-receive")).unwrap();
    // The approval was not used.
    deploy(&project).ends(0);
}

/// Lets the remote refuse all pushes to the journal.
fn refuse_pushes(project: &Project) {
    let hook = project.bare().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho 'protected branch' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

fn journal(project: &Project) -> Vec<String> {
    let bare = project.bare();
    let log = project.git(&["--git-dir", bare.to_str().unwrap(), "log", "--format=%s", "xtask-deploy/dev"]);
    log.lines().rev().map(str::to_owned).collect()
}

#[test]
fn deploy_goes_on_without_the_journal_and_it_gets_the_records_later() {
    let project = project("");
    project.publish();
    refuse_pushes(&project);
    deploy(&project).ends(0).says("refuses pushes to xtask-deploy/dev").says("hint: let deployers push to");
    version(&project, 2);
    let away = project.parent_folder().join("away.git");
    fs::rename(project.bare(), &away).unwrap();
    deploy(&project).ends(0).says("can't be reached").says("hint: nothing is lost");
    assert_serves(&project, 2);
    fs::rename(&away, project.bare()).unwrap();
    fs::remove_file(project.bare().join("hooks/pre-receive")).unwrap();
    version(&project, 3);
    deploy(&project).ends(0).does_not_say("warning");
    let journal = journal(&project);
    assert_eq!(journal.len(), 6, "{journal:#?}");
    assert!(journal[1].starts_with("dev: succeeded: 1-"), "{journal:#?}");
}

/// A stale `ref.lock` on the server: reported at once, not waited for.
#[test]
fn stale_lock_of_the_remote_is_reported_at_once() {
    let project = project("");
    project.publish();
    deploy(&project).ends(0);
    let lock = project.bare().join("refs/heads/xtask-deploy/dev.lock");
    fs::write(&lock, "").unwrap();
    version(&project, 2);
    let deployed = deploy(&project).ends(0);
    deployed.says("has a stale lock file").says("hint: remove the lock file if no git process runs there");
    assert_serves(&project, 2);
    fs::remove_file(lock).unwrap();
    version(&project, 3);
    deploy(&project).ends(0).does_not_say("warning");
    assert_eq!(journal(&project).len(), 6);
}

/// The deployed revision loosens its own policy.
#[test]
fn deployed_revision_can_not_loosen_its_own_policy() {
    let project = project("branches = [\"main\"]\n\n[deploy]\npolicy-branch = \"main\"\n");
    project.publish();
    let strict = project.read("tasks.toml");
    project.git(&["checkout", "-q", "-b", "topic"]);
    let loose = strict.replace("branches = [\"main\"]\n", "").replace("policy-branch = \"main\"\n", "");
    project.write("tasks.toml", &loose).commit("loose");
    let refused = deploy(&project).ends(6).says("the commit is not in branch main");
    refused.says("merge or tag it first").does_not_say("warning");
    project.write("tasks.toml", loose.replace("[deploy]\n", "[deploy]\npolicy-branch = \"topic\"\n"));
    project.commit("another policy branch");
    deploy(&project).ends(6).says("the commit is not in branch main");
    // What this repository believes of the remote proves nothing.
    project.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    project.git(&["branch", "-f", "main", "HEAD"]);
    project.git(&["push", "-q", "origin", "HEAD:refs/heads/a/refs/heads/main"]);
    deploy(&project).ends(6).says("the commit is not in branch main").says("git push origin main");
    assert!(!srv(&project).exists());
    // Nobody deploys past a policy that can't be read.
    project.git(&["update-ref", "refs/remotes/origin/main", "HEAD~2"]);
    let away = project.parent_folder().join("away.git");
    fs::rename(project.bare(), &away).unwrap();
    deploy(&project).ends(5).says("who may deploy is not known");
    fs::rename(&away, project.bare()).unwrap();
    // Only who may push to the default branch can change it.
    project.git(&["push", "-q", "origin", "HEAD~1:main"]);
    deploy(&project).ends(0);
}

#[test]
fn tag_allows_a_deploy_only_once_the_remote_has_it() {
    let project = project("tags = [\"v*\"]\n");
    project.publish();
    project.git(&["tag", "v1"]);
    deploy(&project).ends(6).says("the commit has no tag v*").says("hint: merge or tag it first");
    project.git(&["push", "-q", "origin", "v1"]);
    deploy(&project).ends(0);
}

#[test]
fn closed_window_refuses_a_deploy_but_no_rollback() {
    let project = project("");
    deploy(&project).ends(0);
    version(&project, 2);
    deploy(&project).ends(0);
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let today = project.command("date").args(["-u", "+%u"]).output().unwrap().stdout;
    let today: usize = String::from_utf8(today).unwrap().trim().parse().unwrap();
    let day = days[(today + 2) % 7];
    let window = format!(
        "deploy-windows = [{{ days = \"{day}\", from = \"09:00\", to = \"10:00\", zone = \"UTC\" }}]\n"
    );
    project.write("tasks.toml", project.read("tasks.toml") + &window);
    version(&project, 3);
    deploy(&project).ends(6).says("no deploy window is open").says("hint: the next one opens at");
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    assert_serves(&project, 1);
    project.xtask(&["deploy", "--env", "dev", "--override", "it burns"]).ends(0);
    project.xtask(&["releases", "--env", "dev"]).ends(0).prints("policy overridden: it burns");
}

/// An environment `production` that gets what succeeded in `dev`. Each build is another one, and is counted.
fn promoting(more: &str) -> Project {
    let project = project("");
    let (srv, folder) = (srv(&project), project.parent_folder());
    let text = project.read("tasks.toml").replace(
        "cp app/* out/\"",
        &format!("cp app/* out/ && date +%N >out/when && echo ran >>{}/builds\"", folder.display()),
    );
    let (before, dev) = text.split_once("[environments.dev]").unwrap();
    let live = dev.replace(srv.to_str().unwrap(), &format!("{}-live", srv.display()));
    let live = live.replace("gate = [\"ci\"]\n", "");
    let text = format!(
        "{before}[deploy]\nstore = \"{}/store\"\n\n[environments.dev]{dev}\n[environments.live]{live}promote-from = \"dev\"\n{more}",
        folder.display()
    );
    project.write("tasks.toml", text).commit("live").publish();
    project
}

fn builds(project: &Project) -> usize {
    fs::read_to_string(project.parent_folder().join("builds")).unwrap_or_default().lines().count()
}

fn digests(project: &Project, environment: &str) -> serde_json::Value {
    let status = project.xtask(&["status", "--env", environment, "--json"]).ends(0).json();
    status["observation"]["authority"]["releases"][0]["artifacts"].clone()
}

/// Production was rebuilt from another machine and differs.
#[test]
fn promotion_from_another_machine_runs_no_task_and_has_the_same_digests() {
    let project = promoting("");
    let live = ["deploy", "--env", "live"];
    project.xtask(&live).ends(6).says("dev has no release of this tree that succeeded");
    deploy(&project).ends(0);
    assert_eq!(builds(&project), 1);
    let other = project.clone_remote();
    other.xtask(&live).ends(0);
    assert_eq!(builds(&project), 1);
    assert_eq!(digests(&project, "dev"), digests(&other, "live"));
    // Another tree must succeed there first.
    version(&other, 2);
    other.xtask(&live).ends(6).says("hint: xtask deploy --env dev");
}

#[test]
fn promotion_asks_the_gate_and_needs_the_artifacts_in_the_store() {
    let project = promoting("gate = [\"strict\"]\n\n[tasks.strict]\nrun = \"false\"\n");
    let live = ["deploy", "--env", "live"];
    deploy(&project).ends(0);
    project.xtask(&live).ends(1).says("the tree did not pass its gate");
    fs::remove_dir_all(project.parent_folder().join("store")).unwrap();
    project.xtask(&live).ends(6).says("the store does not have artifact app of 1-");
}

#[test]
fn promotion_needs_each_artifact_of_the_environment() {
    let project = promoting("");
    let text = project.read("tasks.toml");
    let (before, live) = text.split_once("[environments.live]").unwrap();
    let live = live.replace("artifact = \"app\"", "artifact = \"web\"");
    let text = format!("{before}[artifacts.web]\ntask = \"build\"\n\n[environments.live]{live}");
    project.write("tasks.toml", text).commit("web").git(&["push", "-q", "origin", "main"]);
    deploy(&project).ends(0);
    project.xtask(&["deploy", "--env", "live"]).ends(6).says("of dev has no artifact web");
}

/// Rollback finds nothing and exits 0.
#[test]
fn rollback_with_nothing_to_go_to_is_refused() {
    let project = project("");
    let rollback = ["rollback", "--env", "dev"];
    project
        .xtask(&rollback)
        .ends(6)
        .says("no earlier release succeeded")
        .says("hint: xtask releases --env dev");
    let deployed = deploy(&project).ends(0);
    deployed.does_not_say("to go back").says("next: xtask status --env dev");
    project.xtask(&rollback).ends(6).says("no earlier release succeeded");
    assert_serves(&project, 1);
    version(&project, 2);
    deploy(&project).ends(0).says("to go back: xtask rollback --env dev");
}

/// Rollback lands on a half release, or failed releases pushed good ones out.
#[test]
fn rollback_goes_to_the_release_before_whatever_failed_since() {
    let project = project("keep = 2\n");
    deploy(&project).ends(0);
    version(&project, 2);
    deploy(&project).ends(0);
    let start = project.read("app/start");
    project.write("app/start", "exit 1\n");
    for number in 3..6 {
        version(&project, number);
        deploy(&project).ends(1).says("went back");
    }
    let history = project.xtask(&["releases", "--env", "dev"]).ends(0).out;
    assert!(history.lines().next().unwrap().contains("failed, went back to 2-"), "{history}");
    project.xtask(&["rollback", "--env", "dev", "--to", "3"]).ends(6);
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    assert_serves(&project, 1);
    let history = project.xtask(&["releases", "--env", "dev"]).ends(0).out;
    assert!(history.lines().next().unwrap().contains("  rollback to 1-"), "{history}");
    // Release 2 was bad: after the next deploy, going back does not lead there.
    project.write("app/start", start);
    version(&project, 6);
    deploy(&project).ends(0);
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    assert_serves(&project, 1);
}

#[test]
fn process_that_no_deploy_has_started_is_adopted_first() {
    let project = project("");
    fs::create_dir_all(srv(&project)).unwrap();
    fs::write(srv(&project).join("run-blue"), "release=1-legacy\n").unwrap();
    let refused = deploy(&project).ends(7);
    refused.says("something runs in blue that no deploy has started").says("xtask deploy --env dev --adopt");
    assert_eq!(running(&project), ["1-legacy"]);
    project.xtask(&["deploy", "--env", "dev", "--adopt"]).ends(0);
    assert_eq!(running(&project), ["1-legacy"]);
    project.xtask(&["status", "--env", "dev"]).ends(0);
    version(&project, 2);
    deploy(&project).ends(0);
    assert_serves(&project, 2);
    // The adopted release has the artifact of the commit that it was adopted as.
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    assert_serves(&project, 1);
    project.xtask(&["releases", "--env", "dev"]).ends(0).prints("  adopt as 1-");
}

#[test]
fn status_of_a_process_that_does_not_run_is_7() {
    let project = project("");
    deploy(&project).ends(0);
    project.xtask(&["status", "--env", "dev"]).ends(0);
    fs::remove_file(srv(&project).join("run-blue")).unwrap();
    project.xtask(&["status", "--env", "dev"]).ends(7).prints("attention:");
}

/// Starts a deploy of version 2 that waits while it starts its processes.
fn waiting_deploy(project: &Project) -> std::process::Child {
    deploy(project).ends(0);
    version(project, 2);
    fs::write(srv(project).join("wait"), "").unwrap();
    let child = project.start(&DEPLOY);
    wait_for("the deploy to stop the old release", || running(project).is_empty());
    child
}

fn go(project: &Project) {
    fs::write(srv(project).join("go"), "").unwrap();
}

/// The same person enters their own lock and the first run's cleanup frees the second's.
#[test]
fn same_person_can_not_enter_their_own_lock() {
    let project = project("");
    let mut first = waiting_deploy(&project);
    for _ in 0..2 {
        deploy(&project).ends(6).says(" is deploying since ");
        project.xtask(&["rollback", "--env", "dev"]).ends(6);
        project.xtask(&["freeze", "--env", "dev", "stop"]).ends(6);
    }
    project.xtask(&["status", "--env", "dev"]).prints("in progress:");
    go(&project);
    assert!(first.wait().unwrap().success());
    assert_serves(&project, 2);
}

/// A cancelled job leaves a lock that needs hand-deleting.
#[test]
fn cancelled_job_leaves_no_lock() {
    let project = project_with_short_lease();
    let mut cancelled = waiting_deploy(&project);
    signal("KILL", i32::try_from(cancelled.id()).unwrap());
    cancelled.wait().unwrap();
    go(&project);
    // It ends once the lease of the dead deploy has expired.
    project.xtask(&["freeze", "--env", "dev", "wait for me", "--wait"]).ends(0);
    deploy(&project).ends(7).says("its process is gone").says("--resume, or");
    let aborted = project.xtask(&["deploy", "--env", "dev", "--abort"]).ends(0);
    aborted.says("✓ given up after").says("aborted by").does_not_say("✗ went back");
    assert_serves(&project, 1);
    project.xtask(&["releases", "--env", "dev"]).ends(0).prints("given up, went back to 1-");
    project.xtask(&["unfreeze", "--env", "dev"]).ends(0);
    deploy(&project).ends(0);
    assert_serves(&project, 3);
}

#[test]
fn waiting_deploy_begins_after_the_one_before() {
    let project = project("");
    let mut first = waiting_deploy(&project);
    let command = project.xtask_command(&["deploy", "--env", "dev", "HEAD~1", "--allow-older", "--wait"]);
    let mut second = project.start_command(command);
    let err = project.parent_folder().join("err");
    wait_for("the second to wait", || fs::read_to_string(&err).unwrap().contains("waiting:"));
    go(&project);
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success(), "{}", fs::read_to_string(&err).unwrap());
    assert_serves(&project, 3);
}

#[test]
fn store_forgets_what_no_environment_needs() {
    let project = project("keep = 2\n");
    let store = project.state().join("artifacts");
    let stored = || fs::read_dir(&store).unwrap().count();
    for number in 1..4 {
        version(&project, number);
        deploy(&project).ends(0);
    }
    assert_eq!(stored(), 3);
    // What is not older than a day may be about to be used.
    let old = ["-d", "2 days ago"];
    for entry in fs::read_dir(&store).unwrap() {
        let path = entry.unwrap().path();
        assert!(project.command("touch").args(old).arg(path).status().unwrap().success());
    }
    version(&project, 4);
    deploy(&project).ends(0);
    assert_eq!(stored(), 2);
}
