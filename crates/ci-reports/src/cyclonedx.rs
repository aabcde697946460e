//! Reads `CycloneDX` JSON: the dependencies of a project.
//!
//! Components are packages, except those that have no licence of their own: files, data and
//! cryptographic assets. The project itself (`metadata.component`) is not one of its dependencies.
//!
//! A project without dependencies is accepted: it has a name, and its list of components exists and
//! contains no packages, or its dependencies are listed and there are none. An empty list without a
//! project, or of a folder or a file, means that nothing was examined.

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess};

use super::budget::Budget;
use super::facts::{Facts, Package};
use super::json::{self, Array, Cut, First, Items, Keys, Object, Whole};
use super::source::Source;
use super::{ParseError, ReportFile, ReportKind, text};

/// The maximum number of licences of a package.
const LICENCES: usize = 1_000;

/// Reads a report.
pub(crate) fn read(source: Source<'_>) -> Result<ReportFile, ParseError> {
    let budget = Budget::new();
    let mut bom = Bom {
        budget: &budget,
        format: None,
        version: false,
        root: Root::default(),
        is_listed: false,
        dependencies: Dependencies::default(),
        packages: Vec::new(),
    };
    json::read(source, ReportKind::Cyclonedx.format(), &budget, &mut bom)?;
    if bom.format.as_deref() != Some("CycloneDX") || !bom.version {
        let what = "it has no `bomFormat` that says `CycloneDX`, or no `specVersion`";
        return Err(ParseError::malformed(ReportKind::Cyclonedx.format(), what));
    }
    let is_listed = bom.is_listed || bom.dependencies.are_none_of(&bom.root.id);
    let is_without = is_listed && bom.root.is_project() && !bom.dependencies.any;
    let is_honest = !bom.packages.is_empty() || is_without;
    let nothing = (!is_honest).then(|| {
        ParseError::nothing_examined(if bom.dependencies.any {
            "its `dependencies` name packages that its `components` lack"
        } else if bom.root.is_project() {
            "it has no list of `components`, and an empty one is required"
        } else {
            "no component is a package, and `metadata.component` names no project without packages"
        })
    });
    Ok(ReportFile {
        facts: Facts { packages: Some(bom.packages), ..Facts::default() },
        nothing_examined: nothing,
    })
}

struct Bom<'b> {
    budget: &'b Budget,
    format: Option<String>,
    version: bool,
    /// The project.
    root: Root,
    /// Whether the report has a list of components.
    is_listed: bool,
    dependencies: Dependencies,
    packages: Vec<Package>,
}

/// The list `dependencies`. For a project without dependencies, it has one entry: the project.
#[derive(Default)]
struct Dependencies {
    count: u64,
    /// Whether any entry has dependencies.
    any: bool,
    first: Option<Dependency>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    id: Option<Cut<1_000>>,
    depends_on: Option<First<IgnoredAny>>,
}

impl Dependencies {
    /// Returns whether the only entry is this project, and it depends on nothing.
    fn are_none_of(&self, root: &str) -> bool {
        let is_root = |dependency: &Dependency| {
            let is_free = dependency.depends_on.as_ref().is_none_or(|list| list.0.is_none());
            is_free && dependency.id.as_ref().is_some_and(|id| text::one_line(&id.0, 300) == root)
        };
        self.count == 1 && !root.is_empty() && self.first.as_ref().is_some_and(is_root)
    }
}

impl<'de> Array<'de> for Dependencies {
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let Some(dependency) = seq.next_element::<Dependency>()? else { return Ok(false) };
        self.count += 1;
        self.any |= dependency.depends_on.as_ref().is_some_and(|list| list.0.is_some());
        self.first.get_or_insert(dependency);
        Ok(true)
    }
}

/// `metadata`, of which only the component is read.
#[derive(Default)]
struct Root {
    id: String,
    kind: String,
    name: String,
}

impl Root {
    /// Returns whether it is a project instead of a folder that was scanned.
    fn is_project(&self) -> bool {
        !matches!(&*self.kind, "file" | "data" | "cryptographic-asset") && text::names_project(&self.name)
    }
}

struct Metadata<'r>(&'r mut Root);

impl<'de> Object<'de> for Metadata<'_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        if key != "component" {
            return Ok(false);
        }
        map.next_value_seed(Keys(self.0))?;
        Ok(true)
    }
}

impl<'de> Object<'de> for Root {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "bom-ref" => self.id = line::<A>(map)?,
            "type" => self.kind = line::<A>(map)?,
            "name" => self.name = line::<A>(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Object<'de> for Bom<'_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "bomFormat" => self.format = Some(map.next_value::<Cut<40>>()?.0),
            "specVersion" => self.version = !map.next_value::<Cut<40>>()?.0.is_empty(),
            "components" => {
                let mut components = Components { budget: self.budget, packages: &mut self.packages };
                self.is_listed |= map.next_value_seed(Items(&mut components))?;
            }
            "metadata" => {
                map.next_value_seed(Keys(&mut Metadata(&mut self.root)))?;
            }
            "dependencies" => {
                map.next_value_seed(Items(&mut self.dependencies))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

struct Components<'b, 'p> {
    budget: &'b Budget,
    packages: &'p mut Vec<Package>,
}

impl<'de> Array<'de> for Components<'_, '_> {
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut component = Component {
            all: self,
            kind: String::new(),
            group: String::new(),
            package: None,
            too_long: false,
        };
        match seq.next_element_seed(Keys(&mut component))? {
            Some(true) => {}
            Some(false) => return Err(A::Error::custom("a component is `null`")),
            None => return Ok(false),
        }
        let Component { kind, group, package, too_long, .. } = component;
        let Some(mut package) = package.filter(|package| !package.name.is_empty()) else {
            return Err(A::Error::custom("a component has no name"));
        };
        if matches!(&*kind, "file" | "data" | "cryptographic-asset") {
            return Ok(true);
        }
        if too_long {
            return Err(self.budget.stop(ParseError::long_licence(&package.name)));
        }
        if !group.is_empty() {
            package.name = format!("{group}/{}", package.name);
        }
        let licences: usize = package.licences.iter().map(String::len).sum();
        let size = package.name.len() + package.version.len() + licences;
        self.budget.keep(size).map_err(|error| self.budget.stop(error))?;
        self.packages.push(package);
        Ok(true)
    }
}

struct Component<'c, 'b, 'p> {
    all: &'c mut Components<'b, 'p>,
    kind: String,
    group: String,
    package: Option<Package>,
    /// Whether one of its licences is too long.
    too_long: bool,
}

impl<'de> Object<'de> for Component<'_, '_, '_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "type" => self.kind = map.next_value::<Cut<40>>()?.0,
            "group" => self.group = line::<A>(map)?,
            "name" => self.package().name = line::<A>(map)?,
            "version" => self.package().version = line::<A>(map)?,
            "licenses" => {
                let mut licences = Licences { known: Vec::new(), too_long: false };
                map.next_value_seed(Items(&mut licences))?;
                self.too_long |= licences.too_long;
                self.package().licences.append(&mut licences.known);
            }
            "components" => {
                map.next_value_seed(Items(self.all))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Component<'_, '_, '_> {
    fn package(&mut self) -> &mut Package {
        let empty = || Package { name: String::new(), version: String::new(), licences: Vec::new() };
        self.package.get_or_insert_with(empty)
    }
}

fn line<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    let text = map.next_value::<Option<Cut<1_000>>>()?.unwrap_or_default();
    Ok(text::one_line(&text.0, 300))
}

/// The licences of a component.
struct Licences {
    known: Vec<String>,
    /// Whether a licence is too long. The name of the component may come later.
    too_long: bool,
}

#[derive(serde::Deserialize)]
struct Choice {
    license: Option<Licence>,
    expression: Option<Whole>,
}

#[derive(serde::Deserialize)]
struct Licence {
    id: Option<Whole>,
    name: Option<Whole>,
}

impl<'de> Array<'de> for Licences {
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let Some(choice) = seq.next_element::<Choice>()? else {
            return Ok(false);
        };
        let licence = choice.license.map_or((None, None), |licence| (licence.id, licence.name));
        if self.known.len() == LICENCES {
            return Err(A::Error::custom("a component has too many licences"));
        }
        match choice.expression.or(licence.0).or(licence.1) {
            Some(Whole(None)) => self.too_long = true,
            Some(Whole(Some(written))) if !written.is_empty() && written != "NOASSERTION" => {
                self.known.push(written);
            }
            _ => {}
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(components: &str) -> Result<Vec<String>, String> {
        let text = format!(
            "{{\"components\": {components}, \"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\"}}"
        );
        let facts =
            crate::read(ReportKind::Cyclonedx, &mut text.as_bytes()).map_err(|error| error.to_string())?;
        let shown = |package: &Package| {
            format!("{} {} {}", package.name, package.version, package.licences.join(" + "))
        };
        Ok(facts.packages.unwrap().iter().map(shown).collect())
    }

    #[test]
    fn components_are_packages_with_all_their_licences() {
        let components = r#"[
            {"type": "library", "group": "@scope", "name": "a", "version": "1.0",
             "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "The Apache License"}}]},
            {"type": "application", "name": "b", "licenses": [{"expression": "MIT OR Apache-2.0"}], "components": [
                {"type": "library", "name": "c", "version": "3", "licenses": null},
                {"type": "file", "name": "/usr/bin/c"}]},
            {"type": "library", "name": "d", "version": null, "licenses": [{"license": {"id": "NOASSERTION"}}]}
        ]"#;
        assert_eq!(
            read(components).unwrap(),
            ["@scope/a 1.0 MIT + The Apache License", "c 3 ", "b  MIT OR Apache-2.0", "d  "]
        );
    }

    #[test]
    fn licence_is_read_whole_or_is_an_error() {
        let long = format!("{}GPL-3.0-only", "MIT AND ".repeat(1_000));
        for licence in
            ["{\"expression\": \"*\"}", "{\"license\": {\"name\": \"*\"}}", "{\"license\": {\"id\": \"*\"}}"]
        {
            let component = |text: &str| {
                let licence = licence.replace('*', text);
                format!(r#"[{{"type": "library", "licenses": [{licence}], "name": "a"}}]"#)
            };
            assert_eq!(read(&component(&long)).unwrap(), [format!("a  {long}")]);
            let error = read(&component(&"MIT AND ".repeat(9_000))).unwrap_err();
            assert_eq!(error, "too large: a licence of `a` has more than 64 KiB", "{licence}");
        }
    }

    #[test]
    fn empty_component_list_is_valid_only_for_a_named_project() {
        let message = "nothing was examined: no component is a package, and \
                    `metadata.component` names no project without packages";
        for components in ["[]", "null", r#"[{"type": "file", "name": "/bin/sh"}]"#] {
            assert_eq!(read(components).unwrap_err(), message);
        }
        let of = |component: &str, components: &str| {
            read(&format!(r#"{components}, "metadata": {{"component": {component}}}"#))
        };
        for component in [
            r#"{"type": "library", "name": "lib", "version": "1.0.0"}"#,
            r#"{"type": "application", "name": "@shop/app"}"#,
            r#"{"name": "github.com/shop/till"}"#,
        ] {
            assert_eq!(of(component, "[]"), Ok(Vec::new()), "{component}");
            assert_eq!(of(component, r#"[{"type": "file", "name": "/bin/sh"}]"#), Ok(Vec::new()));
            assert_eq!(
                of(component, "null").unwrap_err(),
                "nothing was examined: it has no list of `components`, and an empty one is required"
            );
        }
        // cyclonedx-py leaves out an empty list of components.
        let none = |dependencies: &str| {
            let component = r#"{"type": "library", "name": "lib", "bom-ref": "root"}"#;
            of(component, &format!(r#"null, "dependencies": {dependencies}"#)).is_ok()
        };
        for (dependencies, are_none) in [
            (r#"[{"ref": "root"}]"#, true),
            (r#"[{"ref": "root", "dependsOn": []}]"#, true),
            (r#"[{"ref": "root", "dependsOn": ["a"]}]"#, false),
            (r#"[{"ref": "other"}]"#, false),
            (r#"[{"ref": "root"}, {"ref": "other"}]"#, false),
            ("[]", false),
        ] {
            assert_eq!(none(dependencies), are_none, "{dependencies}");
        }
        // A dependency is named that is not listed as a component.
        let component = r#"{"type": "library", "name": "lib", "bom-ref": "root"}"#;
        let named = r#"[], "dependencies": [{"ref": "x"}, {"ref": "root", "dependsOn": ["a"]}]"#;
        assert_eq!(
            of(component, named).unwrap_err(),
            "nothing was examined: its `dependencies` name packages that its `components` lack"
        );
        // Scanners write this for a folder in which they found nothing.
        for component in [
            "null",
            "{}",
            r#"{"type": "library"}"#,
            r#"{"type": "application", "name": "."}"#,
            r#"{"type": "application", "name": "/src"}"#,
            r#"{"type": "application", "name": "./app"}"#,
            r#"{"type": "file", "name": "app"}"#,
        ] {
            assert_eq!(of(component, "[]").unwrap_err(), message, "{component}");
        }
        let xml = crate::read(ReportKind::Cyclonedx, &mut &b"\n<?xml version='1.0'?><bom/>"[..]).unwrap_err();
        let message = "not a CycloneDX report in JSON: it is written in XML; let the tool write JSON";
        assert_eq!(xml.to_string(), message);
        assert!(read("[null]").unwrap_err().contains("a component is `null`"));
        assert!(read("[{}]").unwrap_err().contains("a component has no name"));
        let twice = r#"[{"type": "library", "name": "a", "type": "file"}]"#;
        assert!(read(twice).unwrap_err().contains("duplicate key `type`"));
        assert!(read("7").unwrap_err().contains("expected an array (line 1, column 17)"));
    }
}
