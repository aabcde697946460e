//! `env`, `env-file` and `secret-env` of processes on a host. It must not know their values in this process.

use crate::base::path::RepoPath;
use crate::config::deploy;
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::values;
use crate::config::sections::variables::Variables;
use crate::config::syntax::document::Text;
use crate::config::wording;

/// Variables that each process gets from taskgate.
const OWN: [&str; 3] = ["RELEASE", "SLOT", "PORT"];

/// Reads the variables of a table, as far as it has them.
pub(crate) fn read(fields: &Fields<'_>, base: &RepoPath, sink: &mut DiagnosticSink) -> deploy::Variables {
    let mut variables = Variables::default();
    for entry in fields.entries() {
        match entry.key.text {
            "env" => entry.value.if_table().into_iter().flatten().for_each(|entry| check(&entry.key, sink)),
            "secret-env" => {
                let mut quiet = DiagnosticSink::default();
                let names = entry.value.texts(&mut quiet).unwrap_or_default();
                names.iter().filter(|name| !name.text.starts_with('?')).for_each(|name| check(name, sink));
            }
            _ => continue,
        }
        variables.take(entry, sink);
    }
    variables.check(sink);
    let declared = variables.over(&Variables::default());
    let mut env_files = Vec::new();
    for text in fields.one_or_more("env-file", sink) {
        let (path, mark) = text.text.strip_prefix('?').map_or((text.text, ""), |path| (path, "?"));
        let path = values::file(&Text { text: path, span: text.span.clone() }, base, ".env", sink);
        env_files.extend(path.map(|path| format!("{mark}{path}")));
    }
    deploy::Variables { env: declared.set, env_files, secret_env: declared.secret }
}

/// Reports a name that a shell and systemd can't have, or that taskgate sets.
fn check(name: &Text<'_>, sink: &mut DiagnosticSink) {
    let is_part = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let is_plain = name.text.chars().all(is_part) && !name.text.starts_with(|c: char| c.is_ascii_digit());
    let (message, hint) = if OWN.contains(&name.text) {
        let message = format!("variable `{}` is set by taskgate for each process", name.text);
        (message, "use another name")
    } else if !name.text.is_empty() && !name.text.contains(['=', '\0']) && !is_plain {
        let message =
            format!("`{}` can't be a variable of a process on a host", wording::escape_name(name.text));
        (message, "use letters of ASCII, digits and `_`")
    } else {
        return;
    };
    sink.add(Diagnostic::new(name.span.clone(), message).label("not a name here").hint(hint));
}
