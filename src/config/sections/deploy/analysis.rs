//! `analysis` of a role: how measured requests are judged, and where the figures come from. It must not know how they
//! are measured.

use crate::config::deploy::{Analysis, AnalysisSource, Inconclusive, Router};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::deploy::placeholders::{self, Known};
use crate::config::syntax::document::{Entry, Syntax, Text};
use crate::config::wording;

/// What an analysis judges.
const JUDGED: &[&str] = &["error-rate", "p95", "mean"];

/// Reads an analysis. `router` is that of the role, if it is known.
pub(crate) fn read(
    entry: &Entry<'_>,
    router: Option<&Router>,
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> Option<Analysis> {
    let hint = "write it as { error-rate = \"1%\", min-requests = 50 }";
    let keys = &tables::ANALYSIS_TABLE;
    let fields = Fields::read(&entry.key, entry.value, keys, "`analysis`", hint, syntax, sink)?;
    fields.require(JUDGED, "add what is still good, such as error-rate = \"1%\"", sink);
    let outcomes = [("rollback", Inconclusive::Rollback), ("continue", Inconclusive::Continue)];
    let analysis = Analysis {
        error_rate: fields.word("error-rate", sink).and_then(|text| percent(&text, sink)),
        p95: fields.duration("p95", "500ms", sink),
        mean: fields.duration("mean", "200ms", sink),
        min_requests: fields.count("min-requests", 1, sink).map_or(1, |count| u64::from(count.get())),
        inconclusive: fields.choice("inconclusive", &outcomes, sink).unwrap_or_default(),
        source: match fields.entry("source") {
            Some(entry) => source(entry, syntax, sink)?,
            None => AnalysisSource::Router,
        },
    };
    check(&fields, &analysis.source, router, sink);
    Some(analysis)
}

fn source(entry: &Entry<'_>, syntax: Syntax, sink: &mut DiagnosticSink) -> Option<AnalysisSource> {
    let hint = "write it as { prometheus = \"http://localhost:9090\", requests = \"…\", errors = \"…\" } or { command = \"…\" }";
    let keys = &tables::ANALYSIS_SOURCE;
    let fields = Fields::read(&entry.key, entry.value, keys, "`source`", hint, syntax, sink)?;
    let known = Known::all(&placeholders::OF_QUERY);
    let query = |key: &str, sink: &mut DiagnosticSink| {
        let text = fields.line(key, sink)?;
        known.check(&text, sink);
        Some(text.text.to_owned())
    };
    if fields.only(&["prometheus", "command"], hint, sink)?.key.text == "command" {
        for query in fields.entries().iter().filter(|entry| entry.key.text != "command") {
            if query.key.text != "prometheus" {
                let message = format!("`{}` is a query of Prometheus", query.key.text);
                sink.add(
                    Diagnostic::new(query.key.span.clone(), message)
                        .label("not with `command`")
                        .hint("remove it: the command prints all figures"),
                );
            }
        }
        return query("command", sink).map(AnalysisSource::Command);
    }
    let url = fields.url("prometheus", sink);
    fields.require(&["requests"], "add a query for the number of requests in {{ window }}", sink);
    let requests = query("requests", sink);
    let (errors, p95) = (query("errors", sink), query("p95", sink));
    Some(AnalysisSource::Prometheus { url: url?.text.to_owned(), requests: requests?, errors, p95 })
}

/// Reports figures that the source does not have.
fn check(fields: &Fields<'_>, source: &AnalysisSource, router: Option<&Router>, sink: &mut DiagnosticSink) {
    let mut refuse = |key: &str, why: String, hint: &str| {
        let Some(entry) = fields.entry(key) else { return };
        sink.add(
            Diagnostic::new(entry.key.span.clone(), format!("`{key}` can't be measured: {why}"))
                .label("not known")
                .hint(hint)
                .caused_by_missing(&["source", "errors", "p95"]),
        );
    };
    match source {
        AnalysisSource::Router => match router {
            None => {}
            Some(Router::Haproxy { .. }) => refuse(
                "p95",
                "HAProxy counts only errors and the mean time".to_owned(),
                "use `mean`, or a `source` with `prometheus` or `command`",
            ),
            Some(router) => {
                for key in JUDGED {
                    let why = format!("{} counts no requests", name(router));
                    refuse(key, why, "add a `source` with `prometheus` or `command`");
                }
            }
        },
        AnalysisSource::Prometheus { errors, p95, .. } => {
            refuse_unless(errors.is_some(), "error-rate", "add the query `errors` to `source`", &mut refuse);
            refuse_unless(p95.is_some(), "p95", "add the query `p95` to `source`", &mut refuse);
            refuse_unless(false, "mean", "use `p95`, or a `source` with `command`", &mut refuse);
        }
        AnalysisSource::Command(_) => {}
    }
}

fn refuse_unless(has: bool, key: &str, hint: &str, refuse: &mut impl FnMut(&str, String, &str)) {
    if !has {
        refuse(key, "`source` has no query for it".to_owned(), hint);
    }
}

fn name(router: &Router) -> &'static str {
    match router {
        Router::Haproxy { .. } => "HAProxy",
        Router::Nginx { .. } => "nginx",
        Router::Command { .. } | Router::Driver => "a router of your own",
    }
}

/// Reads a percentage such as `0.5%`.
fn percent(text: &Text<'_>, sink: &mut DiagnosticSink) -> Option<f64> {
    let found = parse_percent(text.text).filter(|percent| (0.0..=100.0).contains(percent));
    if found.is_none() {
        let message = format!("`{}` is not a percentage", wording::escape_name(text.text));
        let hint = "write it such as \"1%\" or \"0.5%\"";
        sink.add(Diagnostic::new(text.span.clone(), message).label("not understood").hint(hint));
    }
    found
}

/// Returns the number of a text such as `0.5%`.
pub(crate) fn parse_percent(text: &str) -> Option<f64> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(whole) && is_number(fraction)).then(|| number.parse().ok())?
}
