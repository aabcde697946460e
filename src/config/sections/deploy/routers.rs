//! `router` of a role: what distributes the requests. It must not know how one is spoken to.

use crate::base::path::RepoPath;
use crate::config::deploy::{Connection, Host, Router};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::deploy::hosts;
use crate::config::sections::deploy::placeholders::Known;
use crate::config::syntax::document::{Entry, Syntax};

/// The keys that say which router it is, each with the other keys of such a router.
const KINDS: [(&str, &[&str]); 3] = [
    ("haproxy", &["backend", "server", "state-file"]),
    ("nginx", &["upstream", "url", "reload"]),
    ("shift", &["read"]),
];

/// Reads the router of a role with these hosts, and its machine.
pub(crate) fn read(
    entry: &Entry<'_>,
    role: &str,
    hosts: &[Host],
    known: Known<'_>,
    base: &RepoPath,
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> Option<(Router, Connection)> {
    let hint = "write it as { haproxy = \"/run/haproxy/admin.sock\", backend = \"shop\" }, or with `nginx`, or with `shift` and `read`";
    let keys = &tables::ROUTER_TABLE;
    let fields = Fields::read(&entry.key, entry.value, keys, "`router`", hint, syntax, sink)?;
    let kind = fields.only(&["haproxy", "nginx", "shift"], hint, sink).map(|entry| entry.key.text);
    let on = machine(&fields, hosts, syntax, sink);
    let kind = kind?;
    let here = (on == Some(Connection::Local)).then_some(base);
    for (other, keys) in KINDS.iter().filter(|(other, _)| *other != kind) {
        for entry in fields.entries().iter().filter(|entry| keys.contains(&entry.key.text)) {
            let message = format!("`{}` belongs to a router with `{other}`", entry.key.text);
            let diagnostic = Diagnostic::new(entry.key.span.clone(), message);
            sink.add(diagnostic.label(format!("not with `{kind}`")).hint("remove it"));
        }
    }
    let router = match kind {
        "haproxy" => haproxy(&fields, role, known, here, sink),
        "nginx" => nginx(&fields, here, sink),
        _ => {
            fields.require(&["read"], "add `read` with a line that prints `blue=N green=N`", sink);
            let (shift, read) = (fields.line("shift", sink), fields.line("read", sink));
            for text in [&shift, &read].into_iter().flatten() {
                Known::all(&[]).check(text, sink);
            }
            shift.zip(read).map(|(shift, read)| Router::Command {
                shift: shift.text.to_owned(),
                read: read.text.to_owned(),
            })
        }
    };
    router.zip(on)
}

fn haproxy(
    fields: &Fields<'_>,
    role: &str,
    known: Known<'_>,
    here: Option<&RepoPath>,
    sink: &mut DiagnosticSink,
) -> Option<Router> {
    let socket = fields.path_on_machine("haproxy", "/run/haproxy/admin.sock", here, sink);
    fields.require(&["backend"], "add `backend` with the backend that has the servers", sink);
    let backend = fields.word("backend", sink);
    let server = match fields.word("server", sink) {
        Some(text) => {
            known.check(&text, sink);
            let missing = ["slot", "host"].into_iter().find(|name| !text.text.contains(name));
            if let Some(name) = missing {
                let message = format!("`server` is the same for each {name}");
                let hint = format!("add {{{{ {name} }}}}, such as \"{role}-{{{{ host }}}}-{{{{ slot }}}}\"");
                sink.add(Diagnostic::new(text.span.clone(), message).label("one name").hint(hint));
            }
            text.text.to_owned()
        }
        None => format!("{role}-{{{{ host }}}}-{{{{ slot }}}}"),
    };
    let state_file = fields.path_on_machine("state-file", "/var/lib/haproxy/server-state", here, sink);
    Some(Router::Haproxy {
        socket: socket?.1,
        backend: backend?.text.to_owned(),
        server,
        state_file: state_file.map(|(_, path)| path),
    })
}

fn nginx(fields: &Fields<'_>, here: Option<&RepoPath>, sink: &mut DiagnosticSink) -> Option<Router> {
    let include = fields.path_on_machine("nginx", "/etc/nginx/conf.d/shop-upstream.conf", here, sink);
    fields.require(&["upstream"], "add `upstream` with the name that `proxy_pass` uses", sink);
    let upstream = fields.word("upstream", sink);
    let url = fields.url("url", sink);
    let reload = fields.line("reload", sink);
    for text in [&url, &reload].into_iter().flatten() {
        Known::all(&[]).check(text, sink);
    }
    Some(Router::Nginx {
        include: include?.1,
        upstream: upstream?.text.to_owned(),
        url: url.map(|url| url.text.to_owned()),
        reload: reload.map_or_else(|| "nginx -s reload".to_owned(), |line| line.text.to_owned()),
    })
}

/// Returns the machine of the router; by default the only host of the role.
fn machine(
    fields: &Fields<'_>,
    hosts: &[Host],
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> Option<Connection> {
    if let Some(entry) = fields.entry("on") {
        return hosts::machine(entry, syntax, sink);
    }
    match hosts {
        [] => None,
        [host] => Some(host.connection.clone()),
        _ => {
            fields.require(&["on"], "add `on` with its machine, such as on = { ssh = \"user@host\" }", sink);
            None
        }
    }
}
