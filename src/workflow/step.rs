//! Steps of a GitHub workflow, and their text. It must not know what they are for.

use serde_json::{Map, Value};

use crate::base::yaml::{self, quote, scalar};
use crate::workflow::pin::Pin;
use crate::workflow::rows;

/// A step of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its keys.
    pub keys: Map<String, Value>,
    /// The comment after the action, which names the version of a pinned commit.
    pub comment: Option<String>,
}

/// The order in which people write the keys of a step; others come last.
const ORDER: [&str; 9] = ["name", "image", "id", "uses", "with", "env", "working-directory", "shell", "run"];

impl Step {
    /// Creates a step that uses an action.
    pub fn uses(pin: Pin) -> Self {
        let uses = pin.uses();
        let (action, comment) = uses.split_once(" # ").unwrap_or((&uses, ""));
        let keys = [("uses".to_owned(), Value::from(action))].into_iter().collect();
        Self { keys, comment: Some(comment.to_owned()) }
    }

    /// Creates a step that runs a line.
    pub fn run(name: &str, line: &str) -> Self {
        let keys = [("name".to_owned(), Value::from(name)), ("run".to_owned(), Value::from(line))];
        Self { keys: keys.into_iter().collect(), comment: None }
    }

    /// Adds an input of the action.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let inputs = self.keys.entry("with").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(inputs) = inputs {
            inputs.insert(key.to_owned(), value.into());
        }
        self
    }

    /// Runs it in a folder; the top is the default.
    pub fn in_folder(mut self, folder: &str) -> Self {
        if !folder.is_empty() {
            self.keys.insert("working-directory".to_owned(), folder.into());
        }
        self
    }

    /// Returns the action, without its version.
    pub fn action(&self) -> Option<&str> {
        self.keys.get("uses")?.as_str().map(|uses| uses.split('@').next().unwrap_or(uses))
    }

    /// Returns the script.
    pub fn script(&self) -> Option<&str> {
        self.keys.get("run")?.as_str()
    }

    /// Returns what it does in a few words, for messages.
    pub fn label(&self) -> String {
        match (self.action(), self.script()) {
            (Some(action), _) => action.to_owned(),
            (None, Some(script)) => script.trim().lines().next().unwrap_or_default().to_owned(),
            (None, None) => "an empty step".to_owned(),
        }
    }

    /// Returns the lines of the step in a list that is indented by `indent`.
    pub fn lines(&self, indent: usize) -> Vec<String> {
        let mut keys: Vec<(&String, &Value)> = self.keys.iter().collect();
        keys.sort_by_key(|(key, _)| ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len()));
        let mut lines = Vec::new();
        for (key, value) in keys {
            let mut text = entry(key, value);
            if let Some(comment) =
                self.comment.as_ref().filter(|comment| key == "uses" && !comment.is_empty())
            {
                text = text.trim_end().to_owned() + " # " + comment;
            }
            for line in text.lines() {
                let start = if lines.is_empty() { "- " } else { "  " };
                let line = format!("{}{start}{line}", " ".repeat(indent));
                lines.push(line.trim_end().to_owned());
            }
        }
        lines
    }
}

/// Writes a key with its value.
fn entry(key: &str, value: &Value) -> String {
    let key = scalar(key);
    match value {
        Value::Object(map) if !map.is_empty() => {
            let inner: String = map.iter().map(|(key, value)| entry(key, value)).collect();
            format!("{key}:\n{}", indented(&inner))
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            let items = items.iter().filter_map(Value::as_str);
            format!("{key}:\n{}", rows(items.map(|item| format!("  - {}\n", scalar(item)))))
        }
        Value::Array(items) => format!("{key}: {}\n", Value::Array(items.clone())),
        Value::String(text) if text.contains('\n') => {
            let mark = if text.ends_with('\n') { "|" } else { "|-" };
            let block = format!("{key}: {mark}\n{}", indented(text));
            // Text with odd spaces or line ends has no such form.
            let is_same = yaml::parse(&block).is_ok_and(|value| value[&*key] == text.as_str());
            if is_same { block } else { format!("{key}: {}\n", quote(text)) }
        }
        Value::String(text) => format!("{key}: {}\n", scalar(text)),
        other => format!("{key}: {other}\n"),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn step_is_written_as_it_was_read() {
        let values = [
            json!({ "uses": "a/b@v1", "with": { "node-version": "20", "cache": "npm", "fast": true } }),
            json!({ "name": "x: y", "run": "one\n\n  two ${{ matrix.a }}\n", "env": { "A": "1" } }),
            json!({ "run": "a\nb", "working-directory": "web", "shell": "bash" }),
            json!({ "run": "  odd\n\ttext \n" }),
            json!({ "run": "echo '# no comment' # one", "with": { "python-version": "3.10", "n": [1, "b"], "l": ["a", "1", "x: y"] } }),
        ];
        for value in values {
            let step = Step { keys: value.as_object().unwrap().clone(), comment: Some("v9".to_owned()) };
            let text = format!("steps:\n{}\n", step.lines(2).join("\n"));
            assert_eq!(yaml::parse(&text).unwrap()["steps"], json!([value]), "{text}");
        }
    }
}
