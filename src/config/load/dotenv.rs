//! Parses the files that `env-file` names: one `NAME=value` a line. It must not show a value in a message,
//! since values may be secrets.
//!
//! `export` before a name, empty lines and lines that begin with `#` are skipped. A value without quotes ends
//! before ` #` or at the end of its line. Text in single quotes is literal. In double quotes, `
//! `, `\r`, `\t`, `\"`, `\$` and `\\` are escapes. Quoted values may span lines. Nothing is expanded: a `$`
//! is a `$`.

use std::fmt;

use crate::config::diagnostic::{Diagnostic, DiagnosticSink, FileDiagnostics};

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// An error of a file with its line, counted from 0.
struct DotenvError {
    line: usize,
    message: &'static str,
    hint: &'static str,
}

/// Parses the variables of a file, in the order of the file.
///
/// # Errors
/// Returns the first line that can't be parsed, shown without its value.
pub(crate) fn read(file: &str, bytes: &[u8]) -> Result<Vec<(String, SecretText)>, FileDiagnostics> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count() - 1;
        let (message, hint) = ("a line that is not UTF-8 text", "save the file as UTF-8");
        file_error(file, &String::from_utf8_lossy(bytes), &DotenvError { line, message, hint })
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A checkout may have other line ends than the commit. Values that span lines must be the same in both.
    let text = &*text.replace("\r\n", "\n");
    let mut rest = text;
    let mut variables = Vec::new();
    while !rest.is_empty() {
        match next(rest) {
            Ok((variable, after)) => {
                variables.extend(variable);
                rest = after;
            }
            Err(mut fault) => {
                fault.line += text[..text.len() - rest.len()].matches('\n').count();
                return Err(file_error(file, text, &fault));
            }
        }
    }
    Ok(variables)
}

/// A variable with its value.
type Variable = (String, SecretText);

/// Parses the variable at the start of `rest`, if that line has one. Also returns the text after it.
fn next(rest: &str) -> Result<(Option<Variable>, &str), DotenvError> {
    let read = line(rest)?;
    match &read.0 {
        Some((_, SecretText(value))) if value.contains('\0') => {
            let (message, hint) = ("a NUL in a value", "remove it: no variable can contain one");
            Err(DotenvError { line: 0, message, hint })
        }
        _ => Ok(read),
    }
}

/// Parses like [`next`], but allows any value.
fn line(rest: &str) -> Result<(Option<Variable>, &str), DotenvError> {
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok((None, after));
    }
    let exported = line.trim_start();
    let line =
        exported.strip_prefix("export").filter(|after| after.starts_with([' ', '\t'])).unwrap_or(exported);
    let fault = |message, hint| DotenvError { line: 0, message, hint };
    let Some((name, value)) = line.split_once('=') else {
        return Err(fault("a line without `=`", "write NAME=value, or `#` in front of a comment"));
    };
    let name = name.trim();
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_letter) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(fault("not the name of a variable", "a name has letters, digits and `_`"));
    }
    if name.starts_with("XTASK_") {
        return Err(fault("variables that begin with `XTASK_` are set by taskgate", "use another name"));
    }
    let value = value.trim_start_matches([' ', '\t']);
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            // A quoted value may continue on the next line.
            let start = rest.len() - after.len() - usize::from(rest.contains('\n')) - value.len();
            let (value, after) = quoted(&rest[start + 1..], quote)?;
            Ok((Some((name.to_owned(), SecretText(value))), after))
        }
        _ => {
            let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
            let value = if value.starts_with('#') { "" } else { value[..end].trim_end() };
            Ok((Some((name.to_owned(), SecretText(value.to_owned()))), after))
        }
    }
}

/// Parses a value up to its closing quote. Also returns the text after the line of that quote.
fn quoted(rest: &str, quote: char) -> Result<(String, &str), DotenvError> {
    let mut value = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let (tail, after) = rest[at + 1..].split_once('\n').unwrap_or((&rest[at + 1..], ""));
            let tail = tail.trim();
            if !tail.is_empty() && !tail.starts_with('#') {
                let line = rest[..at].matches('\n').count();
                let (message, hint) =
                    ("something follows the closing quote", "remove it, or write `\\\"` within the quotes");
                return Err(DotenvError { line, message, hint });
            }
            return Ok((value, after));
        }
        match (quote, c) {
            ('"', '\\') => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(c @ ('"' | '$' | '\\')) => value.push(c),
                other => {
                    value.push('\\');
                    value.extend(other);
                }
            },
            _ => value.push(c),
        }
    }
    let (message, hint) =
        ("a quote that is never closed", "close it, or put the value between single quotes");
    Err(DotenvError { line: 0, message, hint })
}

/// Returns the error with the file's lines, in which all values are replaced by `…`.
fn file_error(file: &str, text: &str, fault: &DotenvError) -> FileDiagnostics {
    let mut picture = String::new();
    let mut span = 0..0;
    for (number, line) in text.lines().enumerate() {
        if number == fault.line {
            let shown = line.split_once('=').map_or("", |(name, _)| name);
            let is_name = shown.len() <= 60 && shown.chars().all(|c| c.is_ascii_graphic() || c == ' ');
            let start = picture.len();
            picture.push_str(if is_name && !shown.is_empty() { shown } else { "…" });
            span = start..picture.len();
            picture.push_str(if is_name && !shown.is_empty() { "=…" } else { "" });
        }
        picture.push('\n');
    }
    let mut sink = DiagnosticSink::default();
    sink.add(
        Diagnostic::new(span, fault.message).label("can't be read; values are not shown").hint(fault.hint),
    );
    FileDiagnostics::new(file, &picture, sink)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::diagnostic::Diagnostics;

    fn parse_ok(text: &str) -> Vec<(String, String)> {
        let read = read(".env", text.as_bytes())
            .unwrap_or_else(|invalid_files| panic!("{}", Diagnostics::new(vec![invalid_files])));
        read.into_iter().map(|(name, value)| (name, value.0)).collect()
    }

    #[test]
    fn dotenv_values_are_parsed() {
        for (line, expected) in [
            ("A=b", "b"),
            ("export A=b", "b"),
            ("export\tA=b", "b"),
            ("  A = b c  ", "b c"),
            ("A=", ""),
            ("A= # none", ""),
            ("A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A=$B${C}", "$B${C}"),
            ("A='b # \\n c' # x", "b # \\n c"),
            ("A=\"b\\n\\\"c\\\"\\$ \\d\"", "b\n\"c\"$ \\d"),
            ("A=\"b\nc\"", "b\nc"),
            ("A=b=c==", "b=c=="),
            ("\u{feff}A=b\r", "b"),
            ("A='b\r\nc'\r\n", "b\nc"),
            ("A=it's", "it's"),
        ] {
            assert_eq!(
                parse_ok(&format!("{line}\n# next\n\nB=2")),
                [("A".to_owned(), expected.to_owned()), ("B".to_owned(), "2".to_owned())],
                "{line}"
            );
        }
    }

    #[test]
    fn errors_have_their_line_and_show_no_value() {
        for (text, line, message) in [
            ("A=1\nhunter2\n", 2, "a line without `=`"),
            ("A=1\n\n1A=hunter2", 3, "not the name of a variable"),
            ("A='hunter2\nB=2\n", 1, "a quote that is never closed"),
            ("A='x'\nB='x\ny' hunter2", 3, "something follows"),
            ("XTASK_A=hunter2", 1, "are set by taskgate"),
            ("exportA x=hunter2", 1, "not the name of a variable"),
            ("A=1\nB=hunter2\0x", 2, "a NUL in a value"),
            ("A=1\nB=\"hunter2\n\0\"", 2, "a NUL in a value"),
        ] {
            let file_error = Diagnostics::new(vec![read(".env", text.as_bytes()).unwrap_err()]).render(false);
            assert!(
                file_error.contains(message) && file_error.contains(&format!(".env:{line}:")),
                "{file_error}"
            );
            assert!(!file_error.contains("hunter2"), "{file_error}");
        }
    }

    #[test]
    fn invalid_utf8_is_reported_with_its_line() {
        let invalid_files = read(".env", b"A=1\nB=hunter2\xff\nC=3").unwrap_err();
        let file_error = Diagnostics::new(vec![invalid_files]).render(false);
        assert!(
            file_error.contains("a line that is not UTF-8 text") && file_error.contains(".env:2:"),
            "{file_error}"
        );
        assert!(!file_error.contains("hunter2"), "{file_error}");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in r"[A-C =#'\x22\\\n$xé]{0,60}") {
            let _ = read(".env", text.as_bytes());
        }

        #[test]
        fn quoted_values_round_trip(value in r"[^\x00]*") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            // Line ends of a file are read as `\n`, within quotes too.
            let expected = value.replace("\r\n", "\n");
            prop_assert_eq!(&parse_ok(&format!("A=\"{escaped}\""))[0].1, &expected);
        }
    }
}
