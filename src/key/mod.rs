//! The key: the digest of everything that may change a task's result, and its explanation field by field. It
//! must not know whether anything is cached, nor read a file or a variable.
//!
//! One writer, [`Key::new`], hashes exactly the fields that it returns, so that the digest and its
//! explanation can't differ. Each field is hashed after its length; the format version is the purpose of the
//! hash.

pub mod explanation;
mod gate;
pub mod inputs;
pub mod probe_files;

use serde::{Deserialize, Serialize};

use crate::base::digest::{Digest, FieldHasher};
use crate::config::model::{Command, CommandEnv, Port, Probe, Service, Task};
use crate::quality::JudgingContext;

/// It changes whenever equal fields would mean another result. With version 1 a gate could pass with files of
/// the user's work tree.
const FORMAT: &str = "taskgate key 2";

/// How many fields most keys have at most.
const FIELDS: usize = 12;

/// A key and what it is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The digest.
    pub digest: Digest,
    /// Its fields, in the order in which they are hashed.
    pub fields: Vec<Field>,
}

/// One field of a key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Field {
    /// The kind of the field.
    pub kind: FieldKind,
    /// The name within its kind, such as a variable's name; empty if there is only one.
    pub name: String,
    /// Its value; of a secret, the digest of its value.
    pub value: String,
}

/// The kinds of fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// A part of the task's definition, named as in tasks.toml.
    Definition,
    /// The digest of its input files.
    Inputs,
    /// A declared variable; the value starts with `=`, or is empty if it is unset.
    Variable,
    /// A secret variable.
    Secret,
    /// The output of a tool's probe.
    Tool,
    /// A needed task.
    Need,
    /// Operating system and architecture.
    Platform,
}

/// What a key is computed from.
#[derive(Clone, Debug)]
pub struct KeyInputs<'a> {
    /// The task.
    pub task: &'a Task,
    /// The arguments after `--`.
    pub args: &'a [String],
    /// The digest of its input files.
    pub inputs: Digest,
    /// Declared variables that enter the key, sorted by name; `None` is unset.
    pub variables: Vec<(String, Option<String>)>,
    /// Names of secrets and their values.
    pub secrets: Vec<(String, Option<String>)>,
    /// Names of tools and what their probes printed.
    pub tools: Vec<(String, String)>,
    /// Names of needed tasks and what they contribute.
    pub needs: Vec<(String, Contribution)>,
    /// The services that it uses, directly or not.
    pub services: Vec<&'a Service>,
    /// Operating system and architecture.
    pub platform: &'a str,
    /// The baseline and the date by which a gate is judged, as far as they are known.
    pub basis: Option<&'a JudgingContext>,
}

/// What a needed task contributes to the keys of those that need it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contribution {
    /// The digest of its outputs. Equal outputs have equal digests, however they were made.
    Outputs(Digest),
    /// Its key, since it declares no outputs.
    Key(Digest),
    /// Nothing, since it does not run on this system.
    Nothing,
}

impl Key {
    /// Computes the key.
    pub fn new(ingredients: &KeyInputs<'_>) -> Self {
        let mut writer = KeyWriter { hash: FieldHasher::new(FORMAT), fields: Vec::with_capacity(FIELDS) };
        let task = ingredients.task;
        writer.definition("task", &task.name);
        let how = if matches!(task.command(), Some(Command::Rust(_))) { "rust" } else { "run" };
        writer.definition(how, &task.command().map(command).unwrap_or_default());
        if matches!(task.command(), Some(Command::Shell(_))) {
            writer.definition("shell", &list(&task.env.shell));
        }
        writer.definition("args", &list(ingredients.args));
        writer.definition("cwd", &task.env.cwd.to_string());
        writer.definition("outputs", &outputs(task));
        // A field only if it is set, so that all other keys stay the same.
        if task.is_sandboxed() {
            writer.definition("sandbox", "true");
        }
        if !task.reports().is_empty() {
            writer.definition("reports", &gate::reports(task.reports()));
        }
        if let Some(gate) = task.gate() {
            for (name, value) in gate::fields(gate, ingredients.basis) {
                writer.definition(&name, &value);
            }
        }
        writer.add(FieldKind::Platform, "", ingredients.platform.to_owned());
        writer.add(FieldKind::Inputs, "", ingredients.inputs.hex());
        for (name, value) in &ingredients.variables {
            let value = value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
            writer.add(FieldKind::Variable, name, value);
        }
        for (name, value) in &ingredients.secrets {
            writer.add(FieldKind::Secret, name, secret(name, value.as_deref()));
        }
        for (name, output) in &ingredients.tools {
            writer.add(FieldKind::Tool, name, output.clone());
        }
        for (name, contribution) in &ingredients.needs {
            let value = match contribution {
                Contribution::Outputs(digest) => format!("outputs {digest}"),
                Contribution::Key(digest) => format!("key {digest}"),
                Contribution::Nothing => String::new(),
            };
            writer.add(FieldKind::Need, name, value);
        }
        if !task.env.services.is_empty() {
            // The names of its services decide which ports it gets.
            writer.definition("services", &named(&task.env));
        }
        for service in &ingredients.services {
            writer.service(service);
        }
        Self { digest: writer.hash.digest(), fields: writer.fields }
    }
}

struct KeyWriter {
    hash: FieldHasher,
    fields: Vec<Field>,
}

impl KeyWriter {
    fn definition(&mut self, name: &str, value: &str) {
        self.add(FieldKind::Definition, name, value.to_owned());
    }

    /// Writes the definition of a service as far as it matters to its users. Its files, variables from
    /// outside, tools and needs are fields of their own.
    fn service(&mut self, service: &Service) {
        let port = match service.port {
            None => String::new(),
            Some(Port::Auto) => "auto".to_owned(),
            Some(Port::Fixed(port)) => port.to_string(),
        };
        let mut part =
            |what, value: &str| self.definition(&format!("service {} {what}", service.name), value);
        part("run", &command(&service.command));
        if matches!(service.command, Command::Shell(_)) {
            part("shell", &list(&service.env.shell));
        }
        part("cwd", &service.env.cwd.to_string());
        part("port", &port);
        if !service.env.variables.set.is_empty() {
            // A map of text can always be written as JSON.
            part("env", &serde_json::to_string(&service.env.variables.set).unwrap_or_default());
        }
        if !service.env.services.is_empty() {
            part("services", &named(&service.env));
        }
        if let Some(Probe::Command(ready)) = &service.ready.probe {
            // The command may also prepare something.
            part("ready", &command(ready));
        }
    }

    fn add(&mut self, kind: FieldKind, name: &str, value: String) {
        self.hash.number(kind as u64).add(name.as_bytes()).add(value.as_bytes());
        self.fields.push(Field { kind, name: name.to_owned(), value });
    }
}

/// Returns the command in a form that is different for different commands: a line, or a list of words.
fn command(command: &Command) -> String {
    match command {
        Command::Shell(line) => line.clone(),
        Command::Argv(words) => list(words),
        Command::Rust(name) => name.clone(),
    }
}

fn list(words: &[String]) -> String {
    // Words of text can always be written as JSON.
    serde_json::to_string(words).unwrap_or_default()
}

fn outputs(task: &Task) -> String {
    task.outputs.to_string()
}

/// Returns the digest of a service's definition, without its files, variables from outside, tools and needs.
pub fn definition(service: &Service) -> Digest {
    let mut writer =
        KeyWriter { hash: FieldHasher::new("taskgate service definition 1"), fields: Vec::new() };
    writer.service(service);
    writer.hash.digest()
}

/// Returns the services that a task or a service names directly, whose ports are in its environment.
fn named(user: &CommandEnv) -> String {
    list(&user.services.keys().cloned().collect::<Vec<_>>())
}

/// Returns the digest of a secret together with its name, so that equal secrets of two variables have
/// different digests.
fn secret(name: &str, value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| {
        FieldHasher::new("taskgate secret 1").add(name.as_bytes()).add(value.as_bytes()).digest().hex()
    })
}
