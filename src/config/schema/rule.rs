//! What a key of a report or a gate takes, and how JSON Schema says it. It must not know which key
//! takes what.

use serde_json::{Value, json};

use super::shape::{list, reference};
use crate::config::bounds::UNITS;

/// What a key of a report or a gate takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A number from 0 to 100.
    Percent,
    /// Percentages by patterns.
    Percentages,
    /// Bounds by the names of figures.
    Bounds,
    /// Licences.
    Licences,
    /// A day.
    Day,
    /// A branch or revision of git.
    Revision,
    /// This text alone.
    Only(&'static str),
    /// A path.
    Path,
    /// A glob, and no set.
    Glob,
    /// A line that is not blank.
    Given,
    /// Strings, at least one.
    Some,
    /// One string, or at least one.
    OneOrSome,
    /// Tables of this definition.
    Several(&'static str),
}

impl Rule {
    /// The schema of such a value.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Percent => percent(),
            Self::Percentages => json!({
                "type": "object",
                "minProperties": 1,
                "propertyNames": path(),
                "additionalProperties": percent(),
            }),
            Self::Bounds => json!({
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": r"\S" },
                "additionalProperties": { "type": "string", "pattern": bound() },
            }),
            Self::Licences => {
                some(&json!({ "type": "string", "pattern": r"\S", "not": { "pattern": " (OR|AND) " } }))
            }
            Self::Day => json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" }),
            Self::Revision => json!({ "type": "string", "pattern": r"^[^\s\p{Cc}-][^\s\p{Cc}]*$" }),
            Self::Only(text) => json!({ "const": text }),
            Self::Path => json!({ "type": "string", "minLength": 1 }),
            Self::Glob => path(),
            Self::Given => json!({ "type": "string", "pattern": r"^[^\p{Cc}]*[^\s\p{Cc}][^\p{Cc}]*$" }),
            Self::Some => some(&json!({ "type": "string", "minLength": 1 })),
            Self::OneOrSome => json!({ "oneOf": [path(), some(&path())] }),
            Self::Several(table) => list(&reference(table)),
        }
    }
}

/// A list that is not empty.
fn some(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1 })
}

/// A glob, and no set.
fn path() -> Value {
    json!({ "type": "string", "minLength": 1, "not": { "pattern": "^[!@]" } })
}

fn percent() -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 100 })
}

/// A comparison with a number and a unit.
fn bound() -> String {
    let units: Vec<&str> = UNITS.iter().map(|(unit, ..)| *unit).collect();
    format!(r"^\s*(<=|>=|==|<|>)\s*[0-9]+(\.[0-9]+)?\s*({}|μs)\s*$", units.join("|"))
}
