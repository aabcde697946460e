//! Quotes text for TOML. It must not know what the text means.

/// Returns a basic string.
pub(super) fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Returns an array of strings on one line.
pub(super) fn array<S: AsRef<str>>(texts: &[S]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| string(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// Returns an array of strings, on several lines if it is long.
pub(super) fn lines<S: AsRef<str>>(texts: &[S]) -> String {
    const WIDTH: usize = 100;
    let one = array(texts);
    if one.len() <= WIDTH {
        return one;
    }
    let (mut out, mut line) = (String::from("[\n"), String::new());
    for text in texts.iter().map(|text| string(text.as_ref()) + ",") {
        if !line.is_empty() && line.len() + text.len() >= WIDTH {
            out.push_str(&format!("    {line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&text);
    }
    out.push_str(&format!("    {line}\n]"));
    out
}

/// Returns a key, quoted if it has to be.
pub(super) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { string(name) }
}

/// Returns text for a comment: one short line without control characters.
pub(super) fn comment(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim();
    if plain.chars().count() > 200 {
        plain.chars().take(199).chain(['…']).collect()
    } else {
        plain.to_owned()
    }
}
