//! The variables of a slot as the text of a file that a shell, systemd and supervisors read, and placeholders in
//! the texts of tasks.toml. It must not know how either gets to a host.

use std::collections::BTreeMap;

/// Why variables can't be written into a file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VariableError {
    /// A shell can't have a variable of this name.
    #[error("`{0}` is not the name of a variable")]
    Name(String),
    /// The value of this variable contains a NUL byte.
    #[error("the value of {0} contains a NUL byte")]
    Value(String),
}

/// Returns variables as lines `NAME="value"`, in which backslash, double quote, dollar and backtick are escaped.
///
/// # Errors
/// A name or a value is not possible.
pub fn env_file(variables: &BTreeMap<String, String>) -> Result<String, VariableError> {
    let mut text = String::new();
    for (name, value) in variables {
        let is_part = |(position, c): (usize, char)| {
            c == '_' || c.is_ascii_alphabetic() || (position > 0 && c.is_ascii_digit())
        };
        if name.is_empty() || !name.chars().enumerate().all(is_part) {
            return Err(VariableError::Name(name.clone()));
        }
        if value.contains('\0') {
            return Err(VariableError::Value(name.clone()));
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            if matches!(c, '\\' | '"' | '$' | '`') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    Ok(text)
}

/// Returns a text as one word of a shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Replaces placeholders such as `{{ slot }}`. Other text in double braces stays as it is.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let found = after.split_once("}}").and_then(|(name, after)| {
            values.iter().find(|(known, _)| *known == name.trim()).map(|(_, value)| (value, after))
        });
        match found {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_reads_back_every_value() {
        let values = [
            "",
            "plain",
            "two words",
            "$HOME `id` \"x\" 'y' \\ \\n",
            "a\nb\n",
            "ä#;&|<>*?~!",
            "end-of-content",
        ];
        for value in values {
            let text = env_file(&BTreeMap::from([("NAME".to_owned(), value.to_owned())])).unwrap();
            let script = format!("{text}printf '%s.' \"$NAME\"");
            let shown = duct::cmd!("/bin/sh", "-c", script).read().unwrap();
            assert_eq!(shown, format!("{value}."));
        }
    }

    #[test]
    fn impossible_names_and_values_are_refused() {
        for name in ["", "1A", "A-B", "A B", "A=B", "Ä", "A\nB"] {
            let variables = BTreeMap::from([(name.to_owned(), String::new())]);
            assert_eq!(env_file(&variables), Err(VariableError::Name(name.to_owned())));
        }
        let variables = BTreeMap::from([("_a1".to_owned(), "x\0".to_owned())]);
        assert_eq!(env_file(&variables), Err(VariableError::Value("_a1".to_owned())));
    }

    #[test]
    fn quoted_text_is_one_word() {
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn known_placeholders_are_filled_in() {
        let values = [("slot", "blue"), ("port", "8001")];
        let cases = [
            ("start shop@{{ slot }}", "start shop@blue"),
            ("{{slot}}:{{ port }}", "blue:8001"),
            ("{{ other }} {{ slot }}", "{{ other }} blue"),
            ("{{ {{ slot }} }}", "{{ blue }}"),
            ("${X} {{", "${X} {{"),
            ("plain", "plain"),
        ];
        for (text, expected) in cases {
            assert_eq!(fill(text, &values), expected);
        }
    }
}
