//! `[environments.*]`: reads each environment with the keys of its driver. It must not know how a driver works.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::path::RepoPath;
use crate::config::deploy::{
    Artifact, ArtifactContent, Connection, Environment, Host, Role, Runs, Variables,
};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::TaskId;
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::DeployContext;
use crate::config::sections::deploy::artifacts::{self, unknown_task};
use crate::config::sections::deploy::fields::{self, Fields};
use crate::config::sections::deploy::hosts;
use crate::config::sections::deploy::placeholders::Known;
use crate::config::sections::deploy::roles::{ONLY, Parts, RoleContext};
use crate::config::sections::deploy::{migrations, policy, variables};
use crate::config::sections::values;
use crate::config::syntax::document::{Entry, Syntax, Table, Text};
use crate::config::wording;

/// How many releases stay whole, by default.
const KEEP: u32 = 5;
/// How long a step may take on a host, by default.
const TIMEOUT: Duration = Duration::from_secs(600);
/// How long a lease is valid, by default.
const LEASE: Duration = Duration::from_secs(120);
/// How many hosts are worked on at once, by default.
const MAX_PARALLEL: u32 = 8;

/// Keys that only some drivers have.
const OF_DRIVERS: [(&str, &[Driver]); 21] = [
    ("roles", &[Driver::Hosts]),
    ("hosts", &[Driver::Hosts]),
    ("start", &[Driver::Hosts]),
    ("stop", &[Driver::Hosts]),
    ("status", &[Driver::Hosts]),
    ("artifact", &[Driver::Hosts, Driver::Command]),
    ("ports", &[Driver::Hosts, Driver::Compose]),
    ("health-check", &[Driver::Hosts, Driver::Compose]),
    ("router", &[Driver::Hosts, Driver::Compose]),
    ("file", &[Driver::Compose]),
    ("services", &[Driver::Compose]),
    ("artifacts", &[Driver::Compose]),
    ("host", &[Driver::Compose]),
    ("observe", &[Driver::Command]),
    ("stage", &[Driver::Command]),
    ("check", &[Driver::Command]),
    ("shift", &[Driver::Command]),
    ("cleanup", &[Driver::Command]),
    ("max-parallel", &[Driver::Hosts]),
    ("on-lost", &[Driver::Hosts, Driver::Compose]),
    ("drain", &[Driver::Hosts, Driver::Compose]),
];

/// Keys of a role that an environment with named roles can't have itself. It has variables of its own.
const OF_ROLES: [&str; 14] = [
    "artifact",
    "hosts",
    "start",
    "stop",
    "status",
    "ports",
    "health-check",
    "traffic",
    "every",
    "bake",
    "router",
    "drain",
    "analysis",
    "on-lost",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    Hosts,
    Compose,
    Command,
}

impl Driver {
    const ALL: [(&'static str, Self); 3] =
        [("hosts", Self::Hosts), ("compose", Self::Compose), ("command", Self::Command)];

    fn name(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Compose => "compose",
            Self::Command => "command",
        }
    }
}

/// Reads `[environments]`.
pub(crate) fn read(
    table: &Table<'_>,
    artifacts: &[Artifact],
    context: &DeployContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> Vec<Environment> {
    let mut environments = Vec::with_capacity(table.len());
    for Entry { key, value } in table {
        check_name(key, sink);
        let shown = wording::escape_name(key.text);
        let called = format!("environment `{shown}`");
        let hint = format!("write it as `[environments.{shown}]` with `driver = \"hosts\"` below");
        let fields = Fields::read(key, *value, &tables::ENVIRONMENT, &called, &hint, context.syntax, sink);
        environments.extend(fields.and_then(|fields| environment(key, &fields, artifacts, context, sink)));
    }
    check_promotion(table, &environments, context.syntax, sink);
    environments
}

/// Reports a name that can't be part of a branch of git or of a path.
fn check_name(key: &Text<'_>, sink: &mut DiagnosticSink) {
    let is_refused_end = |(_, end): (&str, &str)| end.is_empty() || end == "lock";
    if let Some(refusal) = wording::invalid_name(key, "an environment") {
        sink.add(refusal);
    } else if key.text.contains("..") || key.text.rsplit_once('.').is_some_and(is_refused_end) {
        let message = format!("`{}` can't be the name of an environment", wording::escape_name(key.text));
        let hint =
            "use a name without `..`, and without `.` or `.lock` at its end, since a branch of git has it";
        sink.add(Diagnostic::new(key.span.clone(), message).label("not a name").hint(hint));
    }
}

fn environment(
    key: &Text<'_>,
    fields: &Fields<'_>,
    artifacts: &[Artifact],
    context: &DeployContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> Option<Environment> {
    let hint = "add driver = \"hosts\", \"compose\" or \"command\"";
    fields.require(&["driver"], hint, sink);
    let driver = fields.choice("driver", &Driver::ALL, sink);
    if let Some(driver) = driver {
        check_driver_keys(fields, driver, sink);
    }
    let url = fields.url("url", sink);
    if let Some(url) = &url {
        Known::all(&[]).check(url, sink);
    }
    let variables = variables::read(fields, context.base, sink);
    let role = RoleContext { deploy: context, artifacts, has_url: url.is_some() };
    let roles = match driver {
        Some(Driver::Hosts) => roles_of_hosts(fields, &role, sink),
        Some(Driver::Compose) => vec![compose(fields, &role, sink)],
        Some(Driver::Command) => vec![command(fields, &role, sink)],
        None => Vec::new(),
    };
    let mut environment = Environment {
        name: key.text.to_owned(),
        gate: named(fields, "gate", context, sink).0,
        policy: policy::read(fields, context.base, context.syntax, sink),
        variables,
        smoke: named(fields, "smoke", context, sink).1,
        keep: fields.count("keep", 2, sink).or(NonZeroU32::new(KEEP))?,
        timeout: fields.duration("timeout", "10m", sink).unwrap_or(TIMEOUT),
        lease: fields.duration("lease", "2m", sink).unwrap_or(LEASE),
        max_parallel: fields.count("max-parallel", 1, sink).or(NonZeroU32::new(MAX_PARALLEL))?,
        path: path(fields, driver, &roles, context.base, sink),
        url: url.map(|url| url.text.to_owned()),
        migrations: None,
        location: artifacts::location(key, context),
        roles,
    };
    environment.migrations = fields
        .entry("migrations")
        .and_then(|entry| migrations::read(entry, environment.url.is_some(), context, sink));
    Some(environment)
}

/// Reports keys that another driver has.
fn check_driver_keys(fields: &Fields<'_>, driver: Driver, sink: &mut DiagnosticSink) {
    for entry in fields.entries() {
        let of_drivers = OF_DRIVERS.iter().find(|(key, _)| *key == entry.key.text);
        let Some((key, drivers)) = of_drivers.filter(|(_, drivers)| !drivers.contains(&driver)) else {
            continue;
        };
        let names: Vec<String> = drivers.iter().map(|driver| format!("`{}`", driver.name())).collect();
        let message = format!("`{key}` belongs to the driver {}", names.join(" or "));
        let hint = match (*key, driver) {
            ("host", Driver::Hosts) => "did you mean `hosts`?",
            ("hosts", Driver::Compose) => "did you mean `host`? A compose project has one",
            ("artifact", Driver::Compose) => {
                "did you mean `artifacts`, such as artifacts = { api = \"api\" }?"
            }
            ("artifacts", _) => "did you mean `artifact`?",
            ("router", Driver::Command) => "remove it: `shift` moves the requests",
            ("health-check", Driver::Command) => "remove it: `check` says which release answers",
            _ => "remove it, or use another driver",
        };
        let label = format!("not with `{}`", driver.name());
        sink.add(Diagnostic::new(entry.key.span.clone(), message).label(label).hint(hint));
    }
}

/// Reads the folder on each host.
fn path(
    fields: &Fields<'_>,
    driver: Option<Driver>,
    roles: &[Role],
    base: &RepoPath,
    sink: &mut DiagnosticSink,
) -> String {
    let is_local = |role: &Role| {
        let router = role.traffic.iter().map(|traffic| &traffic.on);
        role.hosts.iter().map(|host| &host.connection).chain(router).all(|on| *on == Connection::Local)
    };
    let is_local = roles.iter().all(is_local);
    let here = is_local.then_some(base);
    if let Some((text, path)) = fields.path_on_machine("path", "/srv/shop", here, sink) {
        Known::all(&["host"]).check(&text, sink);
        return path;
    }
    if driver == Some(Driver::Hosts) || driver == Some(Driver::Compose) && !is_local {
        let hint = "add `path` with a folder that belongs to taskgate, such as path = \"/srv/shop\"";
        fields.require(&["path"], hint, sink);
    }
    String::new()
}

/// Reads names of tasks, groups and gates, and the tasks that they refer to.
fn named(
    fields: &Fields<'_>,
    key: &str,
    context: &DeployContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> (Vec<String>, Vec<TaskId>) {
    let texts = fields.texts(key, sink);
    let mut tasks: Vec<TaskId> = Vec::new();
    for name in &texts {
        let found = context.names.lookup(name.text, "");
        if found.is_empty() && context.syntax == Syntax::Valid {
            sink.add(unknown_task(&format!("`{key}` of {}", fields.called), name, context));
        }
        for id in found.into_iter().map(TaskId) {
            if !tasks.contains(&id) {
                tasks.push(id);
            }
        }
    }
    (texts.into_iter().map(|name| name.text.to_owned()).collect(), tasks)
}

fn roles_of_hosts(
    fields: &Fields<'_>,
    context: &RoleContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> Vec<Role> {
    if let Some(entry) = fields.entry("roles") {
        let own = |entry: &&Entry<'_>| OF_ROLES.contains(&entry.key.text) || entry.key.text == "standby";
        for other in fields.entries().iter().filter(own) {
            let key = other.key.text;
            sink.add(
                Diagnostic::new(
                    other.key.span.clone(),
                    format!("`{key}` belongs in a role of {}", fields.called),
                )
                .label("not beside `roles`")
                .other(entry.key.span.clone(), "the roles")
                .hint(format!("move `{key}` into each role that needs it")),
            );
        }
        return context.named_roles(entry, sink);
    }
    let given = ["artifact", "hosts", "start"];
    if fields.first_of(&given).is_none() {
        let hint = "write roles as `[environments.NAME.roles.ROLE]`, or `artifact`, `hosts` and `start` of the only one";
        fields.require(&["roles", "hosts"], hint, sink);
        return Vec::new();
    }
    vec![context.role(ONLY, fields, Variables::default(), sink)]
}

/// Reads the role of an environment that is a compose project.
fn compose(fields: &Fields<'_>, context: &RoleContext<'_, '_>, sink: &mut DiagnosticSink) -> Role {
    fields.require(&["file"], "add `file` with the compose file", sink);
    fields.require(&["services"], "add `services` with those that have slots", sink);
    let file = fields.word("file", sink).and_then(|text| {
        values::file(&text, context.deploy.base, "compose.yml", sink).map(|path| path.to_string())
    });
    let services = fields.texts("services", sink);
    if let Some(value) = fields.value("services").filter(|value| value.is_empty_array()) {
        let message = "`services` is empty, so nothing has slots";
        let hint = "name the services that a release replaces";
        sink.add(Diagnostic::new(value.span(), message).label("no service").hint(hint));
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    for service in services.iter().filter(|name| name.text.is_empty() || !name.text.chars().all(is_part)) {
        let message =
            format!("`{}` can't be the name of a compose service", wording::escape_name(service.text));
        let hint = "write it as in the compose file";
        sink.add(Diagnostic::new(service.span.clone(), message).label("not a name").hint(hint));
    }
    let images = images(fields, &services, context, sink);
    let connection = match fields.entry("host") {
        Some(entry) => hosts::machine(entry, context.deploy.syntax, sink),
        None => Some(Connection::Local),
    };
    let hosts = connection.map(|connection| match connection {
        Connection::Local => hosts::this_machine(),
        Connection::Ssh(_) => Host { name: hosts::name_of(&connection), connection, env: BTreeMap::new() },
    });
    let mut names: Vec<String> = Vec::new();
    for name in images.values() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let services = services.into_iter().map(|service| service.text.to_owned()).collect();
    let runs = Runs::Compose { file: file.unwrap_or_default(), services, images };
    let parts =
        Parts { artifacts: names, hosts: hosts.into_iter().collect(), runs, variables: Variables::default() };
    context.finish(ONLY, fields, parts, sink)
}

/// Reads the images of services.
fn images(
    fields: &Fields<'_>,
    services: &[Text<'_>],
    context: &RoleContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> BTreeMap<String, String> {
    let hint = "write it as { SERVICE = \"ARTIFACT\" }";
    let table = fields.value("artifacts").and_then(|value| value.table(hint, sink));
    let mut images = BTreeMap::new();
    for Entry { key, value } in table.unwrap_or_default() {
        if !services.iter().any(|service| service.text == key.text) {
            let message = format!("`{}` is not one of the `services`", wording::escape_name(key.text));
            let known = services.iter().map(|service| service.text);
            let hint = wording::suggestion(key.text, known, "", "add it to `services`");
            let diagnostic = Diagnostic::new(key.span.clone(), message).label("has no slots").hint(hint);
            sink.add(diagnostic.caused_by_missing(&["services"]));
        }
        let Some(name) = fields::word("artifacts", value, sink) else { continue };
        let artifact = context.artifact(&name, sink);
        if artifact.is_some_and(|artifact| artifact.content == ArtifactContent::Outputs) {
            let message = format!("artifact `{}` is not an image", wording::escape_name(name.text));
            let hint = "add `image` to the artifact";
            let diagnostic = Diagnostic::new(name.span.clone(), message).label("packed outputs").hint(hint);
            sink.add(diagnostic.caused_by_missing(&["image"]));
        }
        images.insert(key.text.to_owned(), name.text.to_owned());
    }
    images
}

/// Reads the role of an environment that is deployed by commands.
fn command(fields: &Fields<'_>, context: &RoleContext<'_, '_>, sink: &mut DiagnosticSink) -> Role {
    let keys: [&'static [&'static str]; 4] = [&["observe"], &["stage"], &["check"], &["shift"]];
    for keys in keys {
        fields.require(keys, "add the command, which gets JSON and prints JSON", sink);
    }
    let [observe, stage, check, shift, cleanup] =
        ["observe", "stage", "check", "shift", "cleanup"].map(|key| {
            let text = fields.line(key, sink)?;
            Known::all(&[]).check(&text, sink);
            Some(text.text.to_owned())
        });
    let artifacts = context.artifacts(fields, sink);
    let line = Option::unwrap_or_default;
    let runs = Runs::External {
        observe: line(observe),
        stage: line(stage),
        check: line(check),
        shift: line(shift),
        cleanup,
    };
    let parts =
        Parts { artifacts, hosts: vec![hosts::this_machine()], runs, variables: Variables::default() };
    context.finish(ONLY, fields, parts, sink)
}

/// Reports environments that promote from one that does not exist, or in a cycle.
fn check_promotion(
    table: &Table<'_>,
    environments: &[Environment],
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) {
    let from = |name: &str| {
        let environment = environments.iter().find(|environment| environment.name == name)?;
        environment.policy.promote_from.as_deref()
    };
    for Entry { key, value } in table {
        let Some(source) = from(key.text) else { continue };
        let entries = value.if_table().unwrap_or_default();
        let Some(entry) = entries.iter().find(|entry| entry.key.text == "promote-from") else { continue };
        let known = || table.iter().map(|entry| entry.key.text).filter(|name| *name != key.text);
        let is_known = known().any(|name| name == source);
        // A cycle is reported once, at its first environment.
        let mut names = vec![key.text.to_owned()];
        let mut next = Some(source);
        while let Some(name) =
            next.filter(|name| *name != key.text && !names.iter().any(|known| known == name))
        {
            names.push(name.to_owned());
            next = from(name);
        }
        let is_cycle = next == Some(key.text);
        let is_first = table.iter().find(|entry| names.iter().any(|name| name == entry.key.text));
        let (message, label, hint) = if source == key.text {
            let hint = "name another environment, or remove it".to_owned();
            (format!("environment `{source}` promotes from itself"), "the same environment", hint)
        } else if !is_known && syntax == Syntax::Valid {
            let hint = wording::suggestion(source, known(), "", "there is no other environment");
            (
                format!("there is no environment `{}`", wording::escape_name(source)),
                "unknown environment",
                hint,
            )
        } else if is_cycle && is_first.is_some_and(|first| first.key.text == key.text) {
            names.push(key.text.to_owned());
            let path = crate::config::diagnostic::join_names(&names);
            let message = format!("environments promote from each other in a cycle: {path}");
            (message, "closes the cycle", "remove one of these `promote-from`".to_owned())
        } else {
            continue;
        };
        let diagnostic = Diagnostic::new(entry.value.span(), message).label(label).hint(hint);
        sink.add(diagnostic.caused_by_missing(&["environments"]));
    }
}
