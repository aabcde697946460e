//! The ports of services: no two services of a run share one.

use std::net::TcpListener;

use crate::project::Project;
use crate::project::server::server;

/// Returns a port on which no process listens.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn two_services_of_one_run_never_share_a_port() {
    let port = free();
    for (key, named) in [
        (format!("port = {port}"), format!("port {port}")),
        (format!("ready = {{ tcp = 'localhost:{port}' }}"), format!("port {port}")),
        (format!("ready = {{ http = 'http://127.0.0.1:{port}/' }}"), format!("port {port}")),
    ] {
        let project = Project::new("include = ['api/tasks.toml', 'web/tasks.toml']\n");
        for (folder, wait) in [("api", 200), ("web", 1000)] {
            let run = format!("exec {} {port} {wait}", server().display());
            let text = format!(
                "[services.db]\nrun = '{run}'\n{key}\ninputs = []\n[tasks.test]\nrun = 'true'\nservices = ['db']\ninputs = []\n"
            );
            project.write(&format!("{folder}/tasks.toml"), text);
        }
        for jobs in ["2", "1"] {
            let ran = project.xtask(&["run", ":test", "--jobs", jobs, "--keep-going", "--force"]).ends(1);
            let refusal = |holder: &str| format!("{named} is taken by service {holder} of this run");
            let refused = ["api:db", "web:db"].iter().filter(|holder| ran.err.contains(&refusal(holder)));
            assert_eq!(refused.count(), 1, "{}", ran.err);
            assert_eq!(ran.err.matches("service is ready").count(), 1, "{}", ran.err);
        }
        // In separate runs, each service can use the port.
        project.xtask(&["run", "api:test", "--force"]).ends(0);
        project.xtask(&["run", "web:test", "--force"]).ends(0);
    }
}
