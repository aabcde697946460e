//! YAML as a tree with the lines of its nodes. It must not know what the tree is of.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// What people write is not deeper.
const DEPTH: usize = 64;
/// What people write has fewer nodes; aliases of aliases may stand for any number.
const NODES: usize = 100_000;

/// A node and the line it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The line, counted from 1.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number, a boolean or nothing, as it is written.
    Plain(String),
    /// A text.
    Text(String),
    /// Nodes in their order.
    List(Vec<Node>),
    /// Nodes by their names.
    Map(BTreeMap<String, Node>),
}

/// Why a text is no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TreeError {
    /// Where.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads the one document of a text.
///
/// # Errors
/// It is not YAML, it has no document or several, or something in it can't be compared.
pub fn read(text: &str) -> Result<Node, TreeError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| TreeError { line: error.marker().line(), what: error.info().to_owned() })?;
        builder.line = span.start.line();
        builder.take(event)?;
    }
    let line = builder.line.max(1);
    builder.root.ok_or_else(|| TreeError { line, what: "there is nothing in it".to_owned() })
}

/// A list or map that is not yet complete.
struct Open {
    line: usize,
    anchor: usize,
    value: Value,
    /// The name that the next node of a map has.
    key: Option<String>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, (Node, usize)>,
    line: usize,
    nodes: usize,
}

impl Builder {
    fn error<T>(&self, what: impl Into<String>) -> Result<T, TreeError> {
        Err(TreeError { line: self.line, what: what.into() })
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), TreeError> {
        let line = self.line;
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some((node, size)) => {
                    self.nodes += size;
                    self.add(node)
                }
                None => self.error("an alias of something that is not complete"),
            },
            Event::Scalar(text, style, anchor, _) => {
                let node = Node { line, value: scalar(text.into_owned(), style) };
                self.remember(anchor, &node, 1);
                self.add(node)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, Value::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(anchor, Value::Map(BTreeMap::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return self.error("an end without a begin") };
                let node = Node { line: open.line, value: open.value };
                if open.anchor > 0 {
                    let size = node.size();
                    self.remember(open.anchor, &node, size);
                }
                self.add(node)
            }
        }
    }

    fn begin(&mut self, anchor: usize, value: Value) -> Result<(), TreeError> {
        if self.open.len() >= DEPTH {
            return self.error(format!("it is more than {DEPTH} levels deep"));
        }
        self.open.push(Open { line: self.line, anchor, value, key: None });
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node, size: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
    }

    fn add(&mut self, node: Node) -> Result<(), TreeError> {
        self.nodes += 1;
        if self.nodes > NODES {
            return self.error(format!("it has more than {NODES} nodes"));
        }
        let Some(open) = self.open.last_mut() else {
            if self.root.replace(node).is_some() {
                return self.error("there is a second document");
            }
            return Ok(());
        };
        match (&mut open.value, open.key.take()) {
            (Value::List(list), _) => list.push(node),
            (Value::Map(map), Some(key)) => {
                if map.contains_key(&key) {
                    let what = format!("`{key}` is there twice");
                    return Err(TreeError { line: node.line, what });
                }
                map.insert(key, node);
            }
            (_, None) => match node.value {
                Value::Plain(text) | Value::Text(text) => open.key = Some(text),
                Value::List(_) | Value::Map(_) => return self.error("a name has to be a text"),
            },
            (_, Some(_)) => return self.error("a node without a place"),
        }
        Ok(())
    }
}

impl Node {
    /// How many nodes it is.
    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Plain(_) | Value::Text(_) => 0,
            Value::List(list) => list.iter().map(Self::size).sum(),
            Value::Map(map) => map.values().map(Self::size).sum(),
        }
    }

    /// The node of this name, if it is a map.
    pub fn get(&self, name: &str) -> Option<&Self> {
        if let Value::Map(map) = &self.value { map.get(name) } else { None }
    }

    /// Its nodes, if it is a list.
    pub fn list(&self) -> &[Self] {
        if let Value::List(list) = &self.value { list } else { &[] }
    }

    /// Its text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The same on one line, at most so many characters of it.
    pub fn brief(&self, most: usize) -> String {
        let whole = self.flow();
        if whole.chars().count() <= most {
            return whole;
        }
        let start: String = whole.chars().take(most.saturating_sub(1)).collect();
        format!("{start}…")
    }

    /// The same on one line.
    pub fn flow(&self) -> String {
        match &self.value {
            Value::Plain(text) if text.is_empty() => "nothing".to_owned(),
            Value::Plain(text) => text.clone(),
            Value::Text(text) => quoted(text),
            Value::List(list) => {
                let parts: Vec<String> = list.iter().map(Self::flow).collect();
                format!("[{}]", parts.join(", "))
            }
            Value::Map(map) => {
                let parts: Vec<String> =
                    map.iter().map(|(key, node)| format!("{key}: {}", node.flow())).collect();
                format!("{{{}}}", parts.join(", "))
            }
        }
    }
}

/// A text between quotes, as YAML and people read it.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let is_plain = style == ScalarStyle::Plain;
    let nothing = ["", "~", "null", "Null", "NULL"];
    if is_plain && nothing.contains(&&*text) {
        return Value::Plain(String::new());
    }
    let switch = ["true", "True", "TRUE", "false", "False", "FALSE"];
    if is_plain && switch.contains(&&*text) {
        return Value::Plain(text.to_ascii_lowercase());
    }
    let begins = text.trim_start_matches(['-', '+', '.']).starts_with(|c: char| c.is_ascii_digit());
    if is_plain && begins && text.parse::<f64>().is_ok() {
        return Value::Plain(text);
    }
    Value::Text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(text: &str) -> String {
        match read(text) {
            Ok(node) => node.brief(200),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_tree_is_what_yaml_means() {
        let cases = [
            ("a: 1\nb: x", r#"{a: 1, b: "x"}"#),
            ("b: x\na: 1", r#"{a: 1, b: "x"}"#),
            ("on:\n  push:\n", "{on: {push: nothing}}"),
            ("a: '1'\nb: no\nc: True", r#"{a: "1", b: "no", c: true}"#),
            ("a: |\n  one\n  two\n", r#"{a: "one\ntwo\n"}"#),
            ("a: &x [1]\nb: *x", "{a: [1], b: [1]}"),
            ("- 1.5\n- 1.5.0\n- v1", r#"[1.5, "1.5.0", "v1"]"#),
            ("", "line 1: there is nothing in it"),
            ("a: 1\na: 2", "line 2: `a` is there twice"),
            ("a\n---\nb", "line 3: there is a second document"),
            ("? [a]\n: 1", "line 1: a name has to be a text"),
        ];
        for (text, expected) in cases {
            assert_eq!(brief(text), expected, "{text}");
        }
        assert!(brief("a: [1\nb: 2").starts_with("line "), "{}", brief("a: [1\nb: 2"));
    }

    #[test]
    fn what_could_fill_the_memory_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        assert!(brief(&text).contains("more than 100000 nodes"));
        let deep = "- ".repeat(100) + "x";
        assert!(brief(&deep).contains("more than 64 levels deep"), "{}", brief(&deep));
        assert!(brief(&"[".repeat(100_000)).starts_with("line "), "{}", brief(&"[".repeat(100_000)));
    }

    #[test]
    fn a_long_node_is_cut() {
        assert_eq!(read("a: abcdefgh").unwrap().brief(8), "{a: \"ab…");
    }
}
