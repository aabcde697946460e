//! Many runs at once on one cache.

use crate::project::{Project, signal, wait_for};

#[test]
fn two_runs_of_one_key_execute_it_once() {
    let project = Project::new(
        r#"
[tasks.t]
run = '''
echo ran >> ../ran
until test -e ../end; do sleep 0.01; done
mkdir -p out; echo x > out/app
'''
inputs = ["in"]
outputs = ["out/**"]
"#,
    );
    project.write(".gitignore", "out\n").commit("ignore");
    let mut first = project.start(&["t"]);
    wait_for("the first executes", || project.lines("../ran").len() == 1);
    let mut second = project.start(&["t"]);
    wait_for("the second waits", || {
        project.lines("../err").iter().any(|line| line.contains("waits for another run"))
    });
    std::fs::write(project.beside().join("end"), "").unwrap();
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert_eq!(project.lines("../ran").len(), 1);
    assert!(project.lines("../err").iter().any(|line| line.contains("another run passed it just now")));
}

#[test]
fn a_waiting_run_takes_over_when_the_other_is_killed() {
    let project = Project::new(
        "[tasks.t]\nrun = \"echo ran >> ../ran; until test -e ../end; do sleep 0.01; done\"\ninputs = [\"in\"]\n",
    );
    let mut first = project.start(&["t"]);
    wait_for("the first executes", || project.lines("../ran").len() == 1);
    let mut second = project.start(&["t"]);
    wait_for("the second waits", || {
        project.lines("../err").iter().any(|line| line.contains("waits for another run"))
    });
    signal("KILL", i32::try_from(first.id()).unwrap());
    first.wait().unwrap();
    wait_for("the second executes", || project.lines("../ran").len() == 2);
    std::fs::write(project.beside().join("end"), "").unwrap();
    assert!(second.wait().unwrap().success());
}

#[test]
fn twenty_runs_killed_at_random_leave_a_clean_cache() {
    let tasks: String = (0..6)
        .map(|i| {
            format!(
                "[tasks.t{i}]\ngroup = \"all\"\nrun = \"mkdir -p out{i}; head -c 150000 /dev/urandom > out{i}/big; \
                 echo {i} > out{i}/small; sleep 0.0{i}\"\ninputs = [\"in\"]\noutputs = [\"out{i}/**\"]\n"
            )
        })
        .collect();
    let project = Project::new(&tasks);
    project.write(".gitignore", "out*\n").write("in", "0\n").commit("in");
    let mut seed = 12345_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut children = Vec::new();
    for round in 0..20 {
        if round % 5 == 4 {
            project.write("in", format!("{round}\n"));
        }
        children.push(project.start(&["all", "--force", "-j4"]));
        std::thread::sleep(std::time::Duration::from_millis(random(40)));
        let victim = usize::try_from(random(children.len() as u64)).unwrap();
        if random(3) > 0 && matches!(children[victim].try_wait(), Ok(None)) {
            signal("KILL", i32::try_from(children[victim].id()).unwrap());
        }
    }
    for child in &mut children {
        child.wait().unwrap();
    }
    project.xtask(&["cache", "verify"]).ends(0).prints("clean");
    project.xtask(&["all"]).ends(0);
    project.xtask(&["all"]).ends(0).says("nothing ran");
}
