//! `xtask plan`: prints decisions with their reasons, and runs nothing.

use crate::project::Project;
use crate::project::screens::mask;

const CHAIN: &str = r#"
    [tasks.all]
    needs = ["use", "lint"]
    [tasks.gen]
    run = "cp gen.in gen.out"
    inputs = ["?gen.in"]
    outputs = ["gen.out"]
    [tasks.use]
    run = "cat gen.out"
    inputs = ["?use.in"]
    needs = ["gen"]
    [tasks.lint]
    run = "echo ran >> ../ran"
    inputs = ["?*.in"]
    "#;

#[test]
fn plan_shows_hits_misses_and_pending_tasks() {
    let project = Project::new(CHAIN);
    project.write(".gitignore", "gen.out\n").write("gen.in", "1\n").write("use.in", "1\n").commit("in");
    insta::assert_snapshot!("first", mask(&project.xtask(&["plan", "all"]).ends(0).out));
    assert!(project.lines("../ran").is_empty(), "a plan runs nothing");
    project.xtask(&["all"]).ends(0);
    project.write("gen.in", "2\n");
    let plan = project.xtask(&["plan", "all"]).ends(0);
    plan.prints("waits    use   waits for gen").prints("gen.in changed");
    let json = project.xtask(&["plan", "all", "--json"]).ends(0).json();
    let tasks = json["tasks"].as_array().unwrap();
    let of = |name: &str| tasks.iter().find(|task| task["task"] == name).unwrap();
    assert_eq!(of("use")["decision"], "waits");
    assert_eq!(of("gen")["reason"]["changes"][0]["path"], "gen.in");
    assert_eq!(json["tree"].as_str().unwrap().len(), 40);
}

#[test]
fn tree_id_is_the_one_that_git_writes() {
    let project = Project::new(CHAIN);
    project.write("a/b/c", "x").write("a.b", "y").chmod("a.b", 0o755);
    let json = project.xtask(&["plan", "--json"]).ends(0).json();
    project.git(&["add", "-A"]);
    assert_eq!(json["tree"], project.git(&["write-tree"]).as_str());
}

#[test]
fn commit_is_planned_without_a_checkout() {
    let project = Project::new(CHAIN);
    project.write(".gitignore", "gen.out\n").write("gen.in", "1\n").commit("one");
    project.xtask(&["lint"]).ends(0);
    project.write("gen.in", "2\n");
    project.xtask(&["plan", "lint"]).ends(0);
    project.xtask(&["plan", "lint", "--at", "HEAD"]).ends(0);
    project.xtask(&["plan", "lint", "--at", "nowhere"]).ends(5);
    assert_screens!();
}

#[test]
fn dry_run_is_a_plan() {
    let project = Project::new(CHAIN);
    project.xtask(&["lint", "--dry-run"]).ends(0);
    assert!(project.lines("../ran").is_empty());
    assert_screens!();
}

#[test]
fn dry_run_without_the_cache_is_refused() {
    let project = Project::new(CHAIN);
    project.xtask(&["lint", "--dry-run", "--no-cache"]).ends(2);
    let plan = project.xtask(&["lint", "--dry-run", "--format", "json"]).ends(0).json();
    assert_eq!(plan, project.xtask(&["plan", "lint", "--json"]).ends(0).json());
    assert_screens!();
}
