//! Parses the standard input of a pre-push hook, in which git writes a line for each ref that it is
//! about to push. Pure; this module does not look up the ids.
//!
//! By `githooks(5)`, a line is `<local ref> SP <local id> SP <remote ref> SP <remote id> LF`. It is
//! split from the right, because the local ref is what the user wrote, which may be `HEAD`, an id,
//! `(delete)` or an expression that contains spaces.

/// A ref that is about to be pushed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PushedRef {
    /// What is pushed, as the user wrote it.
    pub local_ref: String,
    /// The id of the object that is pushed, in hexadecimal; all zeros for a deletion.
    pub id: String,
    /// The ref of the remote that is updated.
    pub remote_ref: String,
}

/// A line of the hook's input that has an unknown format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {number} of git's pre-push input has an unknown format: `{text}`")]
pub struct PushError {
    /// The number of the line, from 1.
    pub number: usize,
    /// The start of the line, with control characters escaped.
    pub text: String,
}

impl PushedRef {
    /// Returns whether the push deletes the remote ref.
    pub fn is_deletion(&self) -> bool {
        self.id.bytes().all(|digit| digit == b'0')
    }
}

/// Parses all lines.
///
/// # Errors
/// Fails if a line is invalid, because it is then unknown what is pushed.
pub fn parse(input: &[u8]) -> Result<Vec<PushedRef>, PushError> {
    let lines = input.strip_suffix(b"\n").unwrap_or(input);
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let read = |(at, bytes): (usize, &[u8])| {
        line(bytes).ok_or_else(|| {
            let text = String::from_utf8_lossy(bytes).escape_debug().take(200).collect();
            PushError { number: at + 1, text }
        })
    };
    lines.split(|byte| *byte == b'\n').enumerate().map(read).collect()
}

fn line(bytes: &[u8]) -> Option<PushedRef> {
    let mut parts = bytes.rsplitn(4, |byte| *byte == b' ');
    let (remote_id, remote_ref, id) = (parts.next()?, parts.next()?, parts.next()?);
    let local_ref = parts.next()?;
    let is_id = |id: &[u8]| {
        matches!(id.len(), 40 | 64) && id.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    };
    if !is_id(id) || !is_id(remote_id) || local_ref.is_empty() || remote_ref.is_empty() {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(PushedRef { local_ref: text(local_ref), id: text(id), remote_ref: text(remote_ref) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn read(text: &str) -> Result<Vec<(String, String, bool)>, usize> {
        let pushed = parse(text.as_bytes()).map_err(|error| error.number)?;
        Ok(pushed.into_iter().map(|p| (p.local_ref.clone(), p.remote_ref.clone(), p.is_deletion())).collect())
    }

    #[test]
    fn valid_lines_are_parsed() {
        let long = "a".repeat(64);
        let zeros = "0".repeat(64);
        let cases = [
            (String::new(), vec![]),
            (
                format!("refs/heads/a {ONE} refs/heads/b {ZERO}\n"),
                vec![("refs/heads/a", "refs/heads/b", false)],
            ),
            (format!("HEAD {ONE} refs/heads/b {ONE}"), vec![("HEAD", "refs/heads/b", false)]),
            (
                format!("HEAD@{{1 day ago}} {ONE} refs/heads/b {ZERO}\n"),
                vec![("HEAD@{1 day ago}", "refs/heads/b", false)],
            ),
            (format!("(delete) {ZERO} refs/heads/b {ONE}\n"), vec![("(delete)", "refs/heads/b", true)]),
            (format!("(delete) {zeros} refs/heads/b {long}\n"), vec![("(delete)", "refs/heads/b", true)]),
            (format!("a {ONE} b {ZERO}\nc {ONE} d {ZERO}\n"), vec![("a", "b", false), ("c", "d", false)]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> =
                expected.into_iter().map(|(l, r, d)| (l.to_owned(), r.to_owned(), d)).collect();
            assert_eq!(read(&text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn invalid_line_is_refused_with_its_number() {
        let good = format!("a {ONE} b {ZERO}");
        let cases = [
            (" ".to_owned(), 1),
            ("\n\n".to_owned(), 1),
            (format!("{good}\n\n"), 2),
            (format!("{good}\nfoo\n"), 2),
            (format!("a {ONE} b"), 1),
            (format!(" {ONE} b {ZERO}"), 1),
            (format!("a {ONE}  {ZERO}"), 1),
            (format!("a {} b {ZERO}", &ONE[1..]), 1),
            (format!("a {} b {ZERO}", "G".repeat(40)), 1),
            (format!("a {ONE} b {ZERO}\r"), 1),
        ];
        for (text, line) in cases {
            assert_eq!(read(&text), Err(line), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn written_lines_are_parsed_back(local in "[^\\n\\x00]{1,30}", remote in "[a-z/]{1,20}", digit in "[0-9a-f]") {
            let id = digit.repeat(40);
            let text = format!("{local} {id} {remote} {ZERO}\n");
            let pushed = parse(text.as_bytes()).unwrap();
            prop_assert_eq!(&pushed[0].local_ref, &local);
            prop_assert_eq!(&pushed[0].remote_ref, &remote);
            prop_assert_eq!(pushed[0].is_deletion(), digit == "0");
        }

        #[test]
        fn any_input_is_parsed_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
