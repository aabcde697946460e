//! The JSON schema of tasks.toml, for editors: the keys that the parser knows (`keys.rs`),
//! with what `words` says of them. It must not know where it is kept.
//!
//! It is of draft 7, which the TOML language servers know best. What depends on other parts of the
//! file, such as whether a task of some name exists, is the parser's alone.

pub(crate) mod keys;
mod shape;
#[cfg(test)]
pub(super) mod tests;
mod words;

use serde_json::{Map, Value, json};

use keys::Keys;
use shape::Shape;
use words::Word;

/// Where editors find it.
pub const URL: &str = "https://raw.githubusercontent.com/taskgate/taskgate/main/schema/tasks.schema.json";

/// A kind of table.
struct Table {
    /// Its definition.
    name: &'static str,
    about: &'static str,
    keys: &'static Keys,
    /// What is said of its keys; the first that has the key counts.
    words: &'static [&'static [Word]],
    must: Must,
}

/// What must be there.
#[derive(Clone, Copy)]
enum Must {
    Nothing,
    HaveSome,
    Have(&'static str),
    HaveAny(&'static [&'static str]),
    HaveOne(&'static [&'static str]),
    /// A reason and a day, and what goes together.
    Suppress,
}

static TABLES: [Table; 18] = [
    Table { name: "", about: ABOUT, keys: &keys::TOP, words: &[words::TOP], must: Must::Nothing },
    Table {
        name: "settings",
        about: "What holds for all runs; of the outermost file alone.",
        keys: &keys::SETTINGS,
        words: &[words::SETTINGS],
        must: Must::Nothing,
    },
    Table {
        name: "defaults",
        about: "Keys for all tasks of this file; a task's own replaces them, but variables and tools are joined.",
        keys: &keys::DEFAULTS,
        words: &[words::COMMANDS],
        must: Must::Nothing,
    },
    Table {
        name: "task",
        about: "A task: one command, or the `needs` that it gathers.",
        keys: &keys::TASK,
        words: &[words::TASK, words::COMMANDS],
        must: Must::HaveAny(&["run", "rust", "needs"]),
    },
    Table {
        name: "service",
        about: "A long-lived process that tasks use: started when it is first needed, ended with the run.",
        keys: &keys::SERVICE,
        words: &[words::SERVICE, words::COMMANDS],
        must: Must::Have("run"),
    },
    Table {
        name: "ready",
        about: "How the service is known to be ready; left out: its port is listened on.",
        keys: &keys::READY,
        words: &[words::READY],
        must: Must::HaveOne(&["tcp", "unix", "http", "log", "command"]),
    },
    Table {
        name: "stop",
        about: "How the service is ended.",
        keys: &keys::STOP,
        words: &[words::STOP],
        must: Must::Nothing,
    },
    Table {
        name: "reports",
        about: "Standard reports that the task writes, by their kinds; their files are outputs of the task.",
        keys: &keys::REPORTS,
        words: &[words::REPORTS],
        must: Must::HaveAny(&keys::KINDS),
    },
    Table {
        name: "gate",
        about: "A quality gate: rules over what tasks report. It is run like a task, when these have passed.",
        keys: &keys::GATE,
        words: &[words::GATE, words::TASK, words::COMMANDS],
        must: Must::HaveAny(&keys::RULES),
    },
    Table {
        name: "coverage",
        about: "Rules for lines that tests reach, in percent.",
        keys: &keys::COVERAGE,
        words: &[words::COVERAGE],
        must: Must::HaveSome,
    },
    Table {
        name: "tests",
        about: "Rules for tests.",
        keys: &keys::TESTS,
        words: &[words::TESTS],
        must: Must::HaveSome,
    },
    Table {
        name: "findings",
        about: "How many findings there may be at most.",
        keys: &keys::FINDINGS,
        words: &[words::FINDINGS],
        must: Must::HaveSome,
    },
    Table {
        name: "licences",
        about: "Rules for licences of packages.",
        keys: &keys::LICENCES,
        words: &[words::LICENCES],
        must: Must::HaveSome,
    },
    Table {
        name: "suppression",
        about: "Findings or licences that are accepted, with a reason and up to a day.",
        keys: &keys::SUPPRESSION,
        words: &[words::SUPPRESSION],
        must: Must::Suppress,
    },
    Table {
        name: "worktree",
        about: "What a private worktree needs that git does not hold; of the outermost file alone.",
        keys: &keys::WORKTREE,
        words: &[words::WORKTREE],
        must: Must::Nothing,
    },
    Table {
        name: "ci",
        about: "What `xtask ci init` writes for CI systems; of the outermost file alone.",
        keys: &keys::CI,
        words: &[words::CI],
        must: Must::Nothing,
    },
    Table {
        name: "tool",
        about: "What a tool says of itself, asked in a folder of its own.",
        keys: &keys::TOOL,
        words: &[words::TOOL],
        must: Must::Have("run"),
    },
    Table {
        name: "setup",
        about: "The setup of a private worktree: its command, and what it depends on.",
        keys: &keys::SETUP,
        words: &[words::COMMANDS],
        must: Must::Have("run"),
    },
];

const ABOUT: &str = "Tasks that taskgate runs: each run is the run of a git tree.";

/// The schema, as JSON that ends with a line end.
pub fn text() -> String {
    format!("{:#}\n", schema())
}

fn schema() -> Value {
    let mut definitions: Map<String, Value> =
        TABLES.iter().skip(1).map(|table| (table.name.to_owned(), table.schema())).collect();
    definitions.insert("probes".to_owned(), json!({ "oneOf": [shape::line(), shape::reference("tool")] }));
    definitions.insert("sets".to_owned(), Shape::Patterns.schema());
    let mut schema = TABLES[0].schema();
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["$id"] = URL.into();
    schema["title"] = "tasks.toml".into();
    schema["definitions"] = definitions.into();
    schema
}

impl Table {
    /// What is said of a key.
    fn word(&self, key: &str) -> Option<&'static Word> {
        self.words.iter().copied().flatten().find(|word| word.key == key)
    }

    fn schema(&self) -> Value {
        let property = |key: &&str| {
            let mut schema = json!({});
            if let Some(word) = self.word(key) {
                schema = if self.keys.knows("matrix") { word.shape.filled() } else { word.shape.schema() };
                // Beside a reference nothing counts; what it leads to has a description.
                if !word.about.is_empty() {
                    schema["description"] = word.about.into();
                }
            }
            ((*key).to_owned(), schema)
        };
        let properties: Map<String, Value> = self.keys.known().iter().map(property).collect();
        let mut schema = json!({
            "type": "object",
            "description": self.about,
            "properties": properties,
            "additionalProperties": false,
        });
        let having = |keys: &[&str]| -> Value {
            let known = keys.iter().filter(|key| self.keys.knows(key));
            known.map(|key| json!({ "required": [key] })).collect()
        };
        match self.must {
            Must::Nothing => {}
            Must::HaveSome => schema["minProperties"] = 1.into(),
            Must::Suppress => {
                schema["required"] = json!(["reason", "expires"]);
                schema["oneOf"] = json!([
                    { "required": ["rule"], "properties": { "licence": false, "package": false } },
                    { "required": ["licence"], "properties": { "rule": false, "path": false } },
                ]);
            }
            Must::Have(key) => schema["required"] = json!([key]),
            Must::HaveAny(keys) => schema["anyOf"] = having(keys),
            Must::HaveOne(keys) => schema["oneOf"] = having(keys),
        }
        schema
    }
}
