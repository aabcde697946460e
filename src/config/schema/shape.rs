//! What a key takes, and how JSON Schema says it. It must not know which key takes what.

use serde_json::{Value, json};

use crate::base::name;
use crate::config::model::Provider;
use crate::config::sections::bounds::UNITS;
use crate::config::sections::common_keys::SYSTEMS;
use crate::config::sections::services::SIGNALS;
use crate::config::stage::Stage;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Any string.
    Text,
    /// A string without control characters.
    Line,
    /// A name that is given.
    Name,
    /// Strings.
    Texts,
    /// Strings that name something, so none is empty.
    Names,
    /// Names that are given here.
    LockNames,
    /// One string, or several.
    OneOrMore,
    /// A string that is not blank, or a program and its arguments.
    Command,
    /// A command, or a table with more.
    CommandOr(&'static str),
    /// A program and its arguments.
    Argv,
    /// Globs and sets.
    Patterns,
    /// Globs alone.
    Paths,
    /// Values of variables by their names.
    Variables,
    /// Names of variables.
    VariableNames,
    /// Such as `1h 30m`.
    Duration,
    /// Such as `10 GiB`.
    Size,
    /// A whole number.
    Count { least: u32 },
    /// A number from one to another.
    Between { least: u32, most: u32 },
    /// A boolean.
    Flag,
    /// Names of operating systems.
    Systems,
    /// Names of CI systems.
    Providers,
    /// A signal's name.
    Signal,
    /// A number, or `auto`.
    Port,
    /// `host:port`.
    Address,
    /// `http://…` or `https://…`.
    Url,
    /// Lists of values by their names.
    Matrix,
    /// Names of tasks by stages of git.
    Stages,
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
    NonBlank,
    /// Strings, at least one.
    SomeNames,
    /// One string, or at least one.
    OneOrSome,
    /// Tables of this definition.
    Several(&'static str),
    /// The table of this definition.
    Table(&'static str),
    /// Values of this definition by their names.
    Each(&'static str),
}

/// A name, as `base::name` has it.
const NAME: &str = r"^[\p{Alphabetic}\p{N}_][\p{Alphabetic}\p{N}_.-]*$";
/// What can be a part of the name of a matrix's task.
const MATRIX_VALUE: &str = r"^[^\s\[\],=]+$";
/// Any number of numbers with units.
const DURATION: &str = r"^\s*([0-9][0-9\s]*(\.[0-9\s]*[0-9][0-9\s]*)?(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|min|mins|m|hours|hour|hr|hrs|h|days|day|d|weeks|week|wk|wks|w|months|month|M|years|year|yr|yrs|y)\s*)+$";
const SIZE: &str = r"^(\+?[0-9]+|([0-9]+\.?[0-9]*|\.[0-9]+)\s*([bB]|[kKmMgGtTpPeE]([iI]?[bB]?)))$";

impl Shape {
    /// The schema of such a value.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Line => json!({ "type": "string", "pattern": r"^[^\p{Cc}]*$" }),
            Self::Name => name(),
            Self::Texts => list(&json!({ "type": "string" })),
            Self::Names => list(&json!({ "type": "string", "minLength": 1 })),
            Self::LockNames => list(&name()),
            Self::OneOrMore => json!({ "oneOf": [{ "type": "string" }, list(&json!({ "type": "string" }))] }),
            Self::Command => json!({ "oneOf": [line(), argv()] }),
            Self::CommandOr(table) => json!({ "oneOf": [line(), argv(), reference(table)] }),
            Self::Argv => argv(),
            Self::Patterns => list(&json!({ "type": "string", "minLength": 1 })),
            Self::Paths => list(&json!({ "type": "string", "minLength": 1, "not": { "pattern": "^!?@" } })),
            Self::Variables => json!({
                "type": "object",
                "propertyNames": variable(),
                "additionalProperties": { "type": "string" },
            }),
            Self::VariableNames => list(&variable()),
            Self::Duration => json!({
                "type": "string",
                "pattern": DURATION,
                // A duration can't be zero.
                "allOf": [{ "pattern": "[1-9]" }],
            }),
            Self::Size => json!({ "type": "string", "pattern": SIZE, "allOf": [{ "pattern": "[1-9]" }] }),
            Self::Between { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Self::Count { least } => json!({ "type": "integer", "minimum": least, "maximum": u32::MAX }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Systems => list(&json!({ "enum": SYSTEMS })),
            Self::Providers => list(&json!({ "enum": Provider::ALL.map(|(name, _)| name) })),
            Self::Signal => json!({ "enum": signals() }),
            Self::Port => json!({
                "oneOf": [{ "type": "integer", "minimum": 1, "maximum": u16::MAX }, { "const": "auto" }],
            }),
            Self::Address => json!({ "type": "string", "pattern": ":" }),
            Self::Url => json!({ "type": "string", "pattern": "^https?://" }),
            Self::Matrix => matrix(),
            Self::Stages => stages(),
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
            Self::NonBlank => json!({ "type": "string", "pattern": r"^[^\p{Cc}]*[^\s\p{Cc}][^\p{Cc}]*$" }),
            Self::SomeNames => some(&json!({ "type": "string", "minLength": 1 })),
            Self::OneOrSome => json!({ "oneOf": [path(), some(&path())] }),
            Self::Several(table) => list(&reference(table)),
            Self::Table(table) => reference(table),
            Self::Each(definition) => json!({
                "type": "object",
                "propertyNames": name(),
                "additionalProperties": reference(definition),
            }),
        }
    }

    /// The schema of such a value where a matrix puts values in.
    pub(super) fn filled(self) -> Value {
        match self {
            Self::Name | Self::Duration => or_filled(&self.schema()),
            Self::LockNames => list(&or_filled(&name())),
            Self::Systems => list(&or_filled(&json!({ "enum": SYSTEMS }))),
            _ => self.schema(),
        }
    }
}

/// A value, or a text that becomes one once the values of a matrix are put in.
fn or_filled(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": r"\{\{\s*matrix\." }] })
}

/// The definition of this name.
pub(super) fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{definition}") })
}

/// A line for the shell.
pub(super) fn line() -> Value {
    json!({ "type": "string", "pattern": r"\S" })
}

fn argv() -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 })
}

pub(super) fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn name() -> Value {
    json!({ "type": "string", "pattern": NAME, "maxLength": name::LONGEST })
}

/// A variable's name.
fn variable() -> Value {
    json!({ "type": "string", "pattern": "^[^=]+$", "not": { "pattern": r"^\??XTASK_" } })
}

/// Signals, with and without `SIG`.
fn signals() -> Vec<&'static str> {
    let long = SIGNALS.iter().map(|(name, _)| *name);
    long.clone().chain(long.map(|name| &name[3..])).collect()
}

fn matrix() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": name(),
        "additionalProperties": {
            "type": "array",
            "items": { "type": "string", "pattern": MATRIX_VALUE },
            "minItems": 1,
            "uniqueItems": true,
        },
    })
}

fn stages() -> Value {
    let stage = |stage: Stage| {
        let about = format!("Tasks or groups that gate git's `{stage}`.");
        let mut schema = Shape::Names.schema();
        schema["description"] = about.into();
        (stage.name().to_owned(), schema)
    };
    let properties: serde_json::Map<String, Value> = Stage::all().map(stage).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
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
