//! The types of values, as JSON Schema and in words. It must not know which key has which type.

use serde_json::{Value, json};

use crate::base::name;
use crate::config::hook_stage::Stage;
use crate::config::model::Provider;
use crate::config::schema::values::{SIGNALS, SYSTEMS, UNITS};

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    /// Any string.
    Text,
    /// A string without control characters.
    ListItem,
    /// A name.
    Name,
    /// An array of strings.
    Texts,
    /// An array of names that are defined elsewhere. None is empty.
    NameIndex,
    /// An array of names that are defined here.
    LockNames,
    /// One string or an array of strings.
    OneOrMore,
    /// A string that is not blank, or a program with its arguments.
    Command,
    /// A command, or a table of this definition.
    CommandOr(&'static str),
    /// A program with its arguments.
    Argv,
    /// An array of patterns and sets.
    Patterns,
    /// An array of patterns.
    Paths,
    /// A table of variables with their values.
    Variables,
    /// An array of names of variables.
    VariableNames,
    /// A duration, such as `1h 30m`.
    Duration,
    /// A size, such as `10 GiB`.
    Size,
    /// An integer with a lower limit.
    Count { least: u32 },
    /// An integer in a range.
    Between { least: u32, most: u32 },
    /// A boolean.
    Flag,
    /// An array of operating systems.
    Systems,
    /// An array of CI systems.
    Providers,
    /// The name of a signal.
    Signal,
    /// A port number, or `auto`.
    Port,
    /// `host:port`.
    Address,
    /// `http://…` or `https://…`.
    Url,
    /// A table of arrays of values.
    Matrix,
    /// A table of arrays of names of tasks, by git hook.
    Stages,
    /// A number from 0 to 100.
    Percent,
    /// A table of percentages by pattern.
    Percentages,
    /// A table of bounds by figure.
    Bounds,
    /// An array of licences.
    Licences,
    /// A day.
    Day,
    /// A branch or revision of git.
    Revision,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A line for the shell, or a query.
    ShellLine,
    /// A percentage as a string, such as `10%`.
    Share,
    /// An array of at least one percentage.
    Shares,
    /// A table of names by name.
    NamesByName,
    /// A path on a machine, which does not begin with `~`.
    MachinePath,
    /// A time of the day, such as `09:00`.
    TimeOfDay,
    /// Only this text.
    Only(&'static str),
    /// A path.
    Path,
    /// A pattern.
    Glob,
    /// A string of one line that is not blank.
    NonBlank,
    /// An array of at least one string.
    SomeNames,
    /// One string or an array of at least one.
    OneOrSome,
    /// An array of tables of this definition.
    Several(&'static str),
    /// A table of this definition.
    Table(&'static str),
    /// A table of values of this definition by name.
    Each(&'static str),
}

// In a schema, `\s` is what ECMAScript takes for white space: with U+FEFF, the byte order mark, and without U+0085.
// To the parser it is the other way around.

/// Text that is not only white space.
const NOT_BLANK: &str = r"[\S\uFEFF]";
/// A name, as `base::name` defines it.
const NAME: &str = r"^[\p{Alphabetic}\p{N}_][\p{Alphabetic}\p{N}_.-]*$";
/// A value that can be part of the name of a task.
const MATRIX_VALUE: &str = r"^([^\s\[\],=]|\uFEFF)+$";
/// Any number of numbers with units.
const DURATION: &str = r"^[\s\u0085]*([0-9][0-9\s\u0085]*(\.[0-9\s\u0085]*[0-9][0-9\s\u0085]*)?(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|min|mins|m|hours|hour|hr|hrs|h|days|day|d|weeks|week|wk|wks|w|months|month|M|years|year|yr|yrs|y)[\s\u0085]*)+$";
const SIZE: &str = r"^(\+?[0-9]+|([0-9]+\.?[0-9]*|\.[0-9]+)[\s\u0085]*([bB]|[kKmMgGtTpPeE]([iI]?[bB]?)))$";

impl ValueType {
    /// Returns the schema of such a value.
    pub(crate) fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::ListItem => json!({ "type": "string", "pattern": r"^[^\p{Cc}]*$" }),
            Self::Name => name(),
            Self::Texts => list(&json!({ "type": "string" })),
            Self::NameIndex => list(&json!({ "type": "string", "minLength": 1 })),
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
                "propertyNames": { "pattern": NOT_BLANK },
                "additionalProperties": { "type": "string", "pattern": bound() },
            }),
            Self::Licences => non_empty_array(
                &json!({ "type": "string", "pattern": NOT_BLANK, "not": { "pattern": " (OR|AND) " } }),
            ),
            Self::Day => json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" }),
            Self::Revision => {
                json!({ "type": "string", "pattern": r"^([^\s\p{Cc}-]|\uFEFF)([^\s\p{Cc}]|\uFEFF)*$" })
            }
            Self::Choice(texts) => json!({ "enum": texts }),
            Self::ShellLine => line(),
            Self::Share => share(),
            Self::Shares => non_empty_array(&share()),
            Self::NamesByName => json!({
                "type": "object",
                "additionalProperties": { "type": "string", "minLength": 1 },
            }),
            Self::MachinePath => json!({ "type": "string", "pattern": "^[^~]" }),
            Self::TimeOfDay => json!({ "type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$" }),
            Self::Only(text) => json!({ "const": text }),
            Self::Path => json!({ "type": "string", "minLength": 1 }),
            Self::Glob => path(),
            Self::NonBlank => {
                json!({ "type": "string", "pattern": r"^[^\p{Cc}]*([^\s\p{Cc}]|\uFEFF)[^\p{Cc}]*$" })
            }
            Self::SomeNames => non_empty_array(&json!({ "type": "string", "minLength": 1 })),
            Self::OneOrSome => json!({ "oneOf": [path(), non_empty_array(&path())] }),
            Self::Several(table) => list(&reference(table)),
            Self::Table(table) => reference(table),
            Self::Each(definition) => json!({
                "type": "object",
                "propertyNames": name(),
                "additionalProperties": reference(definition),
            }),
        }
    }

    /// Returns the schema of such a value in a task, where it may contain a placeholder for a matrix value.
    pub(crate) fn filled(self) -> Value {
        match self {
            Self::Name | Self::Duration => or_filled(&self.schema()),
            Self::LockNames => list(&or_filled(&name())),
            Self::Systems => list(&or_filled(&json!({ "enum": SYSTEMS }))),
            _ => self.schema(),
        }
    }

    /// Returns the definition of the tables that a value of this type contains.
    pub(crate) fn table(self) -> Option<&'static str> {
        match self {
            Self::Table(name) | Self::CommandOr(name) | Self::Each(name) | Self::Several(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the type in a few words, as Markdown.
    pub(crate) fn describe(self) -> String {
        let one_of =
            |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Text | Self::Path => "string".to_owned(),
            Self::ListItem | Self::NonBlank => "string of one line".to_owned(),
            Self::Name => "name".to_owned(),
            Self::Texts | Self::Licences => "array of strings".to_owned(),
            Self::NameIndex | Self::LockNames | Self::SomeNames => "array of names".to_owned(),
            Self::OneOrMore | Self::OneOrSome => "string or array of strings".to_owned(),
            Self::Command => "command: string or array of strings".to_owned(),
            Self::CommandOr(_) => "command or table".to_owned(),
            Self::Argv => "array of strings: program and arguments".to_owned(),
            Self::Patterns => "array of patterns and sets".to_owned(),
            Self::Paths => "array of patterns".to_owned(),
            Self::Glob => "pattern".to_owned(),
            Self::Variables => "table of strings by variable".to_owned(),
            Self::VariableNames => "array of variables".to_owned(),
            Self::Duration => "duration, such as `\"1h 30m\"`".to_owned(),
            Self::Size => "size, such as `\"10 GiB\"`".to_owned(),
            Self::Count { least } => format!("integer, at least {least}"),
            Self::Between { least, most } => format!("integer from {least} to {most}"),
            Self::Percent => "number from 0 to 100".to_owned(),
            Self::Percentages => "table of numbers by pattern".to_owned(),
            Self::Bounds => "table of bounds, such as `\"<= 100ms\"`, by figure".to_owned(),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Systems => format!("array of {}", one_of(&SYSTEMS)),
            Self::Providers => format!("array of {}", one_of(&Provider::ALL.map(|(name, _)| name))),
            Self::Signal => one_of(&SIGNALS.map(|(name, _)| name)),
            Self::Port => "integer from 1 to 65535, or `\"auto\"`".to_owned(),
            Self::Address => "`\"host:port\"`".to_owned(),
            Self::Url => "`http://` or `https://` URL".to_owned(),
            Self::Day => "date, such as `2026-12-31`".to_owned(),
            Self::Revision => "branch or revision".to_owned(),
            Self::Choice(texts) => one_of(texts),
            Self::ShellLine => "shell line".to_owned(),
            Self::Share => "percentage, such as `\"1%\"`".to_owned(),
            Self::Shares => "array of percentages".to_owned(),
            Self::NamesByName => "table of names by name".to_owned(),
            Self::MachinePath => "path".to_owned(),
            Self::TimeOfDay => "time of the day, such as `\"09:00\"`".to_owned(),
            Self::Only(text) => format!("`\"{text}\"`"),
            Self::Matrix => "table of arrays of strings".to_owned(),
            Self::Stages => "table of arrays of names by git hook".to_owned(),
            Self::Table(_) => "table".to_owned(),
            Self::Several(_) => "array of tables".to_owned(),
            Self::Each(_) => "table by name".to_owned(),
        }
    }
}

/// Returns the schema of a value that may also be a text with a placeholder for a matrix value.
fn or_filled(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": r"\{\{[\s\u0085]*matrix\." }] })
}

/// Returns a reference to the definition with this name.
pub(crate) fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{definition}") })
}

/// Returns the schema of a shell line.
pub(crate) fn line() -> Value {
    json!({ "type": "string", "pattern": NOT_BLANK })
}

fn argv() -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 })
}

pub(crate) fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn name() -> Value {
    json!({ "type": "string", "pattern": NAME, "maxLength": name::MAX_LENGTH })
}

/// Returns the schema of a variable's name.
fn variable() -> Value {
    json!({ "type": "string", "pattern": "^[^=]+$", "not": { "pattern": r"^\??XTASK_" } })
}

/// Returns the names of signals, with and without `SIG`.
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
        let mut schema = ValueType::NameIndex.schema();
        schema["description"] = about.into();
        (stage.name().to_owned(), schema)
    };
    let properties: serde_json::Map<String, Value> = Stage::all().map(stage).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Returns the schema of an array that is not empty.
fn non_empty_array(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1 })
}

/// Returns the schema of a pattern that is neither a set nor an exclusion.
fn path() -> Value {
    json!({ "type": "string", "minLength": 1, "not": { "pattern": "^[!@]" } })
}

fn share() -> Value {
    json!({ "type": "string", "pattern": r"^[\s\u0085]*[0-9]+(\.[0-9]+)?[\s\u0085]*%[\s\u0085]*$" })
}

fn percent() -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 100 })
}

/// Returns the regular expression of a comparison with a number and a unit.
fn bound() -> String {
    let units: Vec<&str> = UNITS.iter().map(|(unit, ..)| *unit).collect();
    format!(
        r"^[\s\u0085]*(<=|>=|==|<|>)[\s\u0085]*[0-9]+(\.[0-9]+)?[\s\u0085]*({}|μs)[\s\u0085]*$",
        units.join("|")
    )
}
