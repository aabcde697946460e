//! Machines: `hosts` of a role, `host` of an environment, `on` of a router, and destinations of ssh. It must not
//! know how a connection is made.

use std::collections::BTreeMap;

use crate::base::path::RepoPath;
use crate::config::deploy::{Connection, Host, SshDestination};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::deploy::variables;
use crate::config::syntax::document::{Entry, Syntax, Text};
use crate::config::wording;

/// The name of this machine.
pub(crate) const LOCALHOST: &str = "localhost";

/// How a machine is written.
const HINT: &str = "write it as { ssh = \"user@host\" } or { local = true }";

/// Returns this machine.
pub(crate) fn this_machine() -> Host {
    Host { name: LOCALHOST.to_owned(), connection: Connection::Local, env: BTreeMap::new() }
}

/// Reads the `hosts` of a role.
pub(crate) fn read(
    entry: &Entry<'_>,
    base: &RepoPath,
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> Vec<Host> {
    let hint = "write it as [{ ssh = \"user@host\" }], or [{ local = true }] for this machine";
    let Some(elements) = entry.value.elements() else {
        sink.add(entry.value.mismatch("an array of tables").hint(hint));
        return Vec::new();
    };
    let mut hosts: Vec<(Host, Text<'_>)> = Vec::new();
    let mut count = 0;
    for element in elements {
        count += 1;
        let place = Text { text: "", span: element.span() };
        let Some(fields) = Fields::read(&place, element, &tables::HOST, "a host", HINT, syntax, sink) else {
            continue;
        };
        let connection = connection(&fields, sink);
        let env = variables::read(&fields, base, sink).env;
        let name = fields.word("name", sink);
        let Some(connection) = connection else { continue };
        let name = name.map_or_else(|| name_of(&connection), |name| name.text.to_owned());
        if !is_host_name(&name) {
            let message = format!("`{}` can't be the name of a host", wording::escape_name(&name));
            let hint = "use letters, digits and the signs `.`, `-`, `_` and `:`";
            sink.add(Diagnostic::new(element.span(), message).label("not a name").hint(hint));
        }
        if let Some((_, first)) = hosts.iter().find(|(host, _)| host.name == name) {
            let message = format!("two hosts are named `{}`", wording::escape_name(&name));
            sink.add(
                Diagnostic::new(element.span(), message)
                    .label("the second")
                    .other(first.span.clone(), "the first")
                    .hint("give one of them a `name`, or write a host of several roles once in each"),
            );
        }
        hosts.push((Host { name, connection, env }, place));
    }
    if count == 0 {
        sink.add(Diagnostic::new(entry.value.span(), "`hosts` is empty").label("no machine").hint(hint));
    }
    hosts.into_iter().map(|(host, _)| host).collect()
}

/// Reads the machine of a compose project or of a router.
pub(crate) fn machine(entry: &Entry<'_>, syntax: Syntax, sink: &mut DiagnosticSink) -> Option<Connection> {
    let called = format!("`{}`", entry.key.text);
    let fields = Fields::read(&entry.key, entry.value, &tables::MACHINE, &called, HINT, syntax, sink)?;
    connection(&fields, sink)
}

/// Returns the name of a machine: the host of its destination, without the user.
pub(crate) fn name_of(connection: &Connection) -> String {
    match connection {
        Connection::Local => LOCALHOST.to_owned(),
        Connection::Ssh(destination) => {
            destination.host.rsplit_once('@').map_or(&*destination.host, |(_, host)| host).to_owned()
        }
    }
}

fn is_host_name(name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    !name.is_empty() && !name.starts_with(['.', '-']) && name.chars().all(is_part)
}

fn connection(fields: &Fields<'_>, sink: &mut DiagnosticSink) -> Option<Connection> {
    let entry = fields.only(&["ssh", "local"], HINT, sink)?;
    if entry.key.text == "ssh" {
        let text = fields.word("ssh", sink)?;
        let destination = destination(text.text);
        if destination.is_none() {
            let message = format!("`{}` is not a destination of ssh", wording::escape_name(text.text));
            let hint = "write it as \"user@host\", \"user@host:port\", or a name of your ssh configuration";
            sink.add(Diagnostic::new(text.span, message).label("not a destination").hint(hint));
        }
        return destination.map(Connection::Ssh);
    }
    let value = fields.flag("local", sink)?;
    if !value {
        let message = "`local = false` names no machine";
        sink.add(Diagnostic::new(entry.value.span(), message).label("no machine").hint(HINT));
    }
    value.then_some(Connection::Local)
}

/// Parses `[user@]host[:port]`; an IPv6 address with a port is in brackets.
pub(crate) fn destination(text: &str) -> Option<SshDestination> {
    let (user, rest) = text.rsplit_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None if rest.matches(':').count() == 1 => {
            rest.split_once(':').map(|(host, port)| (host, Some(port)))?
        }
        None => (rest, None),
    };
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
        None => None,
    };
    let is_user = |user: &str| !user.is_empty() && !user.starts_with('-') && !user.contains(is_odd);
    if !is_host_name(host) || user.is_some_and(|user| !is_user(user)) {
        return None;
    }
    let host = user.map_or_else(|| host.to_owned(), |user| format!("{user}@{host}"));
    Some(SshDestination { host, port })
}

fn is_odd(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '@' | '/' | ':')
}
