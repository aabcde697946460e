//! What must hold of every driver, of the driver `hosts` with a host that is a folder of this machine.

use std::fs;

use crate::conformance::{self, Deployed, Fault};
use crate::deploy::{START, at_once, files, project, project_with_faults, running, srv, version};
use crate::project::Project;

struct Dev(Project);

impl Deployed for Dev {
    fn project(&self) -> &Project {
        &self.0
    }

    fn name(&self) -> &'static str {
        "dev"
    }

    fn commit_version(&self, number: u32, fault: Option<Fault>) {
        let start = match fault {
            None => START.to_owned(),
            Some(Fault::Start) => "exit 1\n".to_owned(),
            Some(Fault::Check) => "echo up >../../run-$SLOT\n".to_owned(),
            Some(Fault::OldAnswers) => format!("echo release={} >../../run-$SLOT\n", self.serving()),
        };
        self.0.write("app/start", start);
        version(&self.0, number);
    }

    fn commit_configuration(&self) {
        let changed = self.0.read("tasks.toml") + "env = { LOG_LEVEL = \"debug\" }\n";
        self.0.write("tasks.toml", changed).commit("log more");
    }

    fn serving(&self) -> String {
        let running = running(&self.0);
        assert_eq!(running.len(), 1, "{running:?}");
        running[0].clone()
    }

    fn state(&self) -> String {
        format!("{:?}", files(&srv(&self.0)))
    }

    fn cut_off(&self) {
        fs::remove_dir_all(self.0.path(".git/xtask/artifacts")).unwrap();
    }
}

#[test]
fn releases_on_hosts_follow_each_other() {
    conformance::releases_follow_each_other(&Dev(project("")));
}

#[test]
fn faulty_version_on_hosts_does_not_serve() {
    at_once([Fault::Start, Fault::Check, Fault::OldAnswers], |fault| {
        conformance::faulty_version_does_not_serve(&Dev(project_with_faults("")), fault);
    });
}

#[test]
fn rollback_on_hosts_fetches_nothing() {
    conformance::rollback_fetches_nothing(&Dev(project("")));
}
