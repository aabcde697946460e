//! `health-check` of a role. It must not know how a check is made.

use std::time::Duration;

use regex::Regex;

use crate::config::deploy::{CheckFrom, HealthCheck, HealthProbe, ReleaseSelector};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::fields::{self, Fields};
use crate::config::sections::deploy::placeholders::Known;
use crate::config::syntax::document::{Entry, Syntax, Text};
use crate::config::wording;

/// How long a check may take until it succeeds, by default.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The time between two attempts, by default.
const INTERVAL: Duration = Duration::from_secs(1);

/// Reads a health check.
pub(crate) fn read(
    entry: &Entry<'_>,
    known: Known<'_>,
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> Option<HealthCheck> {
    let hint = "write it as { http = \"http://{{ host }}:{{ port }}/health\", release = \"/release\" }";
    let keys = &tables::HEALTH_CHECK_TABLE;
    let fields = Fields::read(&entry.key, entry.value, keys, "`health-check`", hint, syntax, sink)?;
    let probe = fields.only(&["http", "command"], hint, sink).map(|entry| entry.key.text);
    let probe = match probe {
        Some("http") => fields.word("http", sink).and_then(|text| {
            known.check(&text, sink);
            fields::is_url(&text, &["url"], sink).then(|| HealthProbe::Http(text.text.to_owned()))
        }),
        Some(_) => fields.line("command", sink).map(|text| {
            known.check(&text, sink);
            HealthProbe::Command(text.text.to_owned())
        }),
        None => None,
    };
    let release = fields.word("release", sink).and_then(|text| selector(&text, sink));
    let from = [("here", CheckFrom::Here), ("host", CheckFrom::Host)];
    Some(HealthCheck {
        release,
        timeout: fields.duration("timeout", "60s", sink).unwrap_or(TIMEOUT),
        interval: fields.duration("interval", "1s", sink).unwrap_or(INTERVAL),
        from: fields.choice("from", &from, sink).unwrap_or_default(),
        probe: probe?,
    })
}

/// Reads where an answer contains the id of the release.
fn selector(text: &Text<'_>, sink: &mut DiagnosticSink) -> Option<ReleaseSelector> {
    let is_header = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let (message, hint) = match text.text.split_once(':') {
        _ if text.text.starts_with('/') => return Some(ReleaseSelector::Pointer(text.text.to_owned())),
        Some(("header", name)) if is_header(name) => return Some(ReleaseSelector::Header(name.to_owned())),
        Some(("pattern", pattern)) => match Regex::new(pattern) {
            Ok(regex) if regex.captures_len() > 1 => {
                return Some(ReleaseSelector::Pattern(pattern.to_owned()));
            }
            Ok(_) => (
                "the pattern has no group for the id of the release".to_owned(),
                "put the id in parentheses, such as \"pattern:release=(\\\\S+)\"",
            ),
            Err(error) => {
                let why = error.to_string().lines().last().unwrap_or_default().to_owned();
                (format!("not a regular expression: {why}"), "escape special characters with `\\`")
            }
        },
        _ => (
            format!("`{}` does not say where the id of the release is", wording::escape_name(text.text)),
            "write a JSON pointer such as \"/release\", \"header:X-Release\", or \"pattern:release=(\\\\S+)\"",
        ),
    };
    sink.add(Diagnostic::new(text.span.clone(), message).label("not understood").hint(hint));
    None
}
