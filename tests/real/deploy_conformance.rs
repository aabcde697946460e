//! One suite of scenarios for all kinds of environments. Each test runs all of them one after the other in an
//! environment of its own, so that each begins with what the one before has left.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::deploy_site::{Router, Site};
use crate::load::request;
use crate::project::wait_for;

/// Which kinds of environments a scenario depends on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// Hosts and routers matter.
    All,
    /// What it tests is the same everywhere, so that the quick ones suffice.
    Local,
}

type Scenario = (&'static str, For, fn(&mut Site));

const SCENARIOS: &[Scenario] = &[
    ("what runs is adopted", For::All, running_processes_are_adopted),
    ("a first deploy that fails leaves nothing", For::Local, failing_first_deploy_leaves_nothing),
    ("first deploy", For::All, first_deploy),
    ("the same release changes nothing", For::All, same_release_changes_nothing),
    ("a slow request ends in the old release", For::All, slow_request_ends_in_the_old_release),
    ("changed configuration is a new release", For::Local, changed_configuration_is_a_new_release),
    ("a failing start goes back", For::Local, failing_start_goes_back),
    ("a failing health check goes back", For::Local, failing_check_goes_back),
    ("an answer of the old release is no success", For::Local, answer_of_the_old_release_is_no_success),
    ("a failing smoke task goes back", For::Local, failing_smoke_goes_back),
    ("mixed versions after host 2 of 3 failed", For::All, mixed_versions_after_host_2_of_3_failed),
    ("a host that can't be reached", For::All, unreachable_host),
    ("a host is removed and added", For::All, host_is_removed_and_added),
    ("a warm and a cold rollback with all cut off", For::All, rollbacks_need_nothing_else),
    ("only some releases are kept", For::Local, failed_releases_push_no_good_one_out),
    ("changed weights are repaired", For::All, changed_weights_are_repaired),
    ("a killed process is repaired", For::All, killed_process_is_repaired),
    ("a reboot starts the same release", For::All, reboot_starts_the_same_release),
];

fn run(site: &mut Site, kind: &str) {
    let is_local = site.hosts.is_none();
    for (name, _, scenario) in SCENARIOS.iter().filter(|(_, who, _)| is_local || *who == For::All) {
        let start = Instant::now();
        println!("{kind}: {name}");
        scenario(site);
        println!("{kind}: {name}: {:.1?}", start.elapsed());
    }
}

#[test]
fn local_host_without_a_router() {
    run(&mut Site::new(Router::None, 1, false), "local");
}

#[test]
fn local_host_with_a_router_of_shell_lines() {
    run(&mut Site::new(Router::Lines, 1, false), "local, lines");
}

#[test]
fn three_ssh_hosts_with_haproxy() {
    run(&mut Site::new(Router::Haproxy, 3, true), "ssh × 3, HAProxy");
}

#[test]
fn ssh_host_with_nginx() {
    run(&mut Site::new(Router::Nginx, 1, true), "ssh, nginx");
}

/// Deploys another version, which must succeed, and returns the release of before and the new one.
fn deploy(site: &mut Site, files: &[(&str, &str)]) -> (String, String) {
    let old = site.current();
    site.write_version(files);
    let load = site.load();
    site.xtask(&["deploy"]).ends(0);
    let new = site.current();
    assert_ne!(old, new);
    if let Some(tally) = site.end_load(load, &[&old, &new]) {
        assert!(tally.of(&old) > 0 && tally.of(&new) > 0, "{tally:?}");
    }
    (old, new)
}

/// Deploys another version, which must fail so that the old one serves.
fn turned_back(site: &mut Site, files: &[(&str, &str)], reason: &str) {
    let old = site.current();
    site.write_version(files);
    let load = site.load();
    let failed = site.xtask(&["deploy"]).ends(1).says(reason).says(&format!("{old} serves"));
    // Who is on the way back may have answered already if only smoke tests or measurements failed.
    site.end_load(load, &[&old]);
    assert!(failed.err.contains("went back"), "{}", failed.err);
    site.assert_serves(&old);
    site.xtask(&["status"]).ends(0);
}

fn running_processes_are_adopted(site: &mut Site) {
    site.settings.environment = "adopted".into();
    site.write_version(&[]);
    site.start_by_hand("blue", "by-hand");
    site.set_weights("blue");
    let before = site.processes();
    site.xtask(&["deploy"]).ends(7).says("something runs in blue that no deploy has started");
    site.xtask(&["deploy", "--adopt"]).ends(0);
    assert_eq!(site.processes(), before);
    let first = site.current();
    site.write_version(&[]);
    let load = site.load();
    site.xtask(&["deploy"]).ends(0);
    site.end_load(load, &["by-hand", &site.current()]);
    site.assert_serves(&site.current());
    site.xtask(&["rollback"]).ends(0);
    site.assert_serves(&first);
    site.kill("");
    site.set_weights("blue");
    site.settings.environment = "live".into();
}

fn failing_first_deploy_leaves_nothing(site: &mut Site) {
    site.write_version(&[("broken", "")]);
    site.xtask(&["deploy"]).ends(1).says("it is broken").says("nothing serves");
    assert_eq!(site.processes().len(), 0);
}

fn first_deploy(site: &mut Site) {
    site.write_version(&[]);
    site.xtask(&["deploy"]).ends(0).says("nothing was deployed before");
    site.assert_serves(&site.current());
    site.xtask(&["status"]).ends(0);
}

fn same_release_changes_nothing(site: &mut Site) {
    let before = site.state();
    site.xtask(&["deploy"]).ends(0).says("nothing to do: it is current already");
    let after = site.state();
    assert_eq!(before, after);
}

fn slow_request_ends_in_the_old_release(site: &mut Site) {
    if site.router == Router::None {
        let (_, new) = deploy(site, &[]);
        return site.assert_serves(&new);
    }
    let old = site.current();
    let port = site.port;
    // Only HAProxy says when requests have ended. Else they have only the time of `drain`.
    let line = if site.router == Router::Haproxy { "POST /wait/6000" } else { "POST /wait/1000" };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // One after the other, so that one is under way whenever requests move.
        let posts = scope.spawn(|| {
            let mut answers = BTreeSet::new();
            while !is_over.load(Ordering::SeqCst) {
                answers.insert(request(("127.0.0.1", port), line).unwrap());
            }
            answers
        });
        let (known, new) = deploy(site, &[]);
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(known, old);
        let answers = posts.join().unwrap();
        assert!(
            answers.contains(&old) && answers.iter().all(|one| *one == old || *one == new),
            "{answers:?}"
        );
        site.assert_serves(&new);
    });
}

fn changed_configuration_is_a_new_release(site: &mut Site) {
    let artifacts =
        |site: &Site| fs::read_dir(site.srv(&site.addresses()[0]).join("releases")).unwrap().count();
    let before = artifacts(site);
    site.settings.color = "red".into();
    let old = site.current();
    site.write_settings();
    site.project.commit("another colour");
    site.xtask(&["deploy"]).ends(0);
    assert_ne!(site.current(), old);
    assert!(artifacts(site) <= before, "the artifact is the same");
    site.assert_serves(&site.current());
    for host in site.addresses() {
        assert!(site.health(host).contains(r#""color": "red""#), "{}", site.health(host));
    }
}

fn failing_start_goes_back(site: &mut Site) {
    turned_back(site, &[("broken", "")], "it is broken");
}

fn failing_check_goes_back(site: &mut Site) {
    turned_back(site, &[("sick", "")], "health check failed");
}

fn answer_of_the_old_release_is_no_success(site: &mut Site) {
    let old = site.current();
    turned_back(site, &[("claims", &old)], &old);
}

fn failing_smoke_goes_back(site: &mut Site) {
    turned_back(site, &[("smokes", "")], "a smoke task failed");
}

fn mixed_versions_after_host_2_of_3_failed(site: &mut Site) {
    if let Some(second) = site.addresses().get(1).cloned() {
        turned_back(site, &[("broken-on", &second)], &format!("it is broken on {second}"));
    }
}

fn unreachable_host(site: &mut Site) {
    if site.hosts.is_none() {
        return;
    }
    let (older, newer) = deploy(site, &[]);
    // The router has the last server, and the first host of the others stays.
    let number = site.addresses().len() - 1;
    let address = site.addresses()[number].clone();
    site.hosts.as_mut().unwrap().kill_server(number);
    site.write_version(&[]);
    let before = site.state();
    site.xtask(&["deploy"]).ends(5).says("can't be reached").does_not_say("deliver");
    assert_eq!(before, site.state());
    site.xtask(&["status"]).ends(7).prints("attention:");
    if number > 0 {
        let load = site.load();
        site.xtask(&["rollback"]).ends(7).says("was left out, since it could not be reached").says(&older);
        site.end_load(load, &[&older, &newer]);
        assert_eq!(site.answers(), BTreeSet::from([older.clone()]));
        assert_eq!(site.current(), older);
        assert!(site.running(&address).into_values().all(|one| one == newer));
        site.xtask(&["status"]).ends(7);
    }
    site.hosts.as_mut().unwrap().start_server(number);
    site.xtask(&["deploy"]).ends(0);
    site.assert_serves(&site.current());
    site.xtask(&["status"]).ends(0);
}

fn host_is_removed_and_added(site: &mut Site) {
    let all = site.settings.hosts;
    if all == 1 {
        return;
    }
    let removed = site.addresses()[all - 1].clone();
    site.settings.hosts = all - 1;
    deploy(site, &[]);
    site.assert_serves(&site.current());
    assert!(site.running(&removed).is_empty());
    site.xtask(&["status"]).ends(0);
    site.settings.hosts = all;
    deploy(site, &[]);
    site.assert_serves(&site.current());
    assert_eq!(site.running(&removed).len(), 1);
}

/// Rolls back with everything cut off that a rollback must not need.
fn roll_back(site: &Site, args: &[&str], expected: &str) {
    let bare = site.project.bare();
    let away = bare.with_extension("away");
    fs::rename(&bare, &away).unwrap();
    let _ = fs::remove_dir_all(site.project.state().join("artifacts"));
    let old = site.current();
    let load = site.load();
    let args: Vec<_> = ["rollback"].into_iter().chain(args.iter().copied()).collect();
    let output = site.xtask(&args).ends(0);
    site.end_load(load, &[&old, expected]);
    assert_eq!(site.current(), expected, "{}", output.err);
    assert_eq!(site.answers(), BTreeSet::from([expected.to_owned()]));
    fs::rename(away, bare).unwrap();
}

fn rollbacks_need_nothing_else(site: &mut Site) {
    let (older, _) = deploy(site, &[]);
    roll_back(site, &[], &older);
    if site.router == Router::None {
        deploy(site, &[]);
        return;
    }
    site.settings.standby = Some("1h".to_owned());
    let (old, _) = deploy(site, &[]);
    for host in site.addresses() {
        assert_eq!(site.running(host).len(), 2, "the old slot runs on {host}");
    }
    let before = site.processes();
    roll_back(site, &[], &old);
    for (name, pid) in site.processes() {
        assert_eq!(before.get(&name), Some(&pid), "a warm rollback starts nothing");
    }
    site.settings.standby = None;
    deploy(site, &[]);
    site.assert_serves(&site.current());
}

fn failed_releases_push_no_good_one_out(site: &mut Site) {
    let (older, _) = deploy(site, &[]);
    for host in site.addresses() {
        let artifacts = fs::read_dir(site.srv(host).join("releases")).unwrap().count();
        assert!(artifacts <= 3, "{artifacts} on {host}");
    }
    for _ in 0..2 {
        turned_back(site, &[("broken", "")], "it is broken");
    }
    site.xtask(&["rollback"]).ends(0);
    site.assert_serves(&older);
}

fn changed_weights_are_repaired(site: &mut Site) {
    if site.router == Router::None {
        return;
    }
    deploy(site, &[]);
    let current = site.current();
    let host = &site.addresses()[0];
    let wrong = if site.running(host).contains_key("blue") { "green" } else { "blue" };
    let port = site.port;
    site.set_weights(wrong);
    wait_for("the router to use the other slot", || request(("127.0.0.1", port), "GET /").is_err());
    site.xtask(&["status"]).ends(7).prints("attention:").prints(" % of the requests to ");
    site.xtask(&["deploy"]).ends(0);
    site.assert_serves(&current);
    site.xtask(&["status"]).ends(0);
}

fn killed_process_is_repaired(site: &mut Site) {
    deploy(site, &[]);
    let host = site.addresses().last().unwrap().clone();
    site.kill(&host);
    site.xtask(&["status"]).ends(7).prints("attention:").prints("is stopped in");
    site.xtask(&["deploy"]).ends(0);
    site.assert_serves(&site.current());
    site.xtask(&["status"]).ends(0);
}

fn reboot_starts_the_same_release(site: &mut Site) {
    deploy(site, &[]);
    let current = site.current();
    site.kill("");
    if let Some(proxy) = &mut site.proxy {
        proxy.end();
    }
    if let Some(proxy) = &mut site.proxy {
        proxy.start();
    }
    site.start_current();
    for host in site.addresses() {
        assert_eq!(site.running(host).into_values().collect::<Vec<_>>(), [&*current]);
    }
    // A restarted HAProxy has forgotten the weights.
    site.xtask(&["deploy"]).ends(0);
    site.assert_serves(&current);
    site.xtask(&["status"]).ends(0);
}

#[test]
fn replaced_hosts_are_never_all_down() {
    let mut site = Site::new(Router::None, 3, false);
    site.write_version(&[]);
    site.xtask(&["deploy"]).ends(0);
    let old = site.current();
    site.write_version(&[]);
    let is_over = AtomicBool::new(false);
    let (least, downtimes) = thread::scope(|scope| {
        let watched = scope.spawn(|| {
            let (mut least, mut downtimes) = (3, [Duration::ZERO; 3]);
            let mut last = Instant::now();
            while !is_over.load(Ordering::SeqCst) {
                let ask = || site.addresses().iter().map(|host| !site.running(host).is_empty()).collect();
                let (first, second): (Vec<bool>, Vec<bool>) = (ask(), ask());
                // The hosts are asked one after the other: those that were down both times were so together.
                let is_up: Vec<_> = first.iter().zip(&second).map(|(first, second)| first | second).collect();
                let since = last.elapsed();
                last = Instant::now();
                for (host, _) in is_up.iter().enumerate().filter(|(_, is_up)| !**is_up) {
                    downtimes[host] += since;
                }
                least = least.min(is_up.iter().filter(|is_up| **is_up).count());
                thread::sleep(Duration::from_millis(10));
            }
            (least, downtimes)
        });
        let deployed = site.xtask(&["deploy"]);
        is_over.store(true, Ordering::SeqCst);
        for host in site.addresses() {
            assert!(
                deployed.err.contains(&format!("downtime: web on {host} was down for ")),
                "{}",
                deployed.err
            );
        }
        deployed.ends(0);
        watched.join().unwrap()
    });
    println!("each host was down for {downtimes:.1?}");
    assert_eq!(least, 2, "one host after the other is replaced");
    site.assert_serves(&site.current());
    assert_ne!(site.current(), old);
    mixed_versions_after_host_2_of_3_failed(&mut site);
    host_is_removed_and_added(&mut site);
}
