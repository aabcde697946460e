//! Checks the architecture: modules import lower modules only, files of a module don't import each
//! other in circles, each file says what it contains, and only reporters and the CLI print.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Every module and its height. A module imports only lower ones. Modules of one height don't know
/// each other; a fraction orders the modules of one layer.
const MODULES: &[(&str, f32)] = &[
    ("base", 0.0),
    ("process", 0.1),
    ("quality", 0.9),
    ("decision_reason", 1.0),
    ("config_warning", 1.0),
    ("failure_hint", 1.0),
    ("config", 1.0),
    ("deploy", 1.05),
    ("event", 1.1),
    ("git", 2.0),
    ("cache", 2.0),
    ("history", 2.0),
    ("watch", 2.0),
    ("sonar_client", 2.0),
    ("target", 2.0),
    ("artifact", 2.1),
    ("select", 3.0),
    ("graph", 3.1),
    ("key", 3.2),
    ("shard", 3.21),
    ("config_lint", 3.22),
    ("affected", 3.25),
    ("plan", 3.3),
    ("run_manifest", 3.4),
    ("engine", 4.0),
    ("hooks", 4.0),
    ("init", 4.0),
    ("workflow", 4.0),
    ("gate", 4.1),
    ("deployment", 4.2),
    ("reporter", 5.0),
    ("cli", 6.0),
    ("program", 6.1),
];

const VAGUE: &[&str] = &["utils", "util", "helpers", "helper", "common", "manager", "misc", "shared_code"];

struct File {
    path: PathBuf,
    /// The module at the top of the crate that the file belongs to.
    module: String,
    text: String,
}

/// Returns the files of the library.
fn sources() -> Vec<File> {
    let files = files_below("src");
    assert!(files.len() > 30, "the files of src/ were not found");
    files
}

/// Returns the folders of the crates that know nothing of taskgate, below `crates/`.
fn crates() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut crates: Vec<_> = names.map(|name| format!("crates/{name}")).collect();
    crates.sort();
    crates
}

/// Returns the files of all crates below `crates/`.
fn crate_sources() -> Vec<File> {
    crates().iter().flat_map(|folder| files_below(&format!("{folder}/src"))).collect()
}

fn files_below(top: &str) -> Vec<File> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join(top);
    let mut files = Vec::new();
    let mut stack = vec![top.clone()];
    while let Some(folder) = stack.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let inside = path.strip_prefix(&top).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                files.push(File { text: fs::read_to_string(&path).unwrap(), module, path });
            }
        }
    }
    assert!(!files.is_empty(), "there are no files below {}", top.display());
    files
}

/// Returns the text up to the unit tests, which may import anything; of a file of tests, nothing.
fn code(file: &File) -> &str {
    if is_of_tests(file) { "" } else { file.text.split("#[cfg(test)]\nmod tests {").next().unwrap() }
}

fn is_of_tests(file: &File) -> bool {
    let is_below = file.path.iter().any(|part| part == "tests");
    is_below || file.path.ends_with("tests.rs")
}

fn heights() -> BTreeMap<&'static str, f32> {
    MODULES.iter().copied().collect()
}

#[test]
fn imports_go_down_only() {
    let heights = heights();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in sources().iter().filter(|file| file.module != "lib") {
        let own = heights.get(&*file.module).unwrap_or_else(|| panic!("src/{} has no layer", file.module));
        for (number, line) in code(file).lines().enumerate() {
            let line = line.split("//").next().unwrap();
            for part in line.split("crate::").skip(1) {
                let module: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(other) = heights.get(&*module) else {
                    wrong.push(format!("{}:{}: `{module}` is no module", file.path.display(), number + 1));
                    continue;
                };
                seen += 1;
                if module != file.module && other >= own {
                    wrong.push(format!(
                        "{}:{}: {} imports {module}",
                        file.path.display(),
                        number + 1,
                        file.module
                    ));
                }
            }
        }
    }
    assert!(seen > 100, "the imports were not found");
    assert!(wrong.is_empty(), "imports that go up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    let files = SourceFiles::parse("src", &sources());
    let same_module = |file: &ModulePath, other: &ModulePath| file[0] == other[0];
    let imports: BTreeMap<_, _> =
        files.by_module.keys().map(|file| (file.clone(), files.imports(file, same_module))).collect();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 200, "the imports were not found");
    let circles = circles(&imports);
    let shown: Vec<_> = circles.iter().map(|circle| circle.join(", ")).collect();
    assert!(shown.is_empty(), "{} circles of files:\n{}", shown.len(), shown.join("\n"));
}

#[test]
fn files_of_a_crate_do_not_import_each_other_in_circles() {
    for folder in crates() {
        let top = format!("{folder}/src");
        let files = SourceFiles::parse(&top, &files_below(&top));
        let imports: BTreeMap<_, _> =
            files.by_module.keys().map(|file| (file.clone(), files.imports(file, |_, _| true))).collect();
        let circles = circles(&imports);
        let shown: Vec<_> = circles.iter().map(|circle| circle.join(", ")).collect();
        assert!(circles.is_empty(), "{folder} has {} circles of files:\n{}", circles.len(), shown.join("\n"));
    }
}

/// Returns the circles of files, each as the names of its modules.
fn circles(imports: &BTreeMap<ModulePath, BTreeSet<ModulePath>>) -> BTreeSet<Vec<String>> {
    // Two files are in one circle if each reaches the other.
    let reached = |from: &ModulePath| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<_> = imports[from].iter().collect();
        while let Some(file) = next.pop() {
            if reached.insert(file.clone()) {
                next.extend(&imports[file]);
            }
        }
        reached
    };
    let reached: BTreeMap<_, _> = imports.keys().map(|file| (file, reached(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reached {
        if others.contains(*file) {
            let circle: Vec<_> = others
                .iter()
                .filter(|other| reached[other].contains(*file))
                .map(|other| if other.is_empty() { "lib".to_owned() } else { other.join("::") })
                .collect();
            circles.insert(circle);
        }
    }
    circles
}

/// The path of a module below the crate, such as `engine`, `services`. Each is a file.
type ModulePath = Vec<String>;

/// The files of a crate, parsed. `lib.rs` is one of them only where it is more than a list of modules.
struct SourceFiles {
    by_module: BTreeMap<ModulePath, syn::File>,
    /// What a module exports from others: its names, each with the path that is meant.
    exports: BTreeMap<ModulePath, BTreeMap<String, Vec<String>>>,
}

impl SourceFiles {
    fn parse(top: &str, files: &[File]) -> Self {
        let is_library = top == "src";
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join(top);
        let mut by_module = BTreeMap::new();
        for file in files.iter().filter(|file| !(is_of_tests(file) || is_library && file.module == "lib")) {
            let path = file.path.strip_prefix(&top).unwrap().with_extension("");
            let mut module: ModulePath = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if module.last().unwrap() == "mod" || module == ["lib"] {
                module.pop();
            }
            by_module.insert(module, syn::parse_file(&file.text).unwrap());
        }
        let mut files = Self { by_module, exports: BTreeMap::new() };
        for (module, file) in &files.by_module {
            let mut exports = BTreeMap::new();
            for item in &file.items {
                if let syn::Item::Use(import) = item
                    && !matches!(import.vis, syn::Visibility::Inherited)
                {
                    let mut leaves = Vec::new();
                    use_leaves(&import.tree, &mut Vec::new(), &mut leaves);
                    exports.extend(leaves);
                }
            }
            files.exports.insert(module.clone(), exports);
        }
        files
    }

    /// Returns the other files that a file imports, of those that are checked with it.
    fn imports(
        &self,
        module: &ModulePath,
        is_checked: impl Fn(&ModulePath, &ModulePath) -> bool,
    ) -> BTreeSet<ModulePath> {
        let mut paths = Paths::default();
        paths.visit_file(&self.by_module[module]);
        let files = paths.0.iter().filter_map(|path| self.resolve(module, path, 0));
        files.filter(|file| file != module && is_checked(file, module)).collect()
    }

    /// Returns the file that a path leads to, as it is written in a module.
    fn resolve(&self, from: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        let mut module = from.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                module.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    module.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                let mut child = module.clone();
                child.push(first.to_owned());
                self.by_module.get(&child)?;
            }
        }
        while let Some((first, behind)) = rest.split_first() {
            let mut child = module.clone();
            child.push(first.clone());
            if self.by_module.contains_key(&child) {
                (module, rest) = (child, behind);
                continue;
            }
            if let Some(meant) = self.exports.get(&module).and_then(|exports| exports.get(first))
                && depth < 5
            {
                return self.resolve(&module, meant, depth + 1);
            }
            break;
        }
        self.by_module.contains_key(&module).then_some(module)
    }
}

/// All paths of a file, but those of its tests and of what it exports from others.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = |attribute: &syn::Attribute| attribute.path().is_ident("cfg");
        if !item.attrs.iter().any(is_test) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        if matches!(import.vis, syn::Visibility::Inherited) {
            let mut leaves = Vec::new();
            use_leaves(&import.tree, &mut Vec::new(), &mut leaves);
            self.0.extend(leaves.into_iter().map(|(_, path)| path));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let text = call.tokens.to_string();
        for start in ["crate ::", "super ::"] {
            for (at, _) in text.match_indices(start) {
                let path = text[at..].split(" :: ").map(|part| {
                    part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
                });
                self.0.push(path.take(3).collect());
            }
        }
    }
}

/// Appends each name that a `use` brings in, with its path.
fn use_leaves(tree: &syn::UseTree, above: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    let with = |above: &[String], name: &syn::Ident| {
        let mut path = above.to_vec();
        if name != "self" {
            path.push(name.to_string());
        }
        path
    };
    match tree {
        syn::UseTree::Path(part) => {
            above.push(part.ident.to_string());
            use_leaves(&part.tree, above, leaves);
            above.pop();
        }
        syn::UseTree::Name(name) => leaves.push((name.ident.to_string(), with(above, &name.ident))),
        syn::UseTree::Rename(name) => leaves.push((name.rename.to_string(), with(above, &name.ident))),
        syn::UseTree::Glob(_) => leaves.push(("*".to_owned(), above.clone())),
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                use_leaves(tree, above, leaves);
            }
        }
    }
}

#[test]
fn files_say_what_they_contain() {
    let mut wrong = Vec::new();
    let of_crates = crates().into_iter().flat_map(|folder| files_below(&folder));
    for file in sources().into_iter().chain(files_below("tests")).chain(of_crates) {
        let shown = file.path.display();
        if !file.text.starts_with("//!") {
            wrong.push(format!("{shown}: the first line does not say what the file contains"));
        }
        let stem = file.path.file_stem().unwrap().to_str().unwrap();
        if VAGUE.contains(&stem) {
            wrong.push(format!("{shown}: the name says nothing"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_reporters_and_the_cli_print() {
    let mut wrong = Vec::new();
    let sources = sources().into_iter().filter(|file| !["reporter", "cli"].contains(&&*file.module));
    for file in sources.chain(crate_sources()) {
        for (number, line) in code(&file).lines().enumerate() {
            let line = line.split("//").next().unwrap();
            let prints = ["println!", "print!(", "io::stdout()", "io::stderr()"];
            // Asking whether a stream is a terminal prints nothing.
            if prints.iter().any(|print| line.contains(print)) && !line.contains("is_terminal") {
                wrong.push(format!("{}:{}: {}", file.path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "printed below the reporters:\n{}", wrong.join("\n"));
}

#[test]
fn architecture_md_names_every_module() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for (module, _) in MODULES {
        assert!(map.contains(&format!("`{module}")), "ARCHITECTURE.md does not name `{module}`");
    }
    for folder in crates() {
        assert!(map.contains(&format!("`{folder}")), "ARCHITECTURE.md does not name `{folder}`");
    }
}
