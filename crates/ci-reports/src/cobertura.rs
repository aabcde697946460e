//! Reads Cobertura XML: the lines of each class, and how often each was reached.
//!
//! The lines of a class count. The lines of its methods are ignored if the class has lines: they
//! are either the same lines, or the lines of the methods' names, which no tool counts. If a class
//! has no lines of its own, those of its methods count, unless the totals show that they don't.
//!
//! Tools calculate `lines-valid` in several ways: each line of a file once, each line of each class
//! or method, or every `line` element. If `lines-valid` is greater than all of these, some lines
//! are not listed. If the declared totals are then worse than the list, the missing lines are added
//! under a file name of their own.
//!
//! The name of a file is relative to one of the `sources`. If there is only one source, it is put
//! before the name. If there are several, the report does not say which one applies, and the name
//! is kept as it is. Then the same name in two packages may refer to two files. To join them could
//! hide the missed lines of one, so this is an error.

use std::collections::HashMap;

use super::budget::Budget;
use super::facts::{Coverage, Facts, LineCoverage, LineRanges, Ratio};
use super::source::Source;
use super::xml::{Document, Element, Piece};
use super::{ParseError, ReportFile, ReportKind, text, uri};

/// The maximum number of lines of one class.
const LINES: usize = 4_000_000;

/// Reads a report.
pub(crate) fn read(source: Source<'_>) -> Result<ReportFile, ParseError> {
    let mut reading = Reading {
        document: Document::new(source, ReportKind::Cobertura.format())?,
        budget: Budget::new(),
        open: Vec::new(),
        valid: None,
        covered: None,
        packages: false,
        package: Package::default(),
        packages_of: HashMap::new(),
        shared: None,
        sources: Vec::new(),
        class: Class::default(),
        coverage: Coverage::default(),
        of_methods: Coverage::default(),
        by_class: 0,
        by_method: 0,
        written: 0,
    };
    while reading.step()? {}
    reading.end()
}

/// The file name for lines that are included in the totals but are not listed.
const UNLISTED: &str = "(lines that are not listed)";

/// A class while it is read.
#[derive(Default)]
struct Class {
    file: String,
    lines: ListedLines,
    /// The lines of its methods.
    methods: ListedLines,
}

/// The numbers of the lines that are listed.
#[derive(Default)]
struct ListedLines {
    reached: Vec<u32>,
    missed: Vec<u32>,
}

impl ListedLines {
    fn lines(self) -> LineCoverage {
        LineCoverage::new(LineRanges::from_lines(self.reached), &LineRanges::from_lines(self.missed))
    }
}

/// The current package.
#[derive(Default, Clone)]
struct Package {
    /// The position among all packages. Names may be missing or occur twice.
    number: u64,
    name: String,
}

struct Reading<'a> {
    document: Document<'a>,
    budget: Budget,
    open: Vec<String>,
    /// The number of lines that the report declares.
    valid: Option<u64>,
    /// The number of reached lines that the report declares.
    covered: Option<u64>,
    packages: bool,
    package: Package,
    /// The first package of each file.
    packages_of: HashMap<String, Package>,
    /// The first file that occurs in two packages, and the names of these packages.
    shared: Option<(String, [String; 2])>,
    sources: Vec<String>,
    class: Class,
    coverage: Coverage,
    /// The lines of methods whose classes have no lines of their own.
    of_methods: Coverage,
    /// The sum over all classes of the number of different lines.
    by_class: u64,
    /// The number of lines of all methods.
    by_method: u64,
    /// The number of `line` elements of all classes, including duplicates.
    written: u64,
}

impl Reading<'_> {
    fn step(&mut self) -> Result<bool, ParseError> {
        match self.document.next()? {
            Piece::Open(element) => {
                self.opened(&element)?;
                self.open.push(element.name);
            }
            Piece::Text(part) if self.is_in(&["sources", "source"]) => {
                if let Some(source) = self.sources.last_mut() {
                    source.push_str(&part);
                }
            }
            Piece::Text(_) => {}
            Piece::Close => {
                if self.open.pop().is_some_and(|name| name == "class") {
                    self.class_closed()?;
                }
            }
            Piece::End => return Ok(false),
        }
        Ok(true)
    }

    fn is_in(&self, names: &[&str]) -> bool {
        self.open.iter().map(String::as_str).rev().take(names.len()).eq(names.iter().rev().copied())
    }

    fn opened(&mut self, element: &Element) -> Result<(), ParseError> {
        match &*element.name {
            name if self.open.is_empty() && name != "coverage" => {
                let name = text::one_line(name, 40);
                return Err(self.document.malformed(&format!("its root is `{name}`, not `coverage`")));
            }
            _ if self.open.is_empty() => {
                let count = |name: &str| element.count(name).map_err(|what| self.document.malformed(&what));
                (self.valid, self.covered) = (count("lines-valid")?, count("lines-covered")?);
            }
            "packages" if self.open.len() == 1 => self.packages = true,
            "source" if self.is_in(&["sources"]) => {
                self.budget.keep(0)?;
                self.sources.push(String::new());
            }
            "package" => {
                let name = text::one_line(element.get("name").unwrap_or_default(), 100);
                self.package = Package { number: self.package.number + 1, name };
            }
            "class" => {
                let file = uri::normalize(element.get("filename").unwrap_or_default().trim());
                if file.is_empty() {
                    return Err(self.document.malformed("a class has no file name"));
                }
                self.class = Class { file, ..Class::default() };
            }
            "line" if self.is_in(&["class", "lines"]) => self.line(element, true)?,
            "line" if self.is_in(&["method", "lines"]) => self.line(element, false)?,
            _ => {}
        }
        Ok(())
    }

    fn line(&mut self, element: &Element, of_class: bool) -> Result<(), ParseError> {
        let number = element.get("number").and_then(|number| number.trim().parse().ok());
        let hits = element.get("hits").and_then(|hits| hits.trim().parse::<f64>().ok());
        // Counters may overflow, so a negative count does not show that the line was reached.
        let (Some(number), Some(hits)) = (number, hits.filter(|hits| hits.is_finite())) else {
            return Err(self.document.malformed("a line has no `number` or no count of `hits`"));
        };
        let listed = if of_class { &mut self.class.lines } else { &mut self.class.methods };
        if listed.reached.len() + listed.missed.len() == LINES {
            return Err(ParseError::TooLarge { what: format!("a class has more than {LINES} lines") });
        }
        *if of_class { &mut self.written } else { &mut self.by_method } += 1;
        let lines = if hits > 0.0 { &mut listed.reached } else { &mut listed.missed };
        lines.push(number);
        Ok(())
    }

    fn class_closed(&mut self) -> Result<(), ParseError> {
        let class = std::mem::take(&mut self.class);
        let lines = class.lines.lines();
        let of_methods = class.methods.lines();
        let kept = if lines.ratio().whole == 0 { &of_methods } else { &lines };
        self.budget.keep(class.file.len() + 8 * (kept.reached.0.len() + kept.missed.0.len()))?;
        self.by_class += lines.ratio().whole;
        if lines.ratio().whole == 0 {
            self.of_methods.add(class.file.clone(), &of_methods);
        }
        match self.packages_of.get(&class.file) {
            None => {
                self.budget.store(class.file.len() + size_of::<Package>() + self.package.name.len())?;
                self.packages_of.insert(class.file.clone(), self.package.clone());
            }
            Some(first) if first.number != self.package.number && self.shared.is_none() => {
                let names = [first.name.clone(), self.package.name.clone()];
                self.shared = Some((class.file.clone(), names));
            }
            Some(_) => {}
        }
        self.coverage.add(class.file, &lines);
        Ok(())
    }

    /// Rejects a file name that occurs in two packages if there are several sources.
    fn check_names(&self) -> Result<(), ParseError> {
        let Some((file, [one, other])) = self.shared.as_ref().filter(|_| self.sources.len() > 1) else {
            return Ok(());
        };
        let what = format!(
            "the packages `{one}` and `{other}` both have `{}`, and with {} sources it is unknown whether that is \
             one file; use the tool's LCOV report, or one report for each source",
            text::one_line(file, 200),
            self.sources.len()
        );
        Err(self.document.malformed(&what))
    }

    fn end(self) -> Result<ReportFile, ParseError> {
        if !self.packages {
            return Err(self.document.malformed("it has no `packages`"));
        }
        self.check_names()?;
        let named = self.coverage.ratio().whole;
        let by_lines = [named, self.by_class, self.written];
        // istanbul lists the first line of each function as a line of its method, but does not
        // count it.
        let are_no_lines = named > 0 && self.valid.is_some_and(|valid| by_lines.contains(&valid));
        let (mut coverage, of_methods) = (self.coverage, self.of_methods);
        if !are_no_lines {
            for (file, lines) in of_methods.files {
                coverage.add(file, &lines);
            }
        }
        let ratio = coverage.ratio();
        let valid = self.valid.unwrap_or_default();
        if ratio.whole == 0 {
            if valid > 0 {
                let what = format!("`lines-valid` says {valid}, and no line is listed");
                return Err(self.document.malformed(&what));
            }
            let facts = Facts { coverage: Some(coverage), ..Facts::default() };
            let nothing = Some(ParseError::nothing_examined("it has no lines of any class"));
            return Ok(ReportFile { facts, nothing_examined: nothing });
        }
        let counts = [ratio.whole, self.by_class, self.written, self.by_method];
        if counts.iter().all(|count| *count < valid) && valid != self.written + self.by_method {
            add_unlisted(
                ratio,
                Ratio { part: self.covered.unwrap_or(ratio.part), whole: valid },
                &mut coverage,
            );
        }
        let [source] = &*self.sources else {
            return Ok(Facts { coverage: Some(coverage), ..Facts::default() }.into());
        };
        let mut all = Coverage::default();
        for (file, lines) in coverage.files {
            let on_a_drive = file.as_bytes().get(1) == Some(&b':');
            let is_whole = on_a_drive || file == UNLISTED;
            let whole = if is_whole { file } else { uri::normalize(&uri::join(source.trim(), &file)) };
            all.add(whole, &lines);
        }
        Ok(Facts { coverage: Some(all), ..Facts::default() }.into())
    }
}

/// Adds the unlisted lines if the declared totals are worse than the list.
fn add_unlisted(listed: Ratio, declared: Ratio, coverage: &mut Coverage) {
    let share = |one: Ratio, other: Ratio| u128::from(one.part) * u128::from(other.whole);
    if share(declared, listed) >= share(listed, declared) {
        return;
    }
    let count = |all: u64, part: u64| u32::try_from(all.saturating_sub(part)).unwrap_or(u32::MAX);
    let missing = count(declared.whole, listed.whole);
    let reached = count(declared.part, listed.part).min(missing);
    let stretch =
        |first: u32, last: u32| LineRanges(if first > last { Vec::new() } else { vec![(first, last)] });
    let lines =
        LineCoverage { reached: stretch(1, reached), missed: stretch(reached.saturating_add(1), missing) };
    coverage.add(UNLISTED.to_owned(), &lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(attributes: &str, sources: &[&str], classes: &str) -> String {
        let sources: Vec<_> = sources.iter().map(|source| format!("<source>{source}</source>")).collect();
        let sources = sources.concat();
        format!(
            "<?xml version=\"1.0\" ?>\n<!DOCTYPE coverage SYSTEM 'http://cobertura.example/coverage-04.dtd'>\n\
             <coverage {attributes}><sources>{sources}</sources><packages><package><classes>{classes}\
             </classes></package></packages></coverage>"
        )
    }

    const A: &str = "<class filename='a.py'><methods><method><lines><line number='9' hits='1'/></lines></method>\
                     </methods><lines><line number='1' hits='2'/><line number='2' hits='0'/></lines></class>";
    const MORE: &str = "<class filename='a.py'><lines><line number='2' hits='1'/></lines></class>";

    fn read(text: &str) -> Result<Coverage, ParseError> {
        crate::read(ReportKind::Cobertura, &mut text.as_bytes()).map(|facts| facts.coverage.unwrap())
    }

    #[test]
    fn single_source_is_prefixed_to_file_paths() {
        let cases: [(&[&str], &str); 7] = [
            (&[], "a.py"),
            (&["."], "a.py"),
            (&[""], "a.py"),
            (&["\n /home/dev/shop \n"], "/home/dev/shop/a.py"),
            (&["src"], "src/a.py"),
            (&["/"], "/a.py"),
            (&["/home/dev/shop", "/home/dev/lib"], "a.py"),
        ];
        for (sources, file) in cases {
            let coverage = read(&report("lines-valid='2'", sources, A)).unwrap();
            assert_eq!(coverage.files.keys().collect::<Vec<_>>(), [file], "{sources:?}");
        }
    }

    #[test]
    fn classes_of_one_file_are_joined() {
        for valid in ["lines-valid='2'", "lines-valid='3'", "lines-valid=''", ""] {
            let coverage = read(&report(valid, &[], &format!("{A}{MORE}"))).unwrap();
            assert_eq!(
                coverage.files["a.py"],
                LineCoverage::new(LineRanges::from_lines(vec![1, 2]), &LineRanges::default())
            );
        }
    }

    #[test]
    fn same_file_name_in_two_packages_is_ambiguous_with_several_sources() {
        let two = |sources: &[&str], valid: &str| {
            let one = "<class filename='u.py'><lines><line number='1' hits='1'/><line number='2' hits='1'/></lines></class>";
            let other = one.replace("hits='1'", "hits='0'");
            let classes = format!("{one}</classes></package><package name='two'><classes>{other}");
            read(&report(valid, sources, &classes).replace("<package>", "<package name='one'>"))
        };
        for sources in [&[][..], &["src"]] {
            for valid in ["lines-valid='4'", "lines-valid='2'", ""] {
                assert_eq!(
                    two(sources, valid).unwrap().ratio(),
                    Ratio { part: 2, whole: 2 },
                    "{sources:?} {valid}"
                );
            }
        }
        let error = two(&["one", "two"], "lines-valid='4'").unwrap_err().to_string();
        assert_eq!(
            error,
            "not a Cobertura report: the packages `one` and `two` both have `u.py`, and with 2 sources it is \
             unknown whether that is one file; use the tool's LCOV report, or one report for each source (line 3)"
        );
        // Classes of one package may share a file, as nested classes do on the JVM.
        assert!(read(&report("lines-valid='3'", &["a", "b"], &format!("{A}{MORE}"))).is_ok());
    }

    fn ratio(attributes: &str, classes: &str) -> (u64, u64) {
        let ratio = read(&report(attributes, &[], classes)).unwrap_or_else(|error| panic!("{error}")).ratio();
        (ratio.part, ratio.whole)
    }

    #[test]
    fn lines_of_methods_count_if_the_class_lists_none() {
        let methods = "<class filename='m.py'><methods><method><lines><line number='3' hits='1'/><line number='4' hits='0'/>\
                       </lines></method></methods><lines/></class>";
        assert_eq!(ratio("", methods), (1, 2));
        assert_eq!(ratio("lines-valid='2'", methods), (1, 2));
        assert_eq!(ratio("lines-valid='0'", methods), (1, 2));
        assert_eq!(ratio("lines-valid='4'", &format!("{A}{methods}")), (2, 4));
        // istanbul lists the first line of each function without counting it.
        assert_eq!(ratio("lines-valid='2'", &format!("{A}{methods}")), (1, 2));
    }

    #[test]
    fn totals_count_if_they_are_worse_than_the_listed_lines() {
        // The report lists two lines, and one of them was reached.
        let cases = [
            // These totals are not worse than the list.
            ("lines-valid='1' lines-covered='1'", (1, 2)),
            ("lines-valid='1'", (1, 2)),
            ("lines-valid='4' lines-covered='2'", (1, 2)),
            ("lines-valid='4' lines-covered='3'", (1, 2)),
            ("lines-valid='10' lines-covered='2' line-rate='NaN'", (2, 10)),
            ("lines-valid='10'", (1, 10)),
            ("lines-valid='10' lines-covered='0'", (1, 10)),
        ];
        for (attributes, expected) in cases {
            assert_eq!(ratio(attributes, A), expected, "{attributes}");
        }
        let all = read(&report("lines-valid='10' lines-covered='2'", &["/src"], A)).unwrap();
        assert_eq!(all.files.keys().collect::<Vec<_>>(), [UNLISTED, "/src/a.py"]);
        assert_eq!(ratio(&format!("lines-valid='{}'", u64::MAX), A), (1, u64::from(u32::MAX) + 2));
    }

    #[test]
    fn hit_counts_can_have_any_size() {
        let class = "<class filename='a'><lines><line number='1' hits='99999999999999999999' branch='True'/>\
                     <line number='2' hits='1e+06'/><line number='3' hits='-4'/></lines></class>";
        assert_eq!(ratio("lines-valid='3' line-rate='NaN'", class), (2, 3));
    }

    #[test]
    fn incomplete_report_is_an_error() {
        let cases = [
            (report("lines-valid='5'", &[], ""), "`lines-valid` says 5, and no line is listed"),
            (report("lines-valid='x'", &[], A), "`lines-valid=\"x\"` of `coverage` is not a count"),
            (report("", &[], "<class><lines/></class>"), "a class has no file name"),
            (
                report("", &[], "<class filename='a'><lines><line number='1' hits='NaN'/></lines></class>"),
                "no count of `hits`",
            ),
            (
                report("", &[], "<class filename='a'><lines><line number='1'/></lines></class>"),
                "no count of `hits`",
            ),
            (report("lines-valid='0'", &[], ""), "nothing was examined"),
            ("<coverage clover='3.2'><project/></coverage>".to_owned(), "it has no `packages`"),
            ("<testsuites/>".to_owned(), "its root is `testsuites`"),
        ];
        for (text, message) in cases {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
