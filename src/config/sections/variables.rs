//! The environment variables of a task: `env`, `pass-env` and `secret-env`. It must not know their values in
//! this process.

use std::collections::HashMap;

use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::{CommandVariables, PassEnv};
use crate::config::syntax::document::{Entry, Text, Value};
use crate::config::wording;

/// The prefix of variables that taskgate sets itself.
const RESERVED: &str = "XTASK_";

/// Returns the variable that has the port of a service.
pub fn port_variable(service: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{RESERVED}SERVICE_{}_PORT", service.chars().map(plain).collect::<String>())
}

/// The variables that one table declares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables<'d>(Vec<Variable<'d>>);

#[derive(Clone, Debug)]
struct Variable<'d> {
    name: Text<'d>,
    how: Passing<'d>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing<'d> {
    Value(&'d str),
    Keyed,
    Unkeyed,
    Secret,
}

impl Passing<'_> {
    fn key(self) -> &'static str {
        match self {
            Self::Value(_) => "env",
            Self::Keyed | Self::Unkeyed => "pass-env",
            Self::Secret => "secret-env",
        }
    }
}

impl<'d> Variables<'d> {
    /// Reads the entry if it declares variables. Returns whether it does.
    pub(crate) fn take(&mut self, entry: &Entry<'d>, sink: &mut DiagnosticSink) -> bool {
        match entry.key.text {
            "env" => self.take_values(entry.value, sink),
            "pass-env" => {
                for Text { text, span } in entry.value.texts(sink).unwrap_or_default() {
                    match text.strip_prefix('?') {
                        Some(text) => self.declare(Text { text, span }, Passing::Unkeyed, sink),
                        None => self.declare(Text { text, span }, Passing::Keyed, sink),
                    }
                }
            }
            "secret-env" => {
                for name in entry.value.texts(sink).unwrap_or_default() {
                    if name.text.starts_with('?') {
                        let message = "a secret is always part of the key, as a digest";
                        sink.add(
                            Diagnostic::new(name.span, message).label("not with `?`").hint("remove the `?`"),
                        );
                    } else {
                        self.declare(name, Passing::Secret, sink);
                    }
                }
            }
            _ => return false,
        }
        true
    }

    fn take_values(&mut self, value: Value<'d>, sink: &mut DiagnosticSink) {
        let hint = "write `env = { NAME = \"value\" }`; to pass a variable on, use `pass-env`";
        for Entry { key, value } in value.table(hint, sink).unwrap_or_default() {
            if let Some(value) = value.text("a string", sink) {
                self.declare(key, Passing::Value(value.text), sink);
            }
        }
    }

    fn declare(&mut self, name: Text<'d>, how: Passing<'d>, sink: &mut DiagnosticSink) {
        let refusal = if name.text.is_empty() {
            Some(("a variable's name can't be empty", "write its name, such as \"CARGO_HOME\""))
        } else if name.text.contains('\0') {
            Some(("a variable's name can't contain a NUL byte", "remove `\\u0000`"))
        } else if name.text.contains('=') {
            Some((
                "a variable's name can't contain `=`",
                "to set a value, write `env = { NAME = \"value\" }`",
            ))
        } else if name.text.starts_with(RESERVED) {
            Some(("variables that begin with `XTASK_` are set by taskgate", "use another name"))
        } else {
            None
        };
        match refusal {
            None => self.0.push(Variable { name, how }),
            Some((message, hint)) => {
                sink.add(Diagnostic::new(name.span, message).label("not a name here").hint(hint));
            }
        }
    }

    /// Reports variables that are declared in more than one way.
    pub(crate) fn check(&self, sink: &mut DiagnosticSink) {
        let mut first: HashMap<&str, &Variable<'d>> = HashMap::new();
        for variable in &self.0 {
            let known = *first.entry(variable.name.text).or_insert(variable);
            if known.how == variable.how {
                continue;
            }
            let name = wording::escape_name(variable.name.text);
            let (message, hint) = if known.how.key() == variable.how.key() {
                (
                    format!("variable `{name}` is passed both with and without `?`"),
                    "with `?` its value is not part of the key; keep one",
                )
            } else {
                let (one, two) = (known.how.key(), variable.how.key());
                (
                    format!("variable `{name}` is both in `{one}` and in `{two}`"),
                    "keep one: `env` sets a value, `pass-env` passes the caller's, `secret-env` also hides it",
                )
            };
            sink.add(
                Diagnostic::new(variable.name.span.clone(), message)
                    .label("declared again")
                    .other(known.name.span.clone(), "declared here")
                    .hint(hint),
            );
        }
    }

    /// Returns these variables with those of `defaults` that they don't replace.
    pub(crate) fn over(&self, defaults: &Self) -> CommandVariables {
        let inherited =
            defaults.0.iter().filter(|default| self.0.iter().all(|own| own.name.text != default.name.text));
        let mut declared = CommandVariables::default();
        for Variable { name, how } in inherited.chain(&self.0) {
            let name = name.text.to_owned();
            match how {
                Passing::Value(value) => {
                    declared.set.insert(name, (*value).to_owned());
                }
                Passing::Keyed => declared.passed.push(PassEnv { name, keyed: true }),
                Passing::Unkeyed => declared.passed.push(PassEnv { name, keyed: false }),
                Passing::Secret => declared.secret.push(name),
            }
        }
        declared.passed.sort();
        declared.passed.dedup();
        declared.secret.sort();
        declared.secret.dedup();
        declared
    }
}
