//! The keys of tasks.toml and their JSON schema, which editors use. The parser knows the keys from the same
//! `all_keys.rs`. This module must not know where the schema is stored.
//!
//! It is a schema of draft 7, which the TOML language servers support best. Only the parser checks what
//! depends on other parts of the file, such as whether a needed task exists.

// One line a key, however long its description is.
#[rustfmt::skip]
pub(crate) mod deploy_keys;
pub mod markdown;
pub(crate) mod table_type;
// One line a key, however long its description is.
#[rustfmt::skip]
pub(crate) mod all_keys;
#[cfg(test)]
pub(super) mod tests;
mod value_type;
pub(crate) mod values;

use serde_json::{Map, Value, json};

use all_keys::TABLES;
use table_type::{Key, Required, Table};
use value_type::ValueType;

/// The address from which editors load the schema.
pub const URL: &str = "https://raw.githubusercontent.com/taskgate/taskgate/main/schema/tasks.schema.json";

/// Returns the schema as JSON that ends with a line end.
pub fn text() -> String {
    format!("{:#}\n", schema())
}

fn schema() -> Value {
    let mut definitions: Map<String, Value> =
        TABLES.iter().skip(1).map(|table| (table.name.to_owned(), definition(table))).collect();
    definitions
        .insert("probes".to_owned(), json!({ "oneOf": [value_type::line(), value_type::reference("tool")] }));
    definitions.insert("sets".to_owned(), ValueType::Patterns.schema());
    let mut schema = definition(TABLES[0]);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["$id"] = URL.into();
    schema["title"] = "tasks.toml".into();
    schema["definitions"] = definitions.into();
    schema
}

/// Returns the definition of a table, with all its keys.
fn definition(table: &Table) -> Value {
    let property = |key: &Key| {
        // A task's values may be filled in from its matrix.
        let mut schema = if table.has("matrix") { key.value.filled() } else { key.value.schema() };
        // Editors ignore everything beside a reference, and the definition has its own description.
        if !key.doc.is_empty() {
            schema["description"] = key.doc.into();
        }
        (key.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = table.keys.iter().map(property).collect();
    let mut schema = json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    let having = |keys: &[&str]| -> Value { keys.iter().map(|key| json!({ "required": [key] })).collect() };
    match table.required {
        Required::Nothing => {}
        Required::Any => schema["minProperties"] = 1.into(),
        Required::Suppression => {
            schema["required"] = json!(["reason", "expires"]);
            schema["oneOf"] = json!([
                { "required": ["rule"], "properties": { "licence": false, "package": false } },
                { "required": ["licence"], "properties": { "rule": false, "path": false } },
            ]);
        }
        Required::Key(key) => schema["required"] = json!([key]),
        Required::All(keys) => schema["required"] = json!(keys),
        Required::AnyOf(keys) => schema["anyOf"] = having(keys),
        Required::OneOf(keys) => schema["oneOf"] = having(keys),
    }
    schema
}
