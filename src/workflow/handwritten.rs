//! The sections of a generated file that people write, between lines `xtask: begin NAME` and
//! `xtask: end NAME`. It must not know what is in them.

use std::collections::BTreeMap;

/// The lines of each hand-written section, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections(BTreeMap<String, Vec<String>>);

/// Why the sections of a text can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct SectionError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// A line that begins or ends a section.
enum TaskMarker<'t> {
    Begin(&'t str),
    End(&'t str),
}

impl<'t> TaskMarker<'t> {
    /// Returns the mark that a line is, in a comment of YAML or Markdown.
    fn parse(line: &'t str) -> Option<Self> {
        let line = line.trim();
        let inner = line
            .strip_prefix("# ")
            .or_else(|| line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")))?;
        let rest = inner.strip_prefix("xtask: ")?;
        let named = |word: &str| rest.strip_prefix(word).map(str::trim).filter(|name| !name.is_empty());
        named("begin ").map(Self::Begin).or_else(|| named("end ").map(Self::End))
    }
}

impl Sections {
    /// Adds a section.
    pub fn insert(&mut self, name: &str, lines: Vec<String>) {
        self.0.insert(name.to_owned(), lines);
    }

    /// Returns the sections of a text.
    ///
    /// # Errors
    /// A section has no end, begins inside of another, or is there twice.
    pub fn parse(text: &str) -> Result<Self, SectionError> {
        let mut sections = BTreeMap::new();
        let mut open: Option<(usize, &str, Vec<String>)> = None;
        for (at, line) in text.lines().enumerate() {
            let error = |problem: String| SectionError { line: at + 1, problem };
            match (TaskMarker::parse(line), &mut open) {
                (None, Some((_, _, lines))) => lines.push(line.to_owned()),
                (None, None) => {}
                (Some(TaskMarker::Begin(name)), None) if sections.contains_key(name) => {
                    return Err(error(format!("the section `{name}` begins a second time")));
                }
                (Some(TaskMarker::Begin(name)), None) => open = Some((at + 1, name, Vec::new())),
                (Some(TaskMarker::End(name)), Some((_, begun, _))) if name == *begun => {
                    let lines = open.take().map(|(_, _, lines)| lines).unwrap_or_default();
                    sections.insert(name.to_owned(), lines);
                }
                (Some(TaskMarker::Begin(name)), Some((_, begun, _))) => {
                    return Err(error(format!(
                        "the section `{name}` begins inside of the section `{begun}`"
                    )));
                }
                (Some(TaskMarker::End(name)), _) => {
                    return Err(error(format!("the section `{name}` ends here but does not begin")));
                }
            }
        }
        match open {
            Some((line, name, _)) => {
                let problem = format!("the section `{name}` has no line `xtask: end {name}`");
                Err(SectionError { line, problem })
            }
            None => Ok(Self(sections)),
        }
    }

    /// Returns each section that has a place in `text`: its name, by how much the line that begins it
    /// is indented there, and its lines.
    pub(super) fn indents<'s>(
        &'s self,
        text: &'s str,
    ) -> impl Iterator<Item = (&'s str, usize, &'s [String])> {
        text.lines().filter_map(|line| match TaskMarker::parse(line)? {
            TaskMarker::Begin(name) => {
                Some((name, line.len() - line.trim_start().len(), self.0.get(name)?.as_slice()))
            }
            TaskMarker::End(_) => None,
        })
    }

    /// Returns a text with these sections in place of its own.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut skipped = None;
        for line in text.lines() {
            if let Some(name) = skipped {
                if !matches!(TaskMarker::parse(line), Some(TaskMarker::End(end)) if end == name) {
                    continue;
                }
                skipped = None;
            }
            out.push_str(line);
            out.push('\n');
            if let Some(TaskMarker::Begin(name)) = TaskMarker::parse(line)
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

    /// Returns the names of sections that are not empty and have no place in `text`.
    pub fn orphaned_sections(&self, text: &str) -> Vec<&str> {
        let begins = |name: &str| {
            text.lines().any(
                |line| matches!(TaskMarker::parse(line), Some(TaskMarker::Begin(begun)) if begun == name),
            )
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
    fn sections_are_kept_unchanged() {
        let sections = Sections::parse(OLD).unwrap();
        let new = "x\n  # xtask: begin one\n  default\n  # xtask: end one\ny\n";
        assert_eq!(sections.fill(new), "x\n  # xtask: begin one\n  b: 2\n\n  # xtask: end one\ny\n");
        assert_eq!(sections.fill(OLD), OLD);
        assert_eq!(Sections::default().fill(new), new);
        // An empty section stays empty.
        let other = "<!-- xtask: begin two -->\ndefault\n<!-- xtask: end two -->\n";
        assert_eq!(sections.fill(other), other.replace("default\n", ""));
    }

    #[test]
    fn section_without_its_place_is_orphaned() {
        let sections = Sections::parse(OLD).unwrap();
        assert_eq!(sections.orphaned_sections("# xtask: begin two\n"), ["one"]);
        assert_eq!(sections.orphaned_sections("# xtask: begin one\n"), Vec::<&str>::new());
    }

    #[test]
    fn broken_markers_are_errors_with_their_line() {
        let cases = [
            ("# xtask: begin a\n", "line 1: the section `a` has no line `xtask: end a`"),
            ("\n# xtask: end a\n", "line 2: the section `a` ends here but does not begin"),
            (
                "# xtask: begin a\n# xtask: begin b\n",
                "line 2: the section `b` begins inside of the section `a`",
            ),
            ("# xtask: begin a\n# xtask: end b\n", "line 2: the section `b` ends here but does not begin"),
            (
                "# xtask: begin a\n# xtask: end a\n# xtask: begin a\n",
                "line 3: the section `a` begins a second time",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Sections::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
