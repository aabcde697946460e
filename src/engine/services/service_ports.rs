//! The ports and folders of the services that one command uses. They are filled into its text and passed in
//! its environment. This module must not know how a port was chosen.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::config::model::Command;
use crate::config::{self, template};

/// Ports and folders, by the service names that the command's own file uses.
#[derive(Clone, Debug, Default)]
pub struct ServicePorts {
    ports: BTreeMap<String, String>,
    dirs: BTreeMap<String, String>,
}

impl ServicePorts {
    /// Adds a service.
    pub fn add(&mut self, name: &str, port: Option<u16>, dir: &Path) {
        self.ports.extend(port.map(|port| (name.to_owned(), port.to_string())));
        // A path that is not UTF-8 can't be filled in; the text is left as it is.
        self.dirs.extend(dir.to_str().map(|dir| (name.to_owned(), dir.to_owned())));
    }

    /// Returns a text with the ports and folders filled in.
    pub fn fill(&self, text: &str) -> String {
        if !text.contains("{{") {
            return text.to_owned();
        }
        let text = template::with_ports(text, |name| self.ports.get(name).map(String::as_str));
        template::with_dirs(&text, |name| self.dirs.get(name).map(String::as_str))
    }

    /// Returns the first service whose port or folder the command uses and that is not running.
    pub fn first_missing(&self, command: &Command) -> Option<String> {
        let words = match command {
            Command::Rust(_) => return None,
            Command::Shell(line) => std::slice::from_ref(line),
            Command::Argv(words) => words.as_slice(),
        };
        words.iter().find_map(|text| {
            let port = template::ports_of(text).find(|name| !self.ports.contains_key(*name));
            let dir = || template::dirs_of(text).find(|name| !self.dirs.contains_key(*name));
            port.or_else(dir).map(str::to_owned)
        })
    }

    /// Returns a command with the ports and folders filled in.
    pub fn fill_command(&self, command: &Command) -> Command {
        match command {
            Command::Shell(line) => Command::Shell(self.fill(line)),
            Command::Rust(name) => Command::Rust(name.clone()),
            Command::Argv(words) => Command::Argv(words.iter().map(|word| self.fill(word)).collect()),
        }
    }

    /// Returns the variables with the ports, such as `XTASK_SERVICE_DB_PORT` for the service `db`.
    pub fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.ports.iter().map(|(name, port)| (config::port_variable(name).into(), port.into()))
    }
}
