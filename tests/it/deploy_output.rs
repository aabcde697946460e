//! What people and programs see of deploys: each screen, the records that `xtask log` prints again, and what CI
//! services get.

use std::fs;

use crate::deploy::{
    assert_serves, canary, change_setting, project, project_with_faults, running, srv, srv_figures, version,
};
use crate::project::{Project, signal, wait_for};

#[test]
fn first_deploy_the_same_again_and_the_next() {
    let project = project("");
    project.xtask(&["status", "--env", "dev"]).ends(0);
    project.xtask(&["releases", "--env", "dev"]).ends(0);
    project.xtask(&["deploy", "--env", "dev", "--plan"]).ends(0);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    project.xtask(&["deploy", "--env", "dev", "--prepare"]).ends(0);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    project.xtask(&["status"]).ends(0);
    project.xtask(&["releases", "--env", "dev"]).ends(0);
    assert_screens!();
}

#[test]
fn canary_that_is_good_and_one_that_goes_back() {
    let project = canary();
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    project.xtask(&["deploy", "--env", "dev", "--prepare"]).ends(0);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 3);
    fs::write(srv_figures(&project), r#"{"requests": 10, "errors": 5}"#).unwrap();
    project.xtask(&["deploy", "--env", "dev"]).ends(1);
    project.xtask(&["status", "--env", "dev"]).ends(0);
    assert_screens!();
}

#[test]
fn health_check_that_fails() {
    let project = project_with_faults("env = { ANSWER = \"1-00000000\" }\n");
    project.xtask(&["deploy", "--env", "dev"]).ends(1);
    project.xtask(&["status", "--env", "dev"]);
    project.xtask(&["releases", "--env", "dev"]).ends(0);
    assert_screens!();
}

#[test]
fn rollback_to_a_release_that_runs_and_to_one_that_does_not() {
    let project = canary();
    let text = project.read("tasks.toml") + "standby = \"1h\"\n";
    project.write("tasks.toml", text).commit("standby");
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    project.xtask(&["rollback", "--env", "dev", "--plan"]).ends(0);
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    let cold = crate::deploy::project("");
    cold.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&cold, 2);
    cold.xtask(&["deploy", "--env", "dev"]).ends(0);
    cold.xtask(&["rollback", "--env", "dev", "--plan"]).ends(0);
    cold.xtask(&["rollback", "--env", "dev"]).ends(0).says("downtime: app on localhost was down for ");
    assert_screens!();
}

/// Returns a project whose deploy of version 2 was killed while it waited for the new release to start.
fn killed() -> Project {
    let project = project("");
    // The next command must find that the lease has not ended yet, however busy the machine is.
    change_setting(&project, "lease = \"60s\"", "lease = \"8s\"");
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    version(&project, 2);
    fs::write(srv(&project).join("wait"), "").unwrap();
    let mut deploy = project.start(&["deploy", "--env", "dev"]);
    wait_for("the old release to stop", || running(&project).is_empty());
    // The first version started in the other slot.
    wait_for("the start to be recorded", || {
        let records = fs::read_to_string(srv(&project).join(".taskgate/records")).unwrap();
        let marks = ["\"record\":\"intent\"", "\"step\":\"start\"", "\"slot\":\"green\""];
        records.lines().any(|line| marks.iter().all(|mark| line.contains(mark)))
    });
    project.xtask(&["status", "--env", "dev"]).prints("in progress:");
    signal("KILL", i32::try_from(deploy.id()).unwrap());
    deploy.wait().unwrap();
    fs::remove_file(srv(&project).join("wait")).unwrap();
    // A line that has begun goes on.
    wait_for("the new release to run", || !running(&project).is_empty());
    project
}

#[test]
fn killed_deploy_is_seen_and_resumed() {
    let project = killed();
    project.xtask(&["deploy", "--env", "dev", "--resume", "--wait"]).ends(0);
    assert_serves(&project, 2);
    project.xtask(&["deploy", "--env", "dev", "--resume"]).ends(6);
    assert_screens!();
}

#[test]
fn killed_deploy_is_seen_and_given_up() {
    let project = killed();
    project.xtask(&["deploy", "--env", "dev", "--wait"]).ends(7);
    project.xtask(&["status", "--env", "dev"]).ends(7);
    project.xtask(&["deploy", "--env", "dev", "--abort"]).ends(0);
    assert_serves(&project, 1);
    project.xtask(&["log"]).ends(0);
    assert_screens!();
}

#[test]
fn frozen_environment_and_release_that_does_not_run() {
    let project = canary();
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    project.xtask(&["freeze", "--env", "dev", "the shop is on fire"]).ends(0);
    project.xtask(&["status", "--env", "dev"]).ends(0);
    version(&project, 2);
    project.xtask(&["deploy", "--env", "dev"]).ends(6);
    project.xtask(&["unfreeze", "--env", "dev"]).ends(0);
    fs::remove_file(srv(&project).join("run-blue")).unwrap();
    fs::write(srv(&project).join("weights"), "blue=60 green=40\n").unwrap();
    project.xtask(&["status", "--env", "dev"]).ends(7);
    assert_screens!();
}

/// The lines of a deploy that are not those of the gate's run.
fn without_gate(text: &str) -> String {
    let is_gate = |line: &&str| {
        ["gate: ", "ci build:", "✓ ci ", "✓ build "].iter().any(|start| line.starts_with(start))
    };
    text.lines().filter(|line| !is_gate(line)).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn recorded_deploys_are_printed_again_unchanged() {
    let project = project("");
    project.xtask(&["log", "--deploy"]).ends(4).says("no deploy has been recorded yet");
    let deployed = project.xtask(&["deploy", "--env", "dev"]).ends(0).err;
    let log = project.xtask(&["log", "--last"]).ends(0).out;
    assert_eq!(log, without_gate(&deployed));
    version(&project, 2);
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    let back = project.xtask(&["rollback", "--env", "dev"]).ends(0).err;
    assert_eq!(project.xtask(&["log", "--deploy"]).ends(0).out, back);
    // A refused command is recorded with the reason.
    let refused = project.xtask(&["rollback", "--env", "dev", "--to", "9"]);
    assert_eq!(project.xtask(&["log", "--last"]).ends(0).out, refused.err);
    // A run that ends later is the last one.
    project.xtask(&["ci"]).ends(0);
    assert!(project.xtask(&["log", "--last"]).ends(0).out.starts_with("ci:"));
    let list = project.xtask(&["log"]).ends(0).out;
    let rolled_back =
        list.lines().find(|line| line.contains("dev: roll back to 1-")).unwrap_or_else(|| panic!("{list}"));
    assert!(rolled_back.contains("done"), "{rolled_back}");
    let id = rolled_back.split(' ').next().unwrap();
    assert_eq!(project.xtask(&["log", id]).ends(0).out, back);
    let events = project.xtask(&["log", id, "--format", "json"]).ends(0).events();
    assert_eq!((&events[0]["event"], &events[0]["id"]), (&"command-started".into(), &id.into()));
    let failed = project.xtask(&["log", "--failed"]).ends(0).out;
    assert!(failed.lines().count() == 1 && failed.contains("refused"), "{failed}");
    let newer = project.state().join("deploys").join("20990101-000000-000aa.jsonl");
    let first = serde_json::to_string(&events[0]).unwrap().replace("\"version\":1", "\"version\":99");
    fs::write(newer, first + "\n").unwrap();
    project.xtask(&["log", "--deploy"]).ends(4).says("was written by a newer version");
}

#[test]
fn every_command_has_json_of_a_stable_form() {
    let project = project("");
    let keys = |value: &serde_json::Value| {
        let object = value.as_object().unwrap_or_else(|| panic!("{value}"));
        object.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    let mut seen = Vec::new();
    for args in [
        &["deploy", "--env", "dev", "--plan", "--json"][..],
        &["deploy", "--env", "dev", "--prepare", "--json"],
        &["deploy", "--env", "dev", "--json"],
        &["deploy", "--env", "dev", "--resume", "--json"],
        &["rollback", "--env", "dev", "--json"],
        &["status", "--json"],
        &["releases", "--env", "dev", "--json"],
    ] {
        seen.push(format!("$ xtask {}", args.join(" ")));
        for value in project.xtask(args).events() {
            let event = value["event"].as_str().unwrap_or("-");
            let step = value["step"]["step"].as_str().map(|step| format!(" ({step})"));
            seen.push(format!("{event}{}: {}", step.unwrap_or_default(), keys(&value)));
        }
    }
    drop(crate::project::screens::take());
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(seen.join("\n")) });
}

#[test]
fn github_gets_a_summary_and_an_annotation() {
    let project = canary();
    let summary = project.parent_folder().join("summary.md");
    let vars = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    project.xtask_env(&["deploy", "--env", "dev"], &vars).ends(0).does_not_say("::error");
    version(&project, 2);
    fs::write(srv_figures(&project), r#"{"requests": 10, "errors": 5}"#).unwrap();
    fs::write(&summary, "").unwrap();
    let failed = project.xtask_env(&["deploy", "--env", "dev"], &vars).ends(1);
    failed.says("::error title=dev%3A deploy of 2-");
    let text = fs::read_to_string(&summary).unwrap();
    let text = &text[text.find("## `dev`").unwrap_or_else(|| panic!("{text}"))..];
    drop(crate::project::screens::take());
    let shown = crate::project::screens::mask(text);
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(shown) });
}

#[test]
fn unwritable_summary_or_record_does_not_fail_the_deploy() {
    let project = project("");
    let vars = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "/nowhere/summary.md")];
    project.xtask_env(&["deploy", "--env", "dev"], &vars).ends(0).says("there will be no summary");
    assert_serves(&project, 1);
    version(&project, 2);
    fs::remove_dir_all(project.state().join("deploys")).unwrap();
    fs::write(project.state().join("deploys"), "").unwrap();
    project.xtask(&["deploy", "--env", "dev"]).ends(0).says("`xtask log` will not show this deploy");
    assert_serves(&project, 2);
}
