//! `traffic` and the keys that go with it: how requests are moved from the old slot to the new one. It must not know
//! how a router does that.

use std::time::Duration;

use crate::base::path::RepoPath;
use crate::config::deploy::{Connection, Host, OnLost, Router, Traffic};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::deploy::placeholders::Known;
use crate::config::sections::deploy::{analysis, routers};
use crate::config::syntax::document::{Syntax, Text};
use crate::config::wording;

/// The keys that say something only with `traffic`.
pub(crate) const WITH_TRAFFIC: [&str; 7] =
    ["every", "bake", "router", "drain", "analysis", "on-lost", "standby"];
/// How long a step takes, by default.
const EVERY: Duration = Duration::from_secs(300);
/// How long requests of the old slot may take to end, by default.
const DRAIN: Duration = Duration::from_secs(30);

/// What traffic depends on in a role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrafficContext<'c> {
    /// The name of the role, and its hosts.
    pub(crate) role: &'c str,
    pub(crate) hosts: &'c [Host],
    /// Whether the driver itself moves the requests, so that there is no router.
    pub(crate) driver_shifts: bool,
    /// Whether the ports of both slots must be known.
    pub(crate) needs_ports: bool,
    pub(crate) known: Known<'c>,
    /// The folder of the file.
    pub(crate) base: &'c RepoPath,
    pub(crate) syntax: Syntax,
}

/// Reads how requests are moved. Returns `None` if the old processes stop before the new ones start.
pub(crate) fn read(
    fields: &Fields<'_>,
    context: TrafficContext<'_>,
    sink: &mut DiagnosticSink,
) -> Option<Traffic> {
    let given = fields.entry("traffic");
    if given.is_none() && !context.driver_shifts {
        for entry in fields.entries().iter().filter(|entry| WITH_TRAFFIC.contains(&entry.key.text)) {
            let key = entry.key.text;
            sink.add(
                Diagnostic::new(entry.key.span.clone(), format!("`{key}` has no effect without `traffic`"))
                    .label("no requests are moved")
                    .hint("add `traffic`, such as traffic = [\"100%\"], or remove it")
                    .caused_by_missing(&["traffic"]),
            );
        }
        return None;
    }
    let steps = given.map_or_else(|| vec![100], |_| steps(fields, sink));
    if let Some(entry) = given.filter(|_| context.needs_ports && !fields.has("ports")) {
        sink.add(
            Diagnostic::new(entry.key.span.clone(), "`traffic` needs `ports`: both slots run at once")
                .label("no ports")
                .hint("add ports = { blue = 8001, green = 8002 }")
                .caused_by_missing(&["ports"]),
        );
    }
    let (router, on) = if context.driver_shifts {
        (Some(Router::Driver), Connection::Local)
    } else {
        let hint =
            "add `router`, such as router = { haproxy = \"/run/haproxy/admin.sock\", backend = \"shop\" }";
        fields.require(&["router"], hint, sink);
        let router = fields.entry("router").and_then(|entry| {
            routers::read(
                entry,
                context.role,
                context.hosts,
                context.known,
                context.base,
                context.syntax,
                sink,
            )
        });
        router.map_or((None, Connection::Local), |(router, on)| (Some(router), on))
    };
    let analysis = fields.entry("analysis");
    let analysis = analysis.and_then(|entry| analysis::read(entry, router.as_ref(), context.syntax, sink));
    let on_lost = [("revert", OnLost::Revert), ("hold", OnLost::Hold)];
    Some(Traffic {
        every: fields.duration("every", "5m", sink).unwrap_or(EVERY),
        bake: fields.duration("bake", "15m", sink).unwrap_or(Duration::ZERO),
        drain: fields.duration("drain", "30s", sink).unwrap_or(DRAIN),
        on_lost: fields.choice("on-lost", &on_lost, sink).unwrap_or_default(),
        router: router?,
        steps,
        on,
        analysis,
    })
}

/// Reads the shares of the new slot.
fn steps(fields: &Fields<'_>, sink: &mut DiagnosticSink) -> Vec<u8> {
    let Some(value) = fields.value("traffic") else { return Vec::new() };
    let Some(texts) = value.texts(sink) else { return Vec::new() };
    let hint = "write rising shares of which the last is all, such as [\"10%\", \"50%\", \"100%\"]";
    if value.is_empty_array() {
        sink.add(Diagnostic::new(value.span(), "`traffic` is empty").label("no step").hint(hint));
    }
    let mut steps: Vec<(u8, &Text<'_>)> = Vec::new();
    for text in &texts {
        let Some(step) = share(text.text) else {
            let message = format!("`{}` is not a share of the requests", wording::escape_name(text.text));
            let hint = "write a whole number from 1 to 100 with `%`, such as \"10%\"";
            sink.add(Diagnostic::new(text.span.clone(), message).label("not understood").hint(hint));
            return Vec::new();
        };
        if let Some((before, place)) = steps.last().filter(|(before, _)| *before >= step) {
            sink.add(
                Diagnostic::new(text.span.clone(), format!("{step} % comes after {before} %"))
                    .label("does not rise")
                    .other(place.span.clone(), "the step before")
                    .hint(hint),
            );
        }
        steps.push((step, text));
    }
    if let Some((step, text)) = steps.last().filter(|(step, _)| *step < 100) {
        let message = format!("the last step is {step} %, so the old release would never be replaced");
        sink.add(Diagnostic::new(text.span.clone(), message).label("not all requests").hint(hint));
    }
    steps.into_iter().map(|(step, _)| step).collect()
}

fn share(text: &str) -> Option<u8> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number.parse().ok())?.filter(|share| (1..=100).contains(share))
}
