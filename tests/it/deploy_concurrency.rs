//! Several real deployers at once, in clones of one repository, with a host that is a folder of this machine and
//! a router that is a file. A "process" of a slot is a file too, so that a killed test leaves nothing behind.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use crate::project::{CommandOutput, Project, signal, wait_for};

/// Says which release it is, once `go` exists if `wait` does.
const START: &str = r#"
while test -e ../../wait && ! test -e ../../go; do sleep 0.05; done
echo "release=$RELEASE" >../../run-$SLOT
"#;

fn project() -> Project {
    let project = Project::new("");
    let srv = srv(&project);
    fs::create_dir(&srv).unwrap();
    let srv = srv.display();
    let text = format!(
        r#"[tasks.build]
run = "mkdir -p out && cp app/* out/"
inputs = ["app/**"]
outputs = ["out/**"]

[artifacts.app]
task = "build"

[environments.dev]
driver = "hosts"
path = "{srv}"
artifact = "app"
lease = "60s"
hosts = [{{ local = true }}]
start = "sh out/start"
stop = "rm -f {srv}/run-{{{{ slot }}}}"
status = "test -e {srv}/run-{{{{ slot }}}}"
health-check = {{ command = "cat {srv}/run-{{{{ slot }}}}", release = 'pattern:release=(\S+)', timeout = "20s", interval = "50ms" }}
ports = {{ blue = 1, green = 2 }}
traffic = ["50%", "100%"]
every = "100ms"
bake = "100ms"
drain = "100ms"
router = {{ shift = "echo blue=$WEIGHT_BLUE green=$WEIGHT_GREEN >{srv}/weights; echo $WEIGHT_BLUE >>{srv}/shifts", read = "cat {srv}/weights 2>/dev/null || echo blue=0 green=0", on = {{ local = true }} }}
"#
    );
    project.write("tasks.toml", text).write("app/start", START).write(".gitignore", "out\n");
    version(&project, 1);
    project.publish();
    project
}

/// The folder of the environment, which all clones have in common.
fn srv(project: &Project) -> PathBuf {
    project.parent_folder().join("srv")
}

fn version(project: &Project, number: u32) {
    project.write("app/version", format!("{number}\n")).commit(&format!("version {number}"));
}

fn read(project: &Project, name: &str) -> String {
    fs::read_to_string(srv(project).join(name)).unwrap_or_default()
}

/// What a process that was started has printed.
fn err(project: &Project) -> String {
    fs::read_to_string(project.parent_folder().join("err")).unwrap_or_default()
}

/// Starts a command as somebody.
fn start_as(project: &Project, who: &str, args: &[&str]) -> Child {
    let mut command = project.xtask_command(args);
    command.env("GITLAB_USER_LOGIN", who);
    project.start_command(command)
}

fn status(project: &Project) -> CommandOutput {
    project.xtask(&["status", "--env", "dev"])
}

#[test]
fn of_twenty_deploys_at_once_nineteen_name_the_one_that_bakes() {
    let project = project();
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    let text = project.read("tasks.toml").replace("bake = \"100ms\"", "bake = \"10m\"");
    project.write("tasks.toml", text);
    version(&project, 2);
    project.git(&["push", "-q", "origin", "main"]);
    let clones: Vec<_> = (0..20).map(|_| project.clone_remote()).collect();
    let mut deploys: Vec<_> = clones
        .iter()
        .enumerate()
        .map(|(number, clone)| start_as(clone, &format!("dev{number}"), &["deploy", "--env", "dev"]))
        .collect();
    let mut ended = vec![None; deploys.len()];
    // One after the other: a deadline is for each of them.
    while ended.iter().flatten().count() < 19 {
        let before = ended.iter().flatten().count();
        let shared = std::cell::RefCell::new((&mut deploys, &mut ended));
        wait_for("another one to end", || {
            let (deploys, ended) = &mut *shared.borrow_mut();
            for (deploy, ended) in deploys.iter_mut().zip(ended.iter_mut()) {
                *ended = ended.or_else(|| deploy.try_wait().unwrap());
            }
            ended.iter().flatten().count() > before
        });
    }
    let winner = ended.iter().position(Option::is_none).expect("the winner bakes");
    wait_for("the winner to bake", || read(&project, "weights") == "blue=0 green=100\n");
    for (number, (clone, ended)) in clones.iter().zip(&ended).enumerate() {
        let Some(ended) = ended else { continue };
        let err = err(clone);
        assert_eq!(ended.code(), Some(6), "{number}: {err}");
        assert!(err.contains(&format!("dev{winner} on ")) && err.contains(" is deploying since "), "{err}");
    }
    status(&project).prints("in progress:").prints(&format!("dev{winner} on "));
    signal("TERM", i32::try_from(deploys[winner].id()).unwrap());
    assert_eq!(deploys[winner].wait().unwrap().code(), Some(1), "{}", err(&clones[winner]));
    assert_eq!(read(&project, "weights"), "blue=100 green=0\n");
    status(&project).ends(0).prints("1-");
}

#[test]
fn of_two_rollbacks_without_the_remote_one_wins_and_the_histories_merge_later() {
    let project = project();
    for number in 1..=3 {
        if number > 1 {
            version(&project, number);
        }
        project.xtask(&["deploy", "--env", "dev"]).ends(0);
    }
    let clones = [project.clone_remote(), project.clone_remote()];
    let (remote, away) = (project.bare(), project.parent_folder().join("away.git"));
    fs::rename(&remote, &away).unwrap();
    fs::write(srv(&project).join("wait"), "").unwrap();
    let rollback = |number: usize| {
        let to = (number + 1).to_string();
        start_as(&clones[number], &format!("dev{number}"), &["rollback", "--env", "dev", "--to", &to])
    };
    let mut rollbacks = [rollback(0), rollback(1)];
    let loser = std::cell::Cell::new(None);
    let both = std::cell::RefCell::new(&mut rollbacks);
    wait_for("one to end", || {
        loser.set((0..2).find(|number| both.borrow_mut()[*number].try_wait().unwrap().is_some()));
        loser.get().is_some()
    });
    let loser = loser.get().unwrap();
    let winner = 1 - loser;
    assert_eq!(rollbacks[loser].wait().unwrap().code(), Some(6), "{}", err(&clones[loser]));
    assert!(err(&clones[loser]).contains(&format!("dev{winner} on ")), "{}", err(&clones[loser]));
    fs::write(srv(&project).join("go"), "").unwrap();
    assert!(rollbacks[winner].wait().unwrap().success(), "{}", err(&clones[winner]));
    let serves = |release: usize| status(&project).ends(0).prints(&format!("{release}-")).out;
    assert!(serves(winner + 1).starts_with(&format!("dev: {}-", winner + 1)));
    assert!(err(&clones[winner]).contains("the journal was not written"), "{}", err(&clones[winner]));
    // The other one goes on alone, also without the remote.
    let to = (loser + 1).to_string();
    clones[loser]
        .xtask(&["rollback", "--env", "dev", "--to", &to])
        .ends(0)
        .says("the journal was not written");
    fs::rename(&away, &remote).unwrap();
    for clone in &clones {
        clone.xtask(&["freeze", "--env", "dev", "holidays"]).ends(0).does_not_say("was not written");
        clone.xtask(&["unfreeze", "--env", "dev"]).ends(0);
    }
    let log = ["--git-dir", remote.to_str().unwrap(), "log", "--format=%s", "xtask-deploy/dev"];
    let journal = project.git(&log);
    for release in [winner + 1, loser + 1] {
        let ended = format!("dev: succeeded: {release}-");
        // It was deployed once, and rolled back to once.
        assert_eq!(journal.lines().filter(|line| line.starts_with(&ended)).count(), 2, "{ended}: {journal}");
    }
}

#[test]
fn stopped_deploy_whose_lease_was_taken_over_changes_no_weights_when_it_continues() {
    let project = project();
    project.xtask(&["deploy", "--env", "dev"]).ends(0);
    let text = project.read("tasks.toml").replace("every = \"100ms\"", "every = \"6s\"");
    // The other one waits for its end.
    project.write("tasks.toml", text.replace("lease = \"60s\"", "lease = \"3s\""));
    version(&project, 2);
    let mut sleeper = project.start(&["deploy", "--env", "dev"]);
    wait_for("the canary", || read(&project, "weights") == "blue=50 green=50\n");
    let pid = i32::try_from(sleeper.id()).unwrap();
    signal("STOP", pid);
    project.git(&["push", "-q", "origin", "main"]);
    let other = project.clone_remote();
    other.xtask(&["deploy", "--env", "dev", "--abort", "--wait"]).ends(0);
    assert_eq!(read(&project, "weights"), "blue=100 green=0\n");
    let before = (read(&project, "shifts"), status(&project).ends(0).out);
    signal("CONT", pid);
    let ended = sleeper.wait().unwrap();
    assert!(!ended.success() && err(&project).contains("taken over"), "{ended:?}: {}", err(&project));
    assert_eq!((read(&project, "shifts"), status(&project).ends(0).out), before);
}
