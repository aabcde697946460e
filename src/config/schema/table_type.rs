//! What the schema knows of a table of tasks.toml and its keys.

use crate::base::name;
use crate::config::diagnostic::Diagnostic;
use crate::config::schema::value_type::ValueType;
use crate::config::syntax::document::Text;
use crate::config::wording::escape_name;

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) value: ValueType,
    /// A sentence for the person who writes the file. Empty if the value is a table, which has its own.
    pub(crate) doc: &'static str,
}

/// Returns a key. Its value is described by `doc`.
pub(crate) const fn key(name: &'static str, value: ValueType, doc: &'static str) -> Key {
    Key { name, value, doc }
}

/// One kind of table.
#[derive(Debug)]
pub(crate) struct Table {
    /// The name of its definition in the JSON schema; empty for the top of the file.
    pub(crate) name: &'static str,
    /// How it is written in tasks.toml.
    pub(crate) heading: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
    pub(crate) required: Required,
    /// Keys that are planned and not yet supported, each with what to do until then.
    pub(crate) planned: &'static [(&'static str, &'static str)],
    /// Names that belong elsewhere or have another name here, separated by spaces, with the hint for them.
    pub(crate) elsewhere: &'static [(&'static str, &'static str)],
}

/// The keys that a table must have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Required {
    Nothing,
    /// At least one key.
    Any,
    /// This key.
    Key(&'static str),
    /// At least one of these keys.
    AnyOf(&'static [&'static str]),
    /// Exactly one of these keys.
    OneOf(&'static [&'static str]),
    /// All of these keys.
    All(&'static [&'static str]),
    /// A reason and a day, with either a rule or a licence.
    Suppression,
}

/// A table without keys, for the fields that most tables leave out.
pub(crate) const EMPTY: Table = Table {
    name: "",
    heading: "",
    doc: "",
    keys: &[],
    required: Required::Nothing,
    planned: &[],
    elsewhere: &[],
};

impl Table {
    /// Returns the names of its keys.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.keys.iter().map(|key| key.name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// Reports a key that the table does not have; `table` is what messages call it.
    pub(crate) fn unknown_key(&self, key: &Text<'_>, table: &str) -> Diagnostic {
        let planned = self.planned.iter().find(|(name, _)| *name == key.text);
        if let Some((_, until_then)) = planned {
            return Diagnostic::new(key.span.clone(), format!("`{}` is not yet supported here", key.text))
                .label("not yet supported")
                .hint(*until_then);
        }
        let message = format!("{table} has no key `{}`", escape_name(key.text));
        let planned = self.planned.iter().map(|(name, _)| *name);
        let elsewhere =
            self.elsewhere.iter().find(|(names, _)| names.split(' ').any(|name| name == key.text));
        let (hint, meant) = match elsewhere {
            Some((_, text)) => ((*text).to_owned(), quoted_key(text)),
            None => match name::nearest(key.text, self.names().chain(planned)) {
                Some(near) => (format!("did you mean `{near}`?"), Some(near)),
                None => (format!("its keys are {}", self.names().collect::<Vec<_>>().join(", ")), None),
            },
        };
        let mut diagnostic = Diagnostic::new(key.span.clone(), message).label("not a key here").hint(hint);
        diagnostic.meant = meant;
        diagnostic
    }
}

/// Returns the first key that a text quotes: `tasks` of "tasks are written as `[tasks.NAME]`".
fn quoted_key(text: &'static str) -> Option<&'static str> {
    let key = text.split('`').nth(1)?.trim_start_matches('[');
    key.split([']', '.', ' ']).next().filter(|key| !key.is_empty())
}
