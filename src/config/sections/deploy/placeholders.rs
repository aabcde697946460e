//! Placeholders in the texts of deploying. Unknown ones are errors, since they would reach a host as they are. It must
//! not know what is filled in. Double braces with other content, such as `{{ .Names }}`, stay.

use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::syntax::document::Text;
use crate::config::wording;

/// The placeholders of lines that run for a slot of a host.
pub(crate) const OF_SLOT: [&str; 6] = ["slot", "host", "port", "release", "url", "path"];
/// The placeholders of queries for measured requests.
pub(crate) const OF_QUERY: [&str; 3] = ["slot", "release", "window"];
/// The placeholders of migrations.
pub(crate) const OF_MIGRATION: [&str; 3] = ["release", "host", "url"];

/// Which placeholders have a value in an environment or role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'k> {
    pub(crate) names: &'k [&'k str],
    pub(crate) has_port: bool,
    pub(crate) has_url: bool,
}

impl<'k> Known<'k> {
    /// Returns these placeholders, none of which may be without a value.
    pub(crate) fn all(names: &'k [&'k str]) -> Self {
        Self { names, has_port: true, has_url: true }
    }

    /// Reports the placeholders of a text that are unknown or have no value.
    pub(crate) fn check(self, text: &Text<'_>, sink: &mut DiagnosticSink) {
        for name in names(text.text) {
            let shown = wording::escape_name(name);
            let (message, hint) = if !self.names.contains(&name) {
                let hint = match name {
                    _ if OF_SLOT.contains(&name) || OF_QUERY.contains(&name) => {
                        let names: Vec<_> =
                            self.names.iter().map(|name| format!("{{{{ {name} }}}}")).collect();
                        format!("here are only {}", names.join(", "))
                    }
                    _ => wording::suggestion(name, self.names.iter().copied(), "", "remove it"),
                };
                (format!("`{{{{ {shown} }}}}` is not a placeholder here"), hint)
            } else if name == "port" && !self.has_port {
                let hint = "add them: ports = { blue = 8001, green = 8002 }";
                ("`{{ port }}` has no value: there are no `ports`".to_owned(), hint.to_owned())
            } else if name == "url" && !self.has_url {
                let hint = "add `url` to the environment, such as url = \"http://localhost:8080\"";
                ("`{{ url }}` has no value: the environment has no `url`".to_owned(), hint.to_owned())
            } else {
                continue;
            };
            sink.add(
                Diagnostic::new(text.span.clone(), message)
                    .label("can't be filled in")
                    .hint(hint)
                    .caused_by_missing(&["ports", "url"]),
            );
        }
    }
}

/// Returns what looks like the name of a placeholder, in each pair of double braces.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    let names = inner.map(|(inner, _)| inner.trim());
    names.filter(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    })
}
