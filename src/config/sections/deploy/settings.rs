//! `[deploy]`: where artifacts and the history of deploys are kept. It must not know how either is reached.

use crate::config::deploy::{DeploySettings, JournalLocation, StoreLocation};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::deploy::hosts;
use crate::config::syntax::document::{Syntax, Table, Text};
use crate::config::wording;

/// Reads `[deploy]`.
pub(crate) fn read(table: &Table<'_>, syntax: Syntax, sink: &mut DiagnosticSink) -> DeploySettings {
    let fields = Fields::from_entries(0..0, table.clone(), &tables::DEPLOY, "`[deploy]`", syntax, sink);
    let mut settings = DeploySettings::default();
    if let Some(text) = fields.word("store", sink) {
        settings.store = store(&text, sink).unwrap_or_default();
    }
    if let Some(text) = fields.word("journal", sink) {
        settings.journal = journal(&text, sink).unwrap_or_default();
    }
    settings.policy_branch = fields.word("policy-branch", sink).and_then(|text| branch(&text, sink));
    settings
}

fn store(text: &Text<'_>, sink: &mut DiagnosticSink) -> Option<StoreLocation> {
    let found = match text.text.split_once("://") {
        None => Some(StoreLocation::Folder(text.text.to_owned())),
        Some(("ssh", rest)) => ssh_store(rest),
        Some(("oci", rest)) => rest.split_once('/').and_then(|(registry, repository)| {
            let is_known = !registry.is_empty() && is_image_path(repository);
            let (registry, repository) = (registry.to_owned(), repository.to_owned());
            is_known.then_some(StoreLocation::Oci { registry, repository })
        }),
        Some(_) => None,
    };
    if found.is_none() {
        let message = format!("`{}` is not a place for artifacts", wording::escape_name(text.text));
        let hint = "write a folder, \"ssh://user@host/path\" or \"oci://registry/repository\"";
        sink.add(Diagnostic::new(text.span.clone(), message).label("not understood").hint(hint));
    }
    found
}

fn ssh_store(rest: &str) -> Option<StoreLocation> {
    let slash = rest.find('/')?;
    let destination = hosts::destination(&rest[..slash])?;
    let path = rest[slash..].trim_end_matches('/');
    let is_path = !path.is_empty() && path.split('/').all(|part| part != "..");
    is_path.then(|| StoreLocation::Ssh { destination, path: path.to_owned() })
}

/// Returns whether a text can be the name of a repository in a registry: lower case, without tag and digest.
pub(crate) fn is_image_path(path: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    path.split('/').all(|part| {
        let edges = [part.chars().next(), part.chars().next_back()];
        part.chars().all(is_part) && edges.iter().all(|edge| edge.is_some_and(|c| c.is_ascii_alphanumeric()))
    })
}

/// Reads where the journal is. A text with a colon or a slash is a URL or a path, as in `git push`.
fn journal(text: &Text<'_>, sink: &mut DiagnosticSink) -> Option<JournalLocation> {
    if text.text == "local" {
        return Some(JournalLocation::Local);
    }
    if !is_revision(text.text) {
        let message = format!("`{}` is neither a remote nor a URL", wording::escape_name(text.text));
        let hint = "write the name of a remote such as \"origin\", a URL, or \"local\"";
        sink.add(Diagnostic::new(text.span.clone(), message).label("not understood").hint(hint));
        return None;
    }
    let is_url = text.text.contains([':', '/']);
    let text = text.text.to_owned();
    Some(if is_url { JournalLocation::Url(text) } else { JournalLocation::Remote(text) })
}

fn branch(text: &Text<'_>, sink: &mut DiagnosticSink) -> Option<String> {
    if !is_revision(text.text) {
        let message = format!("`{}` is not a branch", wording::escape_name(text.text));
        let hint = "write the branch without its remote, such as \"main\"";
        sink.add(Diagnostic::new(text.span.clone(), message).label("not a name in git").hint(hint));
        return None;
    }
    Some(text.text.to_owned())
}

/// Returns whether git would not take a text for an option or for several.
fn is_revision(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
