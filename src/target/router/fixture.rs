//! What the tests of drivers have in common: a role with two hosts, whose router's machine is a folder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::env::Env;
use crate::config::deploy::{
    Connection, Host as HostConfig, OnLost, Ports, Role, Router, Runs, Traffic, Variables,
};
use crate::deploy::lease::Order;
use crate::target::connection::Connector;
use crate::target::host::Host;
use crate::target::router::driver::RouterSite;

pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    host: Host,
    role: Role,
    traffic: Traffic,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().join("bin").display());
        let env = vec![(OsString::from("PATH"), OsString::from(path))];
        let connector = Arc::new(Connector::new(&Env::new(env, PathBuf::from("/"))));
        let folder = dir.path().join("srv").to_str().unwrap().to_owned();
        let host = Host::new("router".to_owned(), Connection::Local, folder, connector);
        let of_role = |name: &str| HostConfig {
            name: name.to_owned(),
            connection: Connection::Local,
            env: BTreeMap::new(),
        };
        let traffic = Traffic {
            steps: vec![10, 100],
            every: Duration::from_secs(1),
            bake: Duration::ZERO,
            router: Router::Command { shift: String::new(), read: String::new() },
            on: Connection::Local,
            drain: Duration::from_secs(1),
            analysis: None,
            on_lost: OnLost::Hold,
        };
        let role = Role {
            name: "web".to_owned(),
            artifacts: Vec::new(),
            hosts: vec![of_role("web1"), of_role("web2")],
            runs: Runs::Lines { start: String::new(), stop: None, status: None },
            ports: Some(Ports { blue: 8001, green: 8002 }),
            variables: Variables::default(),
            health_check: None,
            traffic: Some(traffic.clone()),
            standby: Duration::ZERO,
        };
        Self { dir, host, role, traffic }
    }

    pub(super) fn site(&self) -> RouterSite<'_> {
        RouterSite {
            host: &self.host,
            role: &self.role,
            traffic: &self.traffic,
            served: None,
            timeout: Duration::from_secs(60),
            is_stopped: &|| false,
        }
    }

    pub(super) fn order() -> Order {
        Order { token: 1, nonce: "n".to_owned(), deploy: "d".to_owned() }
    }
}
