//! Roles: the keys of `[environments.NAME.roles.ROLE]`, which an environment with one unnamed role has itself. It must
//! not know the keys of the environment.

use std::time::Duration;

use crate::config::deploy::{Artifact, Host, Ports, Role, Runs, Variables};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::DeployContext;
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::deploy::placeholders::{self, Known};
use crate::config::sections::deploy::traffic::{self, TrafficContext};
use crate::config::sections::deploy::{health_check, hosts, variables};
use crate::config::syntax::document::{Entry, Syntax, Text};
use crate::config::wording;

/// The name of the role of an environment that has only one, and does not name it.
pub(crate) const ONLY: &str = "app";

/// What a role of the driver `hosts` depends on.
pub(crate) struct RoleContext<'c, 'd> {
    pub(crate) deploy: &'c DeployContext<'c, 'd>,
    pub(crate) artifacts: &'c [Artifact],
    /// Whether the environment has a `url`.
    pub(crate) has_url: bool,
}

impl RoleContext<'_, '_> {
    /// Returns the placeholders that have a value in the texts of a role.
    pub(crate) fn known(&self, fields: &Fields<'_>) -> Known<'static> {
        Known { names: &placeholders::OF_SLOT, has_port: fields.has("ports"), has_url: self.has_url }
    }

    /// Reads the roles of an environment.
    pub(crate) fn named_roles(&self, entry: &Entry<'_>, sink: &mut DiagnosticSink) -> Vec<Role> {
        let hint = "write each role as `[environments.NAME.roles.ROLE]` with `start = \"…\"` below";
        let Some(table) = entry.value.table(hint, sink) else { return Vec::new() };
        if table.is_empty() {
            sink.add(Diagnostic::new(entry.value.span(), "`roles` is empty").label("no role").hint(hint));
        }
        let mut roles = Vec::with_capacity(table.len());
        for Entry { key, value } in &table {
            sink.0.extend(wording::invalid_name(key, "a role"));
            let called = format!("role `{}`", wording::escape_name(key.text));
            let syntax = self.deploy.syntax;
            let fields = Fields::read(key, *value, &tables::ROLE, &called, hint, syntax, sink);
            if let Some(fields) = fields {
                let variables = variables::read(&fields, self.deploy.base, sink);
                roles.push(self.role(key.text, &fields, variables, sink));
            }
        }
        roles
    }

    /// Reads a role whose processes are started by shell lines.
    pub(crate) fn role(
        &self,
        name: &str,
        fields: &Fields<'_>,
        variables: Variables,
        sink: &mut DiagnosticSink,
    ) -> Role {
        let known = self.known(fields);
        fields.require(&["hosts"], "add hosts = [{ ssh = \"user@host\" }], or [{ local = true }]", sink);
        fields.require(
            &["start"],
            "add `start` with a shell line such as \"systemctl start shop@{{ slot }}\"",
            sink,
        );
        let hosts = fields.entry("hosts");
        let hosts = hosts.map(|entry| hosts::read(entry, self.deploy.base, self.deploy.syntax, sink));
        let hosts = hosts.unwrap_or_default();
        let [start, stop, status] = ["start", "stop", "status"].map(|key| {
            let text = fields.line(key, sink)?;
            known.check(&text, sink);
            Some(text.text.to_owned())
        });
        if let Some(entry) = fields.entry("start").filter(|_| stop.is_none() && !fields.has("stop")) {
            check_derived_stop(entry, start.as_deref(), sink);
        }
        let runs = Runs::Lines { start: start.unwrap_or_default(), stop, status };
        self.finish(
            name,
            fields,
            Parts { artifacts: self.artifacts(fields, sink), hosts, runs, variables },
            sink,
        )
    }

    /// Reads the keys that roles of all drivers have.
    pub(crate) fn finish(
        &self,
        name: &str,
        fields: &Fields<'_>,
        parts: Parts,
        sink: &mut DiagnosticSink,
    ) -> Role {
        let (known, syntax) = (self.known(fields), self.deploy.syntax);
        let health_check = fields.entry("health-check");
        let health_check = health_check.and_then(|entry| health_check::read(entry, known, syntax, sink));
        let traffic = TrafficContext {
            role: name,
            hosts: &parts.hosts,
            driver_shifts: matches!(parts.runs, Runs::External { .. }),
            needs_ports: matches!(parts.runs, Runs::Lines { .. }),
            known,
            base: self.deploy.base,
            syntax,
        };
        let traffic = traffic::read(fields, traffic, sink);
        Role {
            name: name.to_owned(),
            artifacts: parts.artifacts,
            hosts: parts.hosts,
            runs: parts.runs,
            ports: fields.entry("ports").and_then(|entry| ports(entry, traffic.is_some(), syntax, sink)),
            variables: parts.variables,
            health_check,
            traffic,
            standby: fields.duration("standby", "30m", sink).unwrap_or(Duration::ZERO),
        }
    }

    /// Reads the names of the artifacts of a role.
    pub(crate) fn artifacts(&self, fields: &Fields<'_>, sink: &mut DiagnosticSink) -> Vec<String> {
        fields.require(&["artifact"], "add `artifact` with a name of `[artifacts]`", sink);
        let names = fields.one_or_more("artifact", sink);
        if let Some(value) = fields.value("artifact").filter(|value| value.is_empty_array()) {
            let hint = "name an artifact of `[artifacts]`";
            sink.add(
                Diagnostic::new(value.span(), "`artifact` is empty").label("nothing to deploy").hint(hint),
            );
        }
        for name in &names {
            self.artifact(name, sink);
        }
        let mut names: Vec<String> = names.into_iter().map(|name| name.text.to_owned()).collect();
        names.dedup();
        names
    }

    /// Returns the artifact of this name, and reports that there is none.
    pub(crate) fn artifact(&self, name: &Text<'_>, sink: &mut DiagnosticSink) -> Option<&Artifact> {
        let found = self.artifacts.iter().find(|artifact| artifact.name == name.text);
        if found.is_none() && self.deploy.syntax == Syntax::Valid {
            let message = format!("there is no artifact `{}`", wording::escape_name(name.text));
            let known = self.artifacts.iter().map(|artifact| &*artifact.name);
            let none = "artifacts are written as `[artifacts.NAME]` with `task = \"…\"`";
            sink.add(
                Diagnostic::new(name.span.clone(), message)
                    .label("unknown artifact")
                    .hint(wording::suggestion(name.text, known, "", none))
                    .caused_by_missing(&["artifacts"]),
            );
        }
        found
    }
}

/// The parts of a role that depend on the driver.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) artifacts: Vec<String>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) runs: Runs,
    pub(crate) variables: Variables,
}

/// Reads the ports of the slots. Without `traffic`, only one slot runs at a time, and both may have the same.
fn ports(entry: &Entry<'_>, has_traffic: bool, syntax: Syntax, sink: &mut DiagnosticSink) -> Option<Ports> {
    let hint = "write it as { blue = 8001, green = 8002 }";
    let keys = &tables::PORTS_TABLE;
    let fields = Fields::read(&entry.key, entry.value, keys, "`ports`", hint, syntax, sink)?;
    fields.require(&["blue"], hint, sink);
    fields.require(&["green"], hint, sink);
    let [blue, green] = ["blue", "green"].map(|key| port(&fields, key, sink));
    let ports = Ports { blue: blue?, green: green? };
    if has_traffic && ports.blue == ports.green {
        let message = format!("both slots have the port {}", ports.blue);
        let hint = "give each slot its own, since both run at once";
        sink.add(Diagnostic::new(entry.value.span(), message).label("the same port twice").hint(hint));
    }
    Some(ports)
}

fn port(fields: &Fields<'_>, key: &str, sink: &mut DiagnosticSink) -> Option<u16> {
    let value = fields.value(key)?;
    let number = value.integer("a port such as 8001", sink)?;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    if port.is_none() {
        let message = format!("{number} is not a port");
        sink.add(Diagnostic::new(value.span(), message).label("out of range").hint("a port is 1 to 65535"));
    }
    port
}

/// Reports a role that can't be stopped: only from `systemctl start UNIT` follows how.
fn check_derived_stop(entry: &Entry<'_>, start: Option<&str>, sink: &mut DiagnosticSink) {
    let Some(start) = start else { return };
    let words: Vec<&str> = start.split_whitespace().collect();
    let is_systemd = words.iter().any(|word| word.rsplit('/').next() == Some("systemctl"));
    if !is_systemd || !words.contains(&"start") {
        sink.add(
            Diagnostic::new(entry.value.span(), "nothing says how its processes are stopped")
                .label("not a `systemctl start`")
                .hint("add `stop` with a shell line that ends them")
                .caused_by_missing(&["stop"]),
        );
    }
}
