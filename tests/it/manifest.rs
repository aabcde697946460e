//! Manifests: the file that each run stores beside its record, and `run --manifest FILE`.

use crate::project::Project;

const TASKS: &str = r#"
    [tools]
    tool = "cat version"
    [tasks.all]
    needs = ["one", "two"]
    [tasks.one]
    run = "cat a > out; echo one"
    inputs = ["a"]
    outputs = ["out"]
    tools = ["tool"]
    [tasks.two]
    group = "unit"
    run = "echo $TOKEN | wc -c; test ! -e fail"
    inputs = ["b"]
    needs = ["one"]
    pass-env = ["MODE"]
    secret-env = ["TOKEN"]
    "#;

fn project() -> Project {
    let project = Project::new(TASKS);
    project.write("a", "1\n").write("b", "1\n").write("version", "tool 1\n").write(".gitignore", "out\n");
    project.commit("files");
    project
}

fn manifest(project: &Project, path: &str) -> serde_json::Value {
    serde_json::from_str(&project.read(path)).unwrap()
}

#[test]
fn manifest_has_the_keys_and_results_of_all_tasks() {
    let project = project();
    let vars = [("MODE", "fast tricky-secret"), ("TOKEN", "tricky-secret")];
    project.xtask_env(&["all", "--manifest", "../m/run.json"], &vars).ends(0);
    let text = project.read("../m/run.json");
    assert!(!text.contains("tricky-secret"), "{text}");
    let run = manifest(&project, "../m/run.json");
    assert_eq!(run["version"], 2);
    assert_eq!(run["names"], serde_json::json!(["all"]));
    assert_eq!(run["tree"], project.git(&["rev-parse", "HEAD^{tree}"]));
    assert_eq!(run["verdict"]["kind"], "passed");
    assert_eq!(run["environment"]["taskgate"], env!("CARGO_PKG_VERSION"));
    let (one, two) = (&run["tasks"]["one"], &run["tasks"]["two"]);
    assert_eq!((&one["decision"], &one["status"]["kind"]), (&"miss".into(), &"passed".into()));
    assert_eq!((&one["attempts"], &two["group"]), (&1.into(), &"unit".into()));
    assert!(run["tasks"]["all"].is_null(), "an aggregate runs nothing");
    let field = |task: &serde_json::Value, kind: &str, name: &str| {
        let fields = task["fields"].as_array().unwrap();
        let field = fields.iter().find(|field| field["kind"] == kind && field["name"] == name);
        field.map(|field| field["value"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert_eq!(field(one, "tool", "tool"), "tool 1\n");
    assert_eq!(field(two, "variable", "MODE"), "=fast ***");
    assert_eq!(field(two, "secret", "TOKEN").len(), 8);
    // The manifest contains the key that the task ran with, which was not known when the run was planned.
    assert_eq!(two["decision"], "miss");
    assert_eq!(field(two, "need", "one"), format!("outputs {}", one["outputs"].as_str().unwrap()));
    let set = &run["inputs"]["sets"][field(one, "inputs", "")];
    assert_eq!(set, &serde_json::json!([[0, 1]]));
    assert_eq!(run["inputs"]["files"][0][0], "a");

    let again = project.xtask_env(&["all", "--manifest", "../m/again.json"], &vars);
    again.ends(0);
    let again = manifest(&project, "../m/again.json");
    assert_eq!(again["tasks"]["two"]["status"]["kind"], "hit");
    assert_eq!(again["tasks"]["two"]["key"], two["key"]);
    assert_eq!(again["tasks"]["one"]["outputs"], one["outputs"]);
    assert_eq!(again["plan"], run["plan"], "it does not depend on the content of the cache");
    assert_screens!();
}

#[test]
fn manifest_of_a_failed_run_is_removed_with_its_record() {
    let project = project();
    project.write("fail", "");
    project.xtask(&["all", "--manifest", "../run.json"]).ends(1);
    let run = manifest(&project, "../run.json");
    assert_eq!(run["verdict"]["kind"], "failed");
    assert_eq!(run["tasks"]["two"]["status"]["ended"]["code"], 1);
    let files = || -> Vec<String> {
        let entries = std::fs::read_dir(project.state().join("runs")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let mut own = files();
    own.sort_by_key(|name| name.split_once('.').unwrap().1.to_owned());
    let endings: Vec<&str> = own.iter().map(|name| name.split_once('.').unwrap().1).collect();
    assert_eq!(endings, ["jsonl", "keys.zst", "manifest.zst"]);
    // The file with its keys may be used by a later run too, so it is not expected to be removed.
    own.remove(1);
    // There are more records of later runs than are kept.
    for i in 0..100 {
        project.write(&format!(".git/xtask/runs/29991231-000000-{i:05}.jsonl"), "");
    }
    project.xtask(&["one"]).ends(0);
    assert!(!files().iter().any(|file| own.contains(file)), "the manifest is removed with its record");
}

#[test]
fn without_a_repository_there_is_no_manifest() {
    let project = Project::without_git("[tasks.t]\nrun = \"true\"\n");
    project.xtask(&["t", "--manifest", "m.json"]).ends(5);
    assert!(!project.path("m.json").exists());
    assert_screens!();
}

#[test]
fn runs_with_the_same_keys_share_them() {
    let project = project();
    project.xtask(&["all"]).ends(0);
    for _ in 0..3 {
        project.xtask(&["all"]).ends(0);
    }
    let count = |ending: &str| {
        let entries = std::fs::read_dir(project.state().join("runs")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(ending)).count()
    };
    // The first run has its own file, since not all its keys were known; all other runs share one.
    assert_eq!((count(".manifest.zst"), count(".keys.zst")), (4, 2));
    project.xtask(&["diff-run", "last", "last~3"]).ends(0);
    assert_screens!();
}
