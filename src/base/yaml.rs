//! Reads YAML into a JSON value. This module must not know what the value describes.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The maximum depth of nesting. Documents that people write are not deeper.
const MAX_DEPTH: usize = 64;
/// The maximum number of nodes. Documents that people write have fewer, but aliases of aliases can
/// expand to any number.
const MAX_NODES: usize = 100_000;

/// Why a text can't be read as YAML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct YamlError {
    /// The line number, starting at 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// Parses the only document of a text. Plain numbers, booleans and null keep their types.
///
/// # Errors
/// The text is not YAML, has no document or several, has a key twice, or is too large.
pub fn parse(text: &str) -> Result<Value, YamlError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| YamlError { line: error.marker().line(), problem: error.info().to_owned() })?;
        builder.line = span.start.line();
        builder.take(event)?;
    }
    let line = builder.line.max(1);
    builder.root.ok_or_else(|| YamlError { line, problem: "empty".to_owned() })
}

/// Quotes a text for YAML.
pub fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// Formats a text for a line of YAML. It is quoted only if YAML would read it as something else.
pub fn scalar(text: &str) -> String {
    let is_same = parse(&format!("- {text}\n")).is_ok_and(|value| value[0] == text && value[1].is_null())
        && !text.contains(['\n', '\r']);
    if is_same { text.to_owned() } else { quote(text) }
}

/// A list or map whose end has not been read yet.
struct OpenNode {
    anchor: usize,
    value: Value,
    /// The key of a map's next value.
    key: Option<String>,
}

#[derive(Default)]
struct Builder {
    open: Vec<OpenNode>,
    root: Option<Value>,
    /// The anchored values and their numbers of nodes, by the id of the anchor.
    anchors: BTreeMap<usize, (Value, usize)>,
    line: usize,
    nodes: usize,
}

impl Builder {
    fn error<T>(&self, problem: impl Into<String>) -> Result<T, YamlError> {
        Err(YamlError { line: self.line, problem: problem.into() })
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), YamlError> {
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some((value, size)) => {
                    self.nodes += size;
                    self.add(value)
                }
                None => self.error("an alias inside its own anchor"),
            },
            Event::Scalar(text, style, anchor, _) => self.finish(anchor, typed(text.into_owned(), style)),
            Event::SequenceStart(anchor, _) => self.begin(anchor, Value::Array(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(anchor, Value::Object(Map::new())),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.finish(open.anchor, open.value),
                None => self.error("an end without a begin"),
            },
        }
    }

    fn begin(&mut self, anchor: usize, value: Value) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return self.error(format!("it is more than {MAX_DEPTH} levels deep"));
        }
        self.open.push(OpenNode { anchor, value, key: None });
        Ok(())
    }

    fn finish(&mut self, anchor: usize, value: Value) -> Result<(), YamlError> {
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), count_nodes(&value)));
        }
        self.add(value)
    }

    fn add(&mut self, value: Value) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.error(format!("it has more than {MAX_NODES} nodes"));
        }
        let Some(open) = self.open.last_mut() else {
            if self.root.replace(value).is_some() {
                return self.error("it has more than one document");
            }
            return Ok(());
        };
        match (&mut open.value, open.key.take()) {
            (Value::Array(list), _) => list.push(value),
            (Value::Object(map), Some(key)) => {
                if map.contains_key(&key) {
                    return self.error(format!("the key `{key}` is there twice"));
                }
                map.insert(key, value);
            }
            (_, _) => match value {
                Value::String(text) => open.key = Some(text),
                Value::Array(_) | Value::Object(_) => return self.error("a key must be a string"),
                Value::Null => open.key = Some(String::new()),
                other => open.key = Some(other.to_string()),
            },
        }
        Ok(())
    }
}

fn count_nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count_nodes).sum(),
        Value::Object(map) => map.values().map(count_nodes).sum(),
        _ => 0,
    }
}

/// Returns the value of a scalar. Types that JSON knows too are kept; everything else is text.
fn typed(text: String, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text);
    }
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let starts_with_digit =
        text.trim_start_matches(['-', '+', '.']).starts_with(|c: char| c.is_ascii_digit());
    let number = text.parse::<i64>().map(Value::from).ok().or_else(|| Some(text.parse::<f64>().ok()?.into()));
    number.filter(|_| starts_with_digit).unwrap_or(Value::String(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        parse(text).map_or_else(|error| error.to_string(), |value| value.to_string())
    }

    #[test]
    fn documents_are_parsed_as_yaml_1_2() {
        let cases = [
            ("a: 1\nb: x", r#"{"a":1,"b":"x"}"#),
            ("on:\n  push:\n", r#"{"on":{"push":null}}"#),
            ("a: '1'\nb: no\nc: True", r#"{"a":"1","b":"no","c":true}"#),
            ("a: |\n  one\n  two\n", r#"{"a":"one\ntwo\n"}"#),
            ("a: &x [1]\nb: *x", r#"{"a":[1],"b":[1]}"#),
            ("- 1.5\n- 1.5.0\n- v1\n- 5433:5432", r#"[1.5,"1.5.0","v1","5433:5432"]"#),
            ("", "line 1: empty"),
            ("a: 1\na: 2", "line 2: the key `a` is there twice"),
            ("a\n---\nb", "line 3: it has more than one document"),
            ("? [a]\n: 1", "line 1: a key must be a string"),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text), expected, "{text}");
        }
        assert!(parsed("a: [1\nb: 2").starts_with("line "), "{}", parsed("a: [1\nb: 2"));
    }

    #[test]
    fn documents_that_could_exhaust_memory_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        assert!(parsed(&text).contains("more than 100000 nodes"));
        let deep = "- ".repeat(100) + "x";
        assert!(parsed(&deep).contains("more than 64 levels deep"), "{}", parsed(&deep));
        assert!(parsed(&"[".repeat(100_000)).starts_with("line "), "{}", parsed(&"[".repeat(100_000)));
    }
}
