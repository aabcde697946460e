//! How messages show names from a file, and which names they suggest instead.

use crate::base::name;
use crate::config::diagnostic::Diagnostic;
use crate::config::syntax::document::Text;

/// Returns a name on one line, escaped and not too long.
pub(crate) fn escape_name(name: &str) -> String {
    let escaped: String = name.escape_debug().take(60).collect();
    if name.chars().count() > 60 { format!("{escaped}…") } else { escaped }
}

/// Returns `did you mean …?` with the nearest known name, or the list of known names.
pub(crate) fn suggestion<'a>(
    given: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    prefix: &str,
    none: &str,
) -> String {
    if let Some(near) = name::nearest(given, known.clone()) {
        return format!("did you mean `{prefix}{near}`?");
    }
    let mut names: Vec<String> = known.take(9).map(|name| format!("`{prefix}{name}`")).collect();
    match names.len() {
        0 => none.to_owned(),
        9 => {
            names.truncate(8);
            format!("there are {} and more", names.join(", "))
        }
        1 => format!("there is only {}", names[0]),
        _ => format!("there are {}", names.join(", ")),
    }
}

/// Reports a text that can't be a name.
pub(crate) fn invalid_name(name: &Text<'_>, what: &str) -> Option<Diagnostic> {
    let why = name::invalid_reason(name.text)?;
    let message = match escape_name(name.text) {
        empty if empty.is_empty() => format!("the name of {what} is empty"),
        shown => format!("`{shown}` can't be the name of {what}"),
    };
    Some(Diagnostic::new(name.span.clone(), message).label("not a name").hint(why))
}
