//! `[services]`: long-lived processes that tasks use. It must not know which task uses which service, nor how
//! one is started.

use std::time::Duration;

use rustix::process::Signal;

use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::{Port, Probe, StopOptions};
use crate::config::schema::all_keys;
use crate::config::schema::values::SIGNALS;
use crate::config::sections::common_keys::ParseContext;
use crate::config::sections::drafts::{ServiceDraft, TaskDraft};
use crate::config::sections::values;
use crate::config::syntax::document::{Entry, Syntax, Table, Text, Value};
use crate::config::wording;

/// The time between the signal and KILL, by default.
const GRACE: Duration = Duration::from_secs(10);

/// Reads `[services]`.
pub(crate) fn read<'d>(
    table: &Table<'d>,
    context: &ParseContext<'_, 'd>,
    sink: &mut DiagnosticSink,
) -> Vec<ServiceDraft<'d>> {
    let mut services = Vec::with_capacity(table.len());
    for Entry { key, value } in table {
        if let Some(refusal) = wording::invalid_name(key, "a service") {
            sink.add(refusal);
        }
        let hint =
            format!("write it as `[services.{}]` with `run = \"…\"` below", wording::escape_name(key.text));
        if let Some(entries) = value.table(&hint, sink) {
            services.push(ServiceDraft::read(key, entries, context, sink));
        }
    }
    services
}

impl<'d> ServiceDraft<'d> {
    fn read(
        name: &Text<'d>,
        entries: Table<'d>,
        context: &ParseContext<'_, 'd>,
        sink: &mut DiagnosticSink,
    ) -> Self {
        let (known, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| all_keys::SERVICE.has(entry.key.text));
        for other in others {
            let called = format!("service `{}`", wording::escape_name(name.text));
            sink.add(all_keys::SERVICE.unknown_key(&other.key, &called));
        }
        if !known.iter().any(|entry| entry.key.text == "run") && context.syntax == Syntax::Valid {
            sink.add(
                Diagnostic::new(
                    name.span.clone(),
                    format!("service `{}` runs nothing", wording::escape_name(name.text)),
                )
                .label("no `run`")
                .hint("add `run` with a command that runs until it is stopped")
                .caused_by_missing(&["run"]),
            );
        }
        let (own, of_task): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|entry| ["port", "ready", "stop"].contains(&entry.key.text));
        let mut section = Self {
            draft: TaskDraft::of_service(name.clone(), &of_task, context, sink),
            port: None,
            ready: None,
            timeout: None,
            stop: StopOptions { signal: Signal::TERM, grace: GRACE },
        };
        for Entry { key, value } in own {
            match key.text {
                "port" => section.port = port(value, sink),
                "ready" => {
                    value.ports(&mut section.draft.ports);
                    section.take_ready(value, sink);
                }
                _ => section.take_stop(value, sink),
            }
        }
        section
    }

    fn take_ready(&mut self, value: Value<'d>, sink: &mut DiagnosticSink) {
        let hint = "write it as { tcp = \"localhost:5432\", timeout = \"30s\" }, or with `unix`, `http`, `log` or `command`";
        let Some(table) = value.table(hint, sink) else { return };
        let mut first: Option<Text<'d>> = None;
        for Entry { key, value } in &table {
            match key.text {
                "timeout" => {
                    self.timeout = values::duration(*value, "\"30s\"", sink);
                    continue;
                }
                "tcp" | "unix" | "http" | "log" | "command" => self.ready = probe(key, *value, sink),
                _ => {
                    sink.add(all_keys::READY.unknown_key(key, "`ready`"));
                    continue;
                }
            }
            if let Some(first) = &first {
                sink.add(
                    Diagnostic::new(
                        key.span.clone(),
                        format!("`ready` has both `{}` and `{}`", first.text, key.text),
                    )
                    .label("a second way")
                    .other(first.span.clone(), "one way")
                    .hint("keep one; a `command` can check several things"),
                );
            }
            first = Some(key.clone());
        }
        if first.is_none() && table.iter().all(|entry| entry.key.text == "timeout") {
            sink.add(
                Diagnostic::new(value.span(), "`ready` has no probe")
                    .label("no probe")
                    .hint(hint)
                    .caused_by_missing(&["tcp", "http", "log", "command"]),
            );
        }
    }

    fn take_stop(&mut self, value: Value<'d>, sink: &mut DiagnosticSink) {
        let hint = "write it as { signal = \"SIGINT\", grace = \"10s\" }";
        for Entry { key, value } in value.table(hint, sink).unwrap_or_default() {
            match key.text {
                "signal" => self.stop.signal = signal(value, sink).unwrap_or(self.stop.signal),
                "grace" => {
                    let grace = values::duration(value, "\"10s\"", sink);
                    self.stop.grace = grace.unwrap_or(self.stop.grace);
                }
                _ => sink.add(all_keys::STOP.unknown_key(&key, "`stop`")),
            }
        }
    }
}

fn port(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<Port> {
    let what = "a port such as 5432, or \"auto\"";
    if value.is_text() {
        let text = value.text(what, sink)?;
        if text.text == "auto" {
            return Some(Port::Auto);
        }
        sink.add(
            Diagnostic::new(text.span, format!("`{}` is not a port", wording::escape_name(text.text)))
                .label("not a number, nor \"auto\"")
                .hint("write a number without quotes, or \"auto\" for a free one"),
        );
        return None;
    }
    let number = value.integer(what, sink)?;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    if port.is_none() {
        sink.add(
            Diagnostic::new(value.span(), format!("{number} is not a port"))
                .label("out of range")
                .hint("a port is 1 to 65535; \"auto\" picks a free one"),
        );
    }
    port.map(Port::Fixed)
}

fn probe(key: &Text<'_>, value: Value<'_>, sink: &mut DiagnosticSink) -> Option<Probe> {
    if key.text == "command" {
        return values::command(value, "`command`", sink).map(Probe::Command);
    }
    let text = value.text("a string", sink)?;
    let refusal = match key.text {
        "tcp" => address(text.text)
            .err()
            .map(|why| (why.to_owned(), "write host and port, such as \"localhost:5432\"".to_owned())),
        "unix" => socket_path(text.text),
        "http" if !["http://", "https://"].iter().any(|scheme| text.text.starts_with(scheme)) => Some((
            "not an `http://` or `https://` address".to_owned(),
            "write it such as \"http://localhost:8080/health\"".to_owned(),
        )),
        "log" => regex::Regex::new(text.text).err().map(|error| {
            let why = error.to_string().lines().last().unwrap_or_default().to_owned();
            let hint = "escape special characters with `\\`";
            (format!("not a regular expression: {why}"), hint.to_owned())
        }),
        _ => None,
    };
    if let Some((message, hint)) = refusal {
        sink.add(Diagnostic::new(text.span, message).label("invalid probe").hint(hint));
        return None;
    }
    let text = text.text.to_owned();
    Some(match key.text {
        "tcp" => Probe::Tcp(text),
        "unix" => Probe::Unix(text),
        "http" => Probe::Http(text),
        _ => Probe::Log(text),
    })
}

/// Returns the error and a hint if a text can't be the path of a Unix socket. No shell reads the path, so
/// variables and `~` would not be replaced.
fn socket_path(text: &str) -> Option<(String, String)> {
    if text.is_empty() || text.ends_with('/') {
        let hint = "write the path of the socket, such as \"{{ services.NAME.dir }}/server.sock\"";
        return Some(("not the path of a socket".to_owned(), hint.to_owned()));
    }
    let shell = ["$", "~/"].into_iter().find(|sign| text.starts_with(sign))?;
    let own = ["$XTASK_SERVICE_DIR/", "${XTASK_SERVICE_DIR}/"].iter().find_map(|own| text.strip_prefix(own));
    let hint = own.map_or_else(
        || "write an absolute path, or one that starts at the service's `cwd`".to_owned(),
        |rest| format!("write {{{{ services.NAME.dir }}}}/{rest} with the service's name"),
    );
    Some((format!("no shell reads this path, so `{shell}` stands for itself"), hint))
}

/// Checks that a text is a host and a port. The port may be a placeholder.
fn address(text: &str) -> Result<(), &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("an address without a port")?;
    if host.is_empty() {
        return Err("an address without a host");
    }
    let is_port = port.trim_start().starts_with("{{") || port.parse::<u16>().is_ok_and(|port| port > 0);
    if is_port { Ok(()) } else { Err("an address whose port is not a number from 1 to 65535") }
}

fn signal(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<Signal> {
    let text = value.text("the name of a signal", sink)?;
    let found = SIGNALS.iter().find(|(name, _)| *name == text.text || name[3..] == *text.text);
    if found.is_none() {
        let message =
            format!("`{}` is not a signal that can stop a service", wording::escape_name(text.text));
        let hint = wording::suggestion(text.text, SIGNALS.iter().map(|(name, _)| *name), "", "");
        sink.add(Diagnostic::new(text.span, message).label("unknown signal").hint(hint));
    }
    found.map(|(_, signal)| *signal)
}
