//! Reads SPDX 2 in JSON: the dependencies of a project.
//!
//! The concluded licence of a package takes precedence over the declared one. If the document
//! describes one package, that is the project itself and not a dependency. If it describes several,
//! these may be all packages of the list, so each counts as a dependency. A list without other
//! packages means that the project has no dependencies. The project must then have a name, and must
//! not be a folder or a file in which a scanner found nothing.

use std::collections::HashSet;

use serde::de::MapAccess;

use super::budget::Budget;
use super::facts::{Facts, Package};
use super::json::{self, Cut, Each, Items, Object, Whole};
use super::source::Source;
use super::{ParseError, ReportFile, ReportKind, text};

/// Reads a report.
pub(crate) fn read(source: Source<'_>) -> Result<ReportFile, ParseError> {
    let budget = Budget::new();
    let mut document = Document {
        budget: &budget,
        version: None,
        linked: false,
        described: HashSet::new(),
        folders: HashSet::new(),
        packages: Vec::new(),
    };
    json::read(source, ReportKind::Spdx.format(), &budget, &mut document)?;
    document.end()
}

struct Document<'b> {
    budget: &'b Budget,
    version: Option<String>,
    /// Whether it is JSON-LD, which only SPDX 3 uses.
    linked: bool,
    described: HashSet<String>,
    /// The ids of packages that are folders or files.
    folders: HashSet<String>,
    /// The packages with their ids.
    packages: Vec<(String, Package)>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPackage {
    #[serde(rename = "SPDXID")]
    id: Option<Cut<400>>,
    name: Cut<1_000>,
    version_info: Option<Cut<400>>,
    primary_package_purpose: Option<Cut<40>>,
    license_concluded: Option<Whole>,
    license_declared: Option<Whole>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relation {
    spdx_element_id: Option<Cut<400>>,
    #[serde(rename = "relationshipType")]
    kind: Option<Cut<80>>,
    related_spdx_element: Option<Cut<400>>,
}

impl Relation {
    /// Returns the id that the document describes, if this is such a relationship.
    fn described(self) -> Option<String> {
        let (one, other) = (self.spdx_element_id?.0, self.related_spdx_element?.0);
        let (document, described) = match &*self.kind?.0 {
            "DESCRIBES" => (one, other),
            "DESCRIBED_BY" => (other, one),
            _ => return None,
        };
        (document == "SPDXRef-DOCUMENT").then_some(described)
    }
}

impl<'de> Object<'de> for Document<'_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let (budget, described) = (self.budget, &mut self.described);
        match key {
            "spdxVersion" => self.version = Some(map.next_value::<Cut<40>>()?.0),
            "@context" | "@graph" => {
                self.linked = true;
                return Ok(false);
            }
            "documentDescribes" => {
                let mut each = Each::new(budget, |Cut::<400>(id)| {
                    budget.keep(id.len())?;
                    described.insert(id);
                    Ok(())
                });
                map.next_value_seed(Items(&mut each))?;
            }
            "relationships" => {
                let mut each = Each::new(budget, |relation: Relation| {
                    let Some(id) = relation.described() else { return Ok(()) };
                    budget.keep(id.len())?;
                    described.insert(id);
                    Ok(())
                });
                map.next_value_seed(Items(&mut each))?;
            }
            "packages" => {
                let (packages, folders) = (&mut self.packages, &mut self.folders);
                let mut each = Each::new(budget, |raw: RawPackage| {
                    let is_file =
                        raw.primary_package_purpose.as_ref().is_some_and(|purpose| purpose.0 == "FILE");
                    let (id, package) = package(raw)?;
                    if is_file || !text::names_project(&package.name) {
                        budget.store(id.len())?;
                        folders.insert(id.clone());
                    }
                    let licences: usize = package.licences.iter().map(String::len).sum();
                    budget.keep(id.len() + package.name.len() + package.version.len() + licences)?;
                    packages.push((id, package));
                    Ok(())
                });
                map.next_value_seed(Items(&mut each))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Document<'_> {
    fn end(self) -> Result<ReportFile, ParseError> {
        let malformed = |what: &str| Err(ParseError::malformed(ReportKind::Spdx.format(), what));
        match self.version.as_deref() {
            Some(version) if version.starts_with("SPDX-2.") => {}
            Some(version) => return malformed(&format!("its version is `{}`", text::one_line(version, 40))),
            None if self.linked => {
                return malformed("it is JSON-LD, as SPDX 3 is; let the tool write SPDX 2.3 or CycloneDX");
            }
            None => return malformed("it has no `spdxVersion`"),
        }
        let mut packages = self.packages;
        let mut nothing = packages.is_empty().then(|| ParseError::nothing_examined("it has no packages"));
        let described: Vec<&String> =
            packages.iter().map(|(id, _)| id).filter(|id| self.described.contains(*id)).collect();
        if let [id] = &*described {
            if packages.len() == 1 && self.folders.contains(*id) {
                let what = "its only package is the folder or file that it describes";
                nothing = Some(ParseError::nothing_examined(what));
            }
            packages.retain(|(id, _)| !self.described.contains(id));
        }
        let packages = packages.into_iter().map(|(_, package)| package).collect();
        Ok(ReportFile {
            facts: Facts { packages: Some(packages), ..Facts::default() },
            nothing_examined: nothing,
        })
    }
}

fn package(raw: RawPackage) -> Result<(String, Package), ParseError> {
    let known = |licence: Option<Whole>| match licence {
        None => Ok(None),
        Some(Whole(None)) => Err(ParseError::long_licence(&raw.name.0)),
        Some(Whole(text)) => Ok(text.filter(|text| !matches!(&**text, "" | "NOASSERTION" | "NONE"))),
    };
    let licence = match known(raw.license_concluded)? {
        None => known(raw.license_declared)?,
        concluded => concluded,
    };
    let package = Package {
        name: text::one_line(&raw.name.0, 300),
        version: text::one_line(&raw.version_info.unwrap_or_default().0, 100),
        licences: licence.into_iter().collect(),
    };
    Ok((raw.id.unwrap_or_default().0, package))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let facts = crate::read(ReportKind::Spdx, &mut text.as_bytes()).map_err(|error| error.to_string())?;
        let shown = |package: &Package| {
            format!("{} {} {}", package.name, package.version, package.licences.join(" + "))
        };
        Ok(facts.packages.unwrap().iter().map(shown).collect())
    }

    fn document(more: &str, packages: &[(&str, &str, &str)]) -> String {
        let one = |(id, concluded, declared): &(&str, &str, &str)| {
            format!(
                r#"{{"SPDXID": "{id}", "name": "{id}", "versionInfo": "1", "licenseConcluded": "{concluded}",
                     "licenseDeclared": "{declared}"}}"#
            )
        };
        let packages: Vec<_> = packages.iter().map(one).collect();
        format!(r#"{{"packages": [{}], {more} "spdxVersion": "SPDX-2.3"}}"#, packages.join(","))
    }

    #[test]
    fn concluded_licence_takes_precedence_over_the_declared_one() {
        let packages = [
            ("a", "MIT", "GPL-3.0-only"),
            ("b", "NOASSERTION", "Apache-2.0 OR MIT"),
            ("c", "NONE", "NOASSERTION"),
        ];
        assert_eq!(read(&document("", &packages)).unwrap(), ["a 1 MIT", "b 1 Apache-2.0 OR MIT", "c 1 "]);
    }

    #[test]
    fn licence_is_read_whole_or_is_an_error() {
        let long = format!("{}GPL-3.0-only", "MIT AND ".repeat(1_000));
        assert_eq!(read(&document("", &[("a", &long, "")])).unwrap(), [format!("a 1 {long}")]);
        let huge = "MIT AND ".repeat(9_000);
        for (concluded, declared) in [(&*huge, "MIT"), ("NOASSERTION", &*huge)] {
            let error = read(&document("", &[("a", concluded, declared)])).unwrap_err();
            assert_eq!(error, "too large: a licence of `a` has more than 64 KiB");
        }
    }

    #[test]
    fn described_project_is_not_one_of_its_own_packages() {
        let by_relation = |one: &str, kind: &str, other: &str| {
            format!(
                r#""relationships": [{{"spdxElementId": "{one}", "relationshipType": "{kind}",
                    "relatedSpdxElement": "{other}"}}],"#
            )
        };
        let cases = [
            (r#""documentDescribes": ["a"],"#.to_owned(), vec!["b 1 MIT"]),
            (by_relation("SPDXRef-DOCUMENT", "DESCRIBES", "a"), vec!["b 1 MIT"]),
            (by_relation("a", "DESCRIBED_BY", "SPDXRef-DOCUMENT"), vec!["b 1 MIT"]),
            (by_relation("b", "DEPENDENCY_OF", "a"), vec!["a 1 MIT", "b 1 MIT"]),
            (r#""documentDescribes": ["a", "SPDXRef-File"],"#.to_owned(), vec!["b 1 MIT"]),
            (r#""documentDescribes": ["a", "b"],"#.to_owned(), vec!["a 1 MIT", "b 1 MIT"]),
        ];
        for (more, packages) in cases {
            assert_eq!(
                read(&document(&more, &[("a", "MIT", ""), ("b", "MIT", "")])).unwrap(),
                packages,
                "{more}"
            );
        }
    }

    #[test]
    fn each_of_several_described_packages_counts() {
        let packages = [("r1", "GPL-3.0-only", ""), ("r2", "MIT", ""), ("x", "MIT", "")];
        let found = read(&document(r#""documentDescribes": ["r1", "r2"],"#, &packages)).unwrap();
        assert_eq!(found, ["r1 1 GPL-3.0-only", "r2 1 MIT", "x 1 MIT"]);
        // Two packages with the described id count as dependencies.
        let twice = [("r", "GPL-3.0-only", ""), ("r", "MIT", ""), ("x", "MIT", "")];
        let found = read(&document(r#""documentDescribes": ["r"],"#, &twice)).unwrap();
        assert_eq!(found, ["r 1 GPL-3.0-only", "r 1 MIT", "x 1 MIT"]);
    }

    #[test]
    fn project_without_dependencies_has_no_packages() {
        let alone = |id: &str, more: &str| {
            let one = document(&format!(r#""documentDescribes": ["{id}"],"#), &[(id, "MIT", "")]);
            read(&one.replace(r#""versionInfo""#, &format!(r#"{more} "versionInfo""#)))
        };
        assert_eq!(alone("shop", ""), Ok(Vec::new()));
        assert_eq!(alone("@shop/app", r#""primaryPackagePurpose": "LIBRARY","#), Ok(Vec::new()));
        let message = "nothing was examined: its only package is the folder or file that it describes";
        // Scanners write this for a folder in which they found nothing.
        for (id, more) in
            [(".", ""), ("/src", ""), ("../x", ""), ("shop", r#""primaryPackagePurpose": "FILE","#)]
        {
            assert_eq!(alone(id, more).unwrap_err(), message, "{id}");
        }
        // A package that the document does not describe is a dependency.
        assert_eq!(read(&document("", &[("shop", "MIT", "")])).unwrap(), ["shop 1 MIT"]);
    }

    #[test]
    fn other_documents_are_recognised() {
        let cases = [
            (document("", &[]), "nothing was examined: it has no packages"),
            (
                r#"{"spdxVersion": "SPDX-1.2"}"#.to_owned(),
                "not an SPDX 2 report in JSON: its version is `SPDX-1.2`",
            ),
            ("{}".to_owned(), "not an SPDX 2 report in JSON: it has no `spdxVersion`"),
            (
                "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\n".to_owned(),
                "not an SPDX 2 report in JSON: it is written in tag and value; let the tool write JSON",
            ),
            (
                r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []}"#.to_owned(),
                "not an SPDX 2 report in JSON: it is JSON-LD, as SPDX 3 is; let the tool write SPDX 2.3 or CycloneDX",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(read(&text).unwrap_err(), message);
        }
    }
}
