//! `xtask merge-runs FILE…`: the shards of a run as one.

use crate::project::Project;

const TASKS: &str = r#"
[tasks.ci]
needs = ["app", "unit"]
[tasks.app]
run = "test -e out"
inputs = ["app"]
needs = ["build"]
[tasks.build]
run = "echo built > out"
inputs = ["src"]
outputs = ["out"]
pass-env = ["FLAGS"]
[tasks.t]
group = "unit"
matrix = { n = ["1", "2", "3", "4"] }
run = "test {{ matrix.n }} != ${BAD-0}"
inputs = ["src"]
pass-env = ["?BAD"]
"#;

/// A repository and a clone of it, which share no cache.
fn machines() -> [Project; 2] {
    let [one, two] = [(); 2].map(|()| {
        let project = Project::new(TASKS);
        project.write("src", "1\n").write("app", "1\n").write(".gitignore", "out\n").commit("files");
        project
    });
    [one, two]
}

/// Runs a shard on a machine; its manifest is beside the first one.
fn shard(machines: &[Project; 2], (machine, shard): (usize, &str), vars: &[(&str, &str)]) -> String {
    let file = machines[0].beside().join(format!("{}.json", shard.replace('/', "-")));
    let file = file.to_str().unwrap().to_owned();
    let ran = machines[machine].xtask_env(&["ci", "-k", "--shard", shard, "--manifest", &file], vars);
    assert!(ran.status < 2, "{}", ran.err);
    file
}

#[test]
fn shards_of_two_clones_are_the_whole_run() {
    let machines = machines();
    let files = [shard(&machines, (0, "1/2"), &[]), shard(&machines, (1, "2/2"), &[])];
    let merge = ["merge-runs", &files[1], &files[0], "--manifest", "../whole.json", "--junit", "../j/u.xml"];
    let merged = machines[0].xtask(&merge).ends(0);
    let lines: Vec<&str> = merged.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", merged.out);
    assert!(lines[0].starts_with("shard 1/2"), "in their order: {}", merged.out);
    assert!(lines[2].starts_with("ci passed: 6 tasks in 2 shards · tree "), "{}", merged.out);
    let junit = machines[0].read("../j/u.xml");
    for task in ["app", "build", "t[n=1]", "t[n=2]", "t[n=3]", "t[n=4]"] {
        assert!(junit.contains(&format!("name=\"{task}\"")), "{task}: {junit}");
    }
    // The whole is what one machine would have run.
    machines[1].xtask(&["ci"]).ends(0);
    let whole = machines[0].beside().join("whole.json");
    machines[1]
        .xtask(&["diff-run", whole.to_str().unwrap(), "last"])
        .ends(0)
        .prints("no difference in 6 tasks");
    let json = machines[0].xtask(&["merge-runs", &files[0], &files[1], "--json"]).ends(0).json();
    assert_eq!((&json["passed"], &json["tasks"]), (&true.into(), &6.into()));
    assert_eq!(json["shards"][1]["shard"]["index"], 2);
}

#[test]
fn a_shard_that_failed_fails_the_run() {
    let machines = machines();
    let bad = [("BAD", "2")];
    let files = [shard(&machines, (0, "1/2"), &bad), shard(&machines, (1, "2/2"), &bad)];
    let merged = machines[0].xtask(&["merge-runs", &files[0], &files[1]]).ends(1);
    assert!(merged.out.contains("· t[n=2]\n"), "{}", merged.out);
    merged.prints("ci failed");
}

#[test]
fn a_shard_that_is_missing_or_there_twice_fails_the_run() {
    let machines = machines();
    let one = shard(&machines, (0, "1/3"), &[]);
    let two = shard(&machines, (1, "2/3"), &[]);
    let merged = machines[0].xtask(&["merge-runs", &one, &two]).ends(1);
    merged.prints("warning: shard 3 is missing").prints("ci failed");
    let three = shard(&machines, (1, "3/3"), &[]);
    machines[0].xtask(&["merge-runs", &one, &two, &three]).ends(0);
    let merged = machines[0].xtask(&["merge-runs", &one, &two, &three, &two]).ends(1);
    merged.prints("warning: shard 2 is there more than once").prints("ci failed");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let machines = machines();
    let one = shard(&machines, (0, "1/2"), &[]);
    let refused = |other: &str, message: &str| {
        let merged = machines[0].xtask(&["merge-runs", &one, other]).ends(5);
        merged.says(message);
    };
    let three = shard(&machines, (1, "2/3"), &[]);
    refused(&three, "one is of 2 shards and the other of 3 shards");
    let other = shard(&machines, (1, "2/2"), &[("FLAGS", "-O")]);
    refused(&other, "different plans");
    refused(&other, "differ: build: FLAGS: unset → \"-O\"");
    machines[1].write(".git/timings", "{ \"build\": 7 }");
    let file = machines[0].beside().join("timed.json");
    let args = ["ci", "--shard", "2/2", "--timings", ".git/timings", "--manifest", file.to_str().unwrap()];
    machines[1].xtask(&args).ends(0);
    refused(file.to_str().unwrap(), "the times that they were split by");
    machines[1].write("app", "2\n");
    let tree = shard(&machines, (1, "2/2"), &[]);
    refused(&tree, "shards of different trees");
    let whole = machines[0].beside().join("all.json");
    machines[0].xtask(&["ci", "--manifest", whole.to_str().unwrap()]).ends(0);
    refused(whole.to_str().unwrap(), "is no shard's manifest");
    refused("nowhere.json", "nowhere.json");
    machines[0].xtask(&["merge-runs"]).ends(2);
}
