//! The parts of a generated file that people write, between lines `xtask: begin NAME` and `xtask: end
//! NAME`. It must not know what is in them.

use std::collections::BTreeMap;

/// The lines of each part, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(BTreeMap<String, Vec<String>>);

/// Why the parts of a text can't be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct PartError {
    /// Where.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// A line that begins or ends a part.
enum Mark<'t> {
    Begin(&'t str),
    End(&'t str),
}

impl<'t> Mark<'t> {
    /// The mark in a comment of YAML or Markdown.
    fn of(line: &'t str) -> Option<Self> {
        let line = line.trim();
        let inner = line
            .strip_prefix("# ")
            .or_else(|| line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")))?;
        let rest = inner.strip_prefix("xtask: ")?;
        let named = |word: &str| rest.strip_prefix(word).map(str::trim).filter(|name| !name.is_empty());
        named("begin ").map(Self::Begin).or_else(|| named("end ").map(Self::End))
    }
}

impl Parts {
    /// The parts of a text.
    ///
    /// # Errors
    /// A part has no end, begins within another, or is there twice.
    pub fn read(text: &str) -> Result<Self, PartError> {
        let mut parts = BTreeMap::new();
        let mut open: Option<(usize, &str, Vec<String>)> = None;
        for (at, line) in text.lines().enumerate() {
            let error = |what: String| PartError { line: at + 1, what };
            match (Mark::of(line), &mut open) {
                (None, Some((_, _, lines))) => lines.push(line.to_owned()),
                (None, None) => {}
                (Some(Mark::Begin(name)), None) if parts.contains_key(name) => {
                    return Err(error(format!("the part `{name}` begins a second time")));
                }
                (Some(Mark::Begin(name)), None) => open = Some((at + 1, name, Vec::new())),
                (Some(Mark::End(name)), Some((_, begun, _))) if name == *begun => {
                    let lines = open.take().map(|(_, _, lines)| lines).unwrap_or_default();
                    parts.insert(name.to_owned(), lines);
                }
                (Some(Mark::Begin(name)), Some((_, begun, _))) => {
                    return Err(error(format!("the part `{name}` begins within the part `{begun}`")));
                }
                (Some(Mark::End(name)), _) => {
                    return Err(error(format!("the part `{name}` ends here and does not begin")));
                }
            }
        }
        match open {
            Some((line, name, _)) => {
                Err(PartError { line, what: format!("the part `{name}` has no line `xtask: end {name}`") })
            }
            None => Ok(Self(parts)),
        }
    }

    /// One part with these lines.
    pub(super) fn one(name: &str, lines: String) -> Self {
        Self(BTreeMap::from([(name.to_owned(), vec![lines])]))
    }

    /// The names of the parts of a text, each with what stands before its first mark.
    pub(super) fn places(text: &str) -> Vec<(&str, &str)> {
        let marks = text.lines().filter_map(|line| match Mark::of(line)? {
            Mark::Begin(name) => Some((name, &line[..line.len() - line.trim_start().len()])),
            Mark::End(_) => None,
        });
        marks.collect()
    }

    /// A text with these parts in place of its own.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut skipped = None;
        for line in text.lines() {
            if let Some(name) = skipped {
                if !matches!(Mark::of(line), Some(Mark::End(end)) if end == name) {
                    continue;
                }
                skipped = None;
            }
            out.push_str(line);
            out.push('\n');
            if let Some(Mark::Begin(name)) = Mark::of(line)
                && let Some(lines) = self.0.get(name)
            {
                for line in lines {
                    out.push_str(&format!("{line}\n"));
                }
                skipped = Some(name);
            }
        }
        out
    }

    /// Those with something in them that have no place in `text`.
    pub fn homeless(&self, text: &str) -> Vec<&str> {
        let begins = |name: &str| {
            text.lines().any(|line| matches!(Mark::of(line), Some(Mark::Begin(begun)) if begun == name))
        };
        let has_words = |lines: &[String]| lines.iter().any(|line| !line.trim().is_empty());
        let own = self.0.iter().filter(|(name, lines)| has_words(lines) && !begins(name));
        own.map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "\
a: 1
# xtask: begin one
  b: 2

# xtask: end one
<!-- xtask: begin two -->
<!-- xtask: end two -->
";

    #[test]
    fn parts_are_kept_as_they_are() {
        let parts = Parts::read(OLD).unwrap();
        let new = "x\n  # xtask: begin one\n  default\n  # xtask: end one\ny\n";
        assert_eq!(parts.fill(new), "x\n  # xtask: begin one\n  b: 2\n\n  # xtask: end one\ny\n");
        assert_eq!(parts.fill(OLD), OLD);
        assert_eq!(Parts::default().fill(new), new);
        // An empty part is kept empty.
        let other = "<!-- xtask: begin two -->\ndefault\n<!-- xtask: end two -->\n";
        assert_eq!(parts.fill(other), other.replace("default\n", ""));
    }

    #[test]
    fn what_has_no_place_is_told() {
        let parts = Parts::read(OLD).unwrap();
        assert_eq!(parts.homeless("# xtask: begin two\n"), ["one"]);
        assert_eq!(parts.homeless("# xtask: begin one\n"), Vec::<&str>::new());
    }

    #[test]
    fn broken_marks_are_told_with_their_line() {
        let cases = [
            ("# xtask: begin a\n", "line 1: the part `a` has no line `xtask: end a`"),
            ("\n# xtask: end a\n", "line 2: the part `a` ends here and does not begin"),
            ("# xtask: begin a\n# xtask: begin b\n", "line 2: the part `b` begins within the part `a`"),
            ("# xtask: begin a\n# xtask: end b\n", "line 2: the part `b` ends here and does not begin"),
            (
                "# xtask: begin a\n# xtask: end a\n# xtask: begin a\n",
                "line 3: the part `a` begins a second time",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Parts::read(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
