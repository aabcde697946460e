//! Text put into TOML so that it is read as what it was. It must not know what the text is.

/// A basic string.
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

/// An array of strings on one line.
pub(super) fn array<S: AsRef<str>>(texts: &[S]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| string(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// An array of strings, on as many lines as it takes.
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

/// A key, bare if it can be.
pub(super) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { string(name) }
}

/// What can stand in a comment: one line without control characters, not too long.
pub(super) fn comment(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim();
    if plain.chars().count() > 200 {
        plain.chars().take(199).chain(['…']).collect()
    } else {
        plain.to_owned()
    }
}
