//! Cobertura XML: the lines of each class, and how often each was reached. It must not know what is
//! demanded of lines.
//!
//! Only the lines of classes count; those of methods are either repeated there or the line of the
//! method's name, which no tool adds up. `lines-valid` must be one of the counts that tools make of
//! the lines: of each file each line once, of each class each line once, or all that are written.
//!
//! A file's name is relative to one of the `sources`. If there is one, the name is put behind it; if
//! there are more, the report does not say which it is, and the name stays as it is. Then a name in
//! two packages may be that of two files, and joining them would hide the lines of one behind those
//! of the other, so it is an error.

use std::collections::HashMap;

use super::budget::Budget;
use super::facts::{Coverage, Facts, Lines, Ranges};
use super::source::Source;
use super::xml::{Document, Element, Piece};
use super::{Flaw, Kind, text, uri};

/// The most lines of one class.
const LINES: usize = 4_000_000;

/// Reads a report.
pub(super) fn read(source: Source<'_>) -> Result<Facts, Flaw> {
    let mut reading = Reading {
        document: Document::new(source, Kind::Cobertura.format()),
        budget: Budget::new(),
        open: Vec::new(),
        valid: None,
        packages: false,
        package: Package::default(),
        packages_of: HashMap::new(),
        shared: None,
        sources: Vec::new(),
        class: Class::default(),
        coverage: Coverage::default(),
        by_class: 0,
        written: 0,
    };
    while reading.step()? {}
    reading.end()
}

/// A class so far.
#[derive(Default)]
struct Class {
    file: String,
    reached: Vec<u32>,
    missed: Vec<u32>,
}

/// The package that was begun last.
#[derive(Default, Clone)]
struct Package {
    /// Which it is of all; names may be left out or be there twice.
    number: u64,
    name: String,
}

struct Reading<'a> {
    document: Document<'a>,
    budget: Budget,
    open: Vec<String>,
    /// What the report says to be the number of lines.
    valid: Option<u64>,
    packages: bool,
    package: Package,
    /// The first package of each file.
    packages_of: HashMap<String, Package>,
    /// The first file that two packages have, and their names.
    shared: Option<(String, [String; 2])>,
    sources: Vec<String>,
    class: Class,
    coverage: Coverage,
    /// Lines of all classes, of each class each once.
    by_class: u64,
    /// Lines of all classes, each as often as it is there.
    written: u64,
}

impl Reading<'_> {
    fn step(&mut self) -> Result<bool, Flaw> {
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

    fn opened(&mut self, element: &Element) -> Result<(), Flaw> {
        match &*element.name {
            name if self.open.is_empty() && name != "coverage" => {
                let name = text::one_line(name, 40);
                return Err(self.document.malformed(&format!("its root is `{name}`, not `coverage`")));
            }
            _ if self.open.is_empty() => {
                self.valid = element.count("lines-valid").map_err(|what| self.document.malformed(&what))?;
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
                let file = uri::tidy(element.get("filename").unwrap_or_default().trim());
                if file.is_empty() {
                    return Err(self.document.malformed("a class names no file"));
                }
                self.class = Class { file, ..Class::default() };
            }
            "line" if self.is_in(&["class", "lines"]) => self.line(element)?,
            _ => {}
        }
        Ok(())
    }

    fn line(&mut self, element: &Element) -> Result<(), Flaw> {
        let number = element.get("number").and_then(|number| number.trim().parse().ok());
        let hits = element.get("hits").and_then(|hits| hits.trim().parse::<f64>().ok());
        let (Some(number), Some(hits)) = (number, hits.filter(|hits| hits.is_finite() && *hits >= 0.0))
        else {
            return Err(self.document.malformed("a line has no `number` or no count of `hits`"));
        };
        let class = &mut self.class;
        if class.reached.len() + class.missed.len() == LINES {
            return Err(Flaw::TooLarge { what: format!("a class has more than {LINES} lines") });
        }
        self.written += 1;
        let lines = if hits > 0.0 { &mut class.reached } else { &mut class.missed };
        lines.push(number);
        Ok(())
    }

    fn class_closed(&mut self) -> Result<(), Flaw> {
        let class = std::mem::take(&mut self.class);
        let lines = Lines::new(Ranges::of(class.reached), &Ranges::of(class.missed));
        self.budget.keep(class.file.len() + 8 * (lines.reached.0.len() + lines.missed.0.len()))?;
        self.by_class += lines.ratio().whole;
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

    /// With several sources, one name in two packages is not known to be one file.
    fn check_names(&self) -> Result<(), Flaw> {
        let Some((file, [one, other])) = self.shared.as_ref().filter(|_| self.sources.len() > 1) else {
            return Ok(());
        };
        let what = format!(
            "the packages `{one}` and `{other}` both have `{}`, and with {} sources nobody knows whether that is one \
             file; have a report written for each source",
            text::one_line(file, 200),
            self.sources.len()
        );
        Err(self.document.malformed(&what))
    }

    fn end(self) -> Result<Facts, Flaw> {
        if !self.packages {
            return Err(self.document.malformed("it has no `packages`"));
        }
        self.check_names()?;
        let there = self.coverage.ratio().whole;
        if let Some(valid) = self.valid.filter(|valid| ![there, self.by_class, self.written].contains(valid))
        {
            let what = format!("`lines-valid` says {valid}, and {} lines are there", self.written);
            return Err(self.document.malformed(&what));
        }
        if there == 0 {
            return Err(Flaw::nothing("it has no lines of any class"));
        }
        let [source] = &*self.sources else {
            return Ok(Facts { coverage: Some(self.coverage), ..Facts::default() });
        };
        let mut coverage = Coverage::default();
        for (file, lines) in self.coverage.files {
            let on_a_drive = file.as_bytes().get(1) == Some(&b':');
            let whole = if on_a_drive { file } else { uri::tidy(&uri::join(source.trim(), &file)) };
            coverage.add(whole, &lines);
        }
        Ok(Facts { coverage: Some(coverage), ..Facts::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Ratio;
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

    fn read(text: &str) -> Result<Coverage, Flaw> {
        crate::report::read(Kind::Cobertura, &mut text.as_bytes()).map(|facts| facts.coverage.unwrap())
    }

    #[test]
    fn one_source_stands_before_its_files() {
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
            assert_eq!(coverage.files["a.py"], Lines::new(Ranges::of(vec![1, 2]), &Ranges::default()));
        }
    }

    #[test]
    fn a_name_in_two_packages_is_one_file_only_below_one_source() {
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
        let flaw = two(&["one", "two"], "lines-valid='4'").unwrap_err().to_string();
        assert_eq!(
            flaw,
            "it is not a Cobertura report: the packages `one` and `two` both have `u.py`, and with 2 sources nobody \
             knows whether that is one file; have a report written for each source (line 3)"
        );
        // Classes of one package may share a file, as those within each other do on the JVM.
        assert!(read(&report("lines-valid='3'", &["a", "b"], &format!("{A}{MORE}"))).is_ok());
    }

    #[test]
    fn what_is_not_whole_is_a_flaw() {
        let cases = [
            (report("lines-valid='5'", &[], A), "`lines-valid` says 5, and 2 lines are there"),
            (
                // There are 2 by files, 4 by classes and 5 in all.
                report(
                    "lines-valid='3'",
                    &[],
                    &format!("{A}{A}").replacen(
                        "<line number='2' hits='0'/>",
                        "<line number='2' hits='0'/><line number='2' hits='0'/>",
                        1,
                    ),
                ),
                "`lines-valid` says 3, and 5 lines are there",
            ),
            (report("lines-valid='1'", &[], A), "`lines-valid` says 1, and 2 lines are there"),
            (report("lines-valid='x'", &[], A), "`lines-valid=\"x\"` of `coverage` is no count"),
            (report("", &[], "<class><lines/></class>"), "a class names no file"),
            (
                report("", &[], "<class filename='a'><lines><line number='1'/></lines></class>"),
                "no count of `hits`",
            ),
            (report("lines-valid='0'", &[], ""), "nothing was examined"),
            ("<coverage clover='3.2'><project/></coverage>".to_owned(), "it has no `packages`"),
            ("<testsuites/>".to_owned(), "its root is `testsuites`"),
        ];
        for (text, told) in cases {
            let flaw = read(&text).unwrap_err().to_string();
            assert!(flaw.contains(told), "{flaw}");
        }
    }
}
