//! Reads LCOV: the lines of each file, and how often each was reached.
//!
//! A record ends with `end_of_record`, so a report that was cut off within a record is detected. One that
//! was cut off between two records is not, because the format has no footer.
//!
//! The totals of a record (`LF`, `LH`) are only used to check that it must have lines at all. LLVM
//! counts a line once for each function that contains it, and coverage.py before version 7 writes
//! other numbers.

use std::io::{BufRead, Read};

use super::budget::Budget;
use super::facts::{Coverage, Facts, LineCoverage, LineRanges};
use super::source::Source;
use super::{ParseError, ReportFile, ReportKind, text, uri};

/// The maximum number of bytes of one line.
const LINE: u64 = 1 << 20;
/// The maximum number of lines of one file.
const LINES: usize = 4_000_000;

/// Returns a report without lines.
pub(crate) fn no_lines(error: ParseError) -> ReportFile {
    let facts = Facts { coverage: Some(Coverage::default()), ..Facts::default() };
    ReportFile { facts, nothing_examined: Some(error) }
}

/// Reads a report.
pub(crate) fn read(source: Source<'_>) -> Result<ReportFile, ParseError> {
    let Source { mut body, lines, .. } = source;
    let mut reading = Reading { number: lines, ..Reading::default() };
    let mut line = Vec::new();
    let mut budget = Budget::new();
    loop {
        line.clear();
        let count =
            (&mut body).take(LINE + 1).read_until(b'\n', &mut line).map_err(ParseError::unreadable)?;
        if count as u64 > LINE {
            return Err(ParseError::TooLarge { what: format!("a line has more than {} MiB", LINE >> 20) });
        }
        if count == 0 {
            break;
        }
        reading.number += 1;
        // A path may contain bytes that are not UTF-8.
        reading.line(String::from_utf8_lossy(&line).trim(), &mut budget)?;
    }
    if let Some(record) = &reading.record {
        let file = text::one_line(&record.file, 200);
        return Err(ParseError::Truncated { what: format!("the record of `{file}` does not end") });
    }
    if reading.coverage.ratio().whole == 0 {
        return Ok(no_lines(ParseError::nothing_examined("it has no lines of any file")));
    }
    Ok(Facts { coverage: Some(reading.coverage), ..Facts::default() }.into())
}

#[derive(Default)]
struct Reading {
    coverage: Coverage,
    record: Option<Record>,
    number: usize,
}

/// The record of one file.
#[derive(Default)]
struct Record {
    file: String,
    reached: Vec<u32>,
    missed: Vec<u32>,
    found: Option<u64>,
    hit: Option<u64>,
}

impl Reading {
    fn line(&mut self, line: &str, budget: &mut Budget) -> Result<(), ParseError> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line == "end_of_record" {
            let record =
                self.record.take().ok_or_else(|| self.malformed("`end_of_record` without a record"))?;
            return self.end(record, budget);
        }
        let number = self.number;
        let unknown =
            || malformed(number, &format!("`{}` is not a line of a record", text::one_line(line, 60)));
        let (key, value) = line.split_once(':').ok_or_else(unknown)?;
        match (key, &mut self.record) {
            ("SF", None) => {
                let file = uri::normalize(value.trim());
                if file.is_empty() {
                    return Err(self.malformed("`SF` without a file name"));
                }
                self.record = Some(Record { file, ..Record::default() });
            }
            ("SF", Some(_)) => return Err(self.malformed("`SF` begins a file before the last one ended")),
            ("TN", _) => {}
            ("DA", Some(record)) => {
                if record.reached.len() + record.missed.len() == LINES {
                    return Err(ParseError::TooLarge { what: format!("a file has more than {LINES} lines") });
                }
                match hits(value) {
                    Some((number, true)) => record.reached.push(number),
                    Some((number, false)) => record.missed.push(number),
                    None => return Err(unknown()),
                }
            }
            ("LF", Some(record)) => record.found = Some(value.parse().map_err(|_| unknown())?),
            ("LH", Some(record)) => record.hit = Some(value.parse().map_err(|_| unknown())?),
            // Other keys are ignored: functions, branches, conditions and versions, also of later
            // releases.
            (key, Some(_)) if key.len() <= 8 && key.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {}
            _ => return Err(unknown()),
        }
        Ok(())
    }

    fn end(&mut self, record: Record, budget: &mut Budget) -> Result<(), ParseError> {
        let lines =
            LineCoverage::new(LineRanges::from_lines(record.reached), &LineRanges::from_lines(record.missed));
        let declared = record.found.max(record.hit).unwrap_or_default();
        if declared > 0 && lines.ratio().whole == 0 {
            return Err(self.malformed(&format!("its lines are missing: {declared} lines declared, 0 found")));
        }
        budget.keep(record.file.len() + 8 * (lines.reached.0.len() + lines.missed.0.len()))?;
        self.coverage.add(record.file, &lines);
        Ok(())
    }

    fn malformed(&self, what: &str) -> ParseError {
        malformed(self.number, what)
    }
}

fn malformed(number: usize, what: &str) -> ParseError {
    ParseError::malformed(ReportKind::Lcov.format(), format!("{what} (line {number})"))
}

/// Parses a line number and whether the line was reached: `12,3`, optionally with a checksum.
fn hits(value: &str) -> Option<(u32, bool)> {
    let mut parts = value.split(',');
    let number = parts.next()?.trim().parse().ok()?;
    // Some tools write large counts as floating-point numbers. gcov's counters overflow where
    // threads share them, so a negative count does not show that the line was reached.
    let hits: f64 = parts.next()?.trim().parse().ok()?;
    (hits.is_finite() && parts.count() <= 1).then_some((number, hits > 0.0))
}

#[cfg(test)]
mod tests {
    use super::super::facts::Ratio;
    use super::*;

    fn read(text: &str) -> Result<Coverage, ParseError> {
        crate::read(ReportKind::Lcov, &mut text.as_bytes()).map(|facts| facts.coverage.unwrap())
    }

    fn error_of(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn records_of_one_file_are_joined() {
        let coverage = read(
            "TN:a\nSF:./src/a.rs\nFN:1,main\nDA:1,5,abc=\nDA:2,0\nDA:2,1\nDA:3,1e+06\nLF:4\nLH:3\nend_of_record\r\n\
             # a remark\nTN:b\nSF:src/a.rs\nDA:4,0\nDA:1,0\nend_of_record\nSF:b.rs\nLF:0\nLH:0\nend_of_record",
        );
        let coverage = coverage.unwrap();
        assert_eq!(coverage.files["src/a.rs"].reached, LineRanges(vec![(1, 3)]));
        assert_eq!(coverage.files["src/a.rs"].missed, LineRanges(vec![(4, 4)]));
        assert_eq!(coverage.files.len(), 2);
    }

    #[test]
    fn wrong_totals_are_ignored() {
        // coverage.py 6.5 writes such totals.
        for counts in ["LF:1\nLH:2", "LF:0\nLH:0", "LH:7"] {
            let coverage = read(&format!("SF:a\nDA:1,1\nDA:2,-3\n{counts}\nend_of_record\n")).unwrap();
            assert_eq!(coverage.files["a"].ratio(), Ratio { part: 1, whole: 2 }, "{counts}");
        }
    }

    #[test]
    fn incomplete_report_is_an_error() {
        let cases = [
            (
                "SF:a\nDA:1,1\nend_of_recor",
                "not an LCOV report: `end_of_recor` is not a line of a record (line 3)",
            ),
            ("SF:a\nDA:1,1\n", "cut off: the record of `a` does not end"),
            (
                "SF:a\nDA:1,1\nSF:b\n",
                "not an LCOV report: `SF` begins a file before the last one ended (line 3)",
            ),
            ("DA:1,1\n", "not an LCOV report: `DA:1,1` is not a line of a record (line 1)"),
            ("\n\nend_of_record\n", "not an LCOV report: `end_of_record` without a record (line 3)"),
            ("SF:\n", "not an LCOV report: `SF` without a file name (line 1)"),
            ("SF:a\nDA:x,1\n", "not an LCOV report: `DA:x,1` is not a line of a record (line 2)"),
            ("SF:a\nDA:1,NaN\n", "not an LCOV report: `DA:1,NaN` is not a line of a record (line 2)"),
            ("SF:a\nDA:1\n", "not an LCOV report: `DA:1` is not a line of a record (line 2)"),
            (
                "SF:a\nLF:3\nLH:0\nend_of_record\n",
                "not an LCOV report: its lines are missing: 3 lines declared, 0 found (line 4)",
            ),
            ("SF:a\nLF:0\nLH:0\nend_of_record\n", "nothing was examined: it has no lines of any file"),
            ("TN:\n", "nothing was examined: it has no lines of any file"),
        ];
        for (text, message) in cases {
            assert_eq!(error_of(text), message, "{text}");
        }
        assert!(error_of(&format!("SF:{}\n", "a".repeat(2 << 20))).contains("more than 1 MiB"));
    }
}
