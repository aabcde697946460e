//! Values that several tables have: commands, shells, paths, durations, sizes and lines of text. It must not
//! know which key has which.

use std::time::Duration;

use crate::base::path::RepoPath;
use crate::base::units;
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::Command;
use crate::config::syntax::document::{Entry, Text, Value};
use crate::config::wording;

/// Reads a command: a string is a line for the shell, an array is a program with its arguments. `key` is its
/// name in messages.
pub(crate) fn command(value: Value<'_>, key: &str, sink: &mut DiagnosticSink) -> Option<Command> {
    let hint = "write a shell line such as \"cargo test\", or a program and its arguments such as [\"cargo\", \"test\"]";
    if value.elements().is_some() {
        let texts = value.texts(sink)?;
        return argv(value, texts, key, hint, sink).map(Command::Argv);
    }
    if !value.is_text() {
        sink.add(value.mismatch("a string or an array of strings").hint(hint));
        return None;
    }
    let line = value.text("a string or an array of strings", sink)?;
    if line.text.trim().is_empty() {
        sink.add(Diagnostic::new(line.span, format!("{key} is empty")).label("nothing to run").hint(hint));
        return None;
    }
    Some(Command::Shell(line.text.to_owned()))
}

/// Reads a shell: a program and the arguments before the line.
pub(crate) fn shell(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<Vec<String>> {
    let hint = "write the program and its arguments before the line, such as [\"bash\", \"-ec\"]";
    argv(value, value.texts(sink)?, "the shell", hint, sink)
}

/// Reads a program and its arguments. `what` is its name in messages.
pub(crate) fn argv(
    value: Value<'_>,
    texts: Vec<Text<'_>>,
    what: &str,
    hint: &str,
    sink: &mut DiagnosticSink,
) -> Option<Vec<String>> {
    // Elements of other types are reported already.
    let elements = value.elements().map_or(0, Iterator::count);
    if elements == texts.len() && texts.first().is_none_or(|program| program.text.trim().is_empty()) {
        let span = texts.first().map_or_else(|| value.span(), |program| program.span.clone());
        sink.add(Diagnostic::new(span, format!("{what} names no program")).label("empty").hint(hint));
        return None;
    }
    Some(texts.into_iter().map(|text| text.text.to_owned()).collect())
}

/// Reads a folder of the repository, relative to `base`.
pub(crate) fn folder(value: Value<'_>, base: &RepoPath, sink: &mut DiagnosticSink) -> Option<RepoPath> {
    let text = value.text("a folder", sink)?;
    let qualified = base.join(text.text);
    if qualified.is_none() {
        let message = format!("`{}` is outside the repository", wording::escape_name(text.text));
        sink.add(
            Diagnostic::new(text.span, message)
                .label("not in the repository")
                .hint("write a folder relative to this file's folder, such as \"web/app\""),
        );
    }
    qualified
}

/// Reads the path of a file of the repository, relative to `base`. The hint shows `example`.
pub(crate) fn file(
    text: &Text<'_>,
    base: &RepoPath,
    example: &str,
    sink: &mut DiagnosticSink,
) -> Option<RepoPath> {
    let path = base.join(text.text).filter(|path| !path.is_top());
    if path.is_none() {
        let message = format!("`{}` is not a file of the repository", wording::escape_name(text.text));
        let hint = format!("write a path relative to this file's folder, such as \"{example}\"");
        sink.add(Diagnostic::new(text.span.clone(), message).label("not in the repository").hint(hint));
    }
    path
}

/// Reads a duration. Messages show `example`.
pub(crate) fn duration(value: Value<'_>, example: &str, sink: &mut DiagnosticSink) -> Option<Duration> {
    unit(value, &format!("a duration such as {example}"), units::parse_duration, sink)
}

/// Reads a size in bytes.
pub(crate) fn size(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<u64> {
    unit(value, "a size such as \"10 GiB\"", units::parse_size, sink)
}

/// Reads a text with `parse`.
fn unit<T>(
    value: Value<'_>,
    what: &str,
    parse: fn(&str) -> Result<T, String>,
    sink: &mut DiagnosticSink,
) -> Option<T> {
    if !value.is_text() {
        sink.add(value.mismatch(what).hint(format!("write {what}")));
        return None;
    }
    let text = value.text(what, sink)?;
    match parse(text.text) {
        Ok(parsed) => Some(parsed),
        Err(message) => {
            sink.add(
                Diagnostic::new(text.span, message).label("not understood").hint(format!("write {what}")),
            );
            None
        }
    }
}

/// Reads a line of text that is not blank.
pub(crate) fn line(entry: &Entry<'_>, sink: &mut DiagnosticSink) -> Option<String> {
    let text = entry.value.text("a string", sink)?;
    if text.text.trim().is_empty() || text.text.chars().any(char::is_control) {
        let message = format!("`{}` is not a line of text", entry.key.text);
        let hint = match entry.key.text {
            "reason" => "say why it is accepted, for those who read it when it expires",
            "partial" => "say what is not examined, and why that does no harm",
            _ => "write it as the report does",
        };
        sink.add(Diagnostic::new(text.span, message).label("nothing to read").hint(hint));
        return None;
    }
    Some(text.text.trim().to_owned())
}
