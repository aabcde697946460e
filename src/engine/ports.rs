//! The ports of the services that one command uses, as its texts and its environment name them. It
//! must not know how a port was picked.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;

use crate::config::model::Command;
use crate::config::{self, template};

/// Ports by the names that the command's own file has for the services.
#[derive(Clone, Debug, Default)]
pub struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// Of these services.
    pub fn of(ports: impl IntoIterator<Item = (String, u16)>) -> Self {
        Self(ports.into_iter().collect())
    }

    /// Adds one.
    pub fn with(mut self, name: &str, port: Option<u16>) -> Self {
        self.0.extend(port.map(|port| (name.to_owned(), port)));
        self
    }

    /// A text with the ports put in.
    pub fn fill(&self, text: &str) -> String {
        template::with_ports(text, |name| self.0.get(name).copied())
    }

    /// The first service whose port the command names and that has none here.
    pub fn lacks(&self, command: &Command) -> Option<String> {
        let words = match command {
            Command::Rust(_) => return None,
            Command::Shell(line) => std::slice::from_ref(line),
            Command::Argv(words) => words.as_slice(),
        };
        words.iter().find_map(|text| template::ports_of(text).find(|name| !self.0.contains_key(name)))
    }

    /// A command with the ports put in.
    pub fn fill_command(&self, command: &Command) -> Command {
        match command {
            Command::Shell(line) => Command::Shell(self.fill(line)),
            Command::Rust(name) => Command::Rust(name.clone()),
            Command::Argv(words) => Command::Argv(words.iter().map(|word| self.fill(word)).collect()),
        }
    }

    /// Variables that tell them: `XTASK_SERVICE_DB_PORT` for the service `db`.
    pub fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.0.iter().map(|(name, port)| (config::port_variable(name).into(), port.to_string().into()))
    }
}

/// A port that nobody listens on.
///
/// # Errors
/// There is none, as a clause.
pub fn free() -> Result<u16, String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.map(|address| address.port()).map_err(|error| format!("no port is free: {error}"))
}
