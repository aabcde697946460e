//! Tests that a remembered config is the one that parsing gives, whatever happened to the files or to what
//! was remembered.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::base::digest::Digest;
use crate::config::tests::{DEPLOY, DESIGN, random::piece};

#[derive(Clone, Debug)]
enum Node {
    File(String),
    Link(String),
}

/// A tree in memory.
#[derive(Clone, Default)]
struct Files(BTreeMap<String, Node>);

impl ConfigTree for Files {
    type Error = Infallible;

    fn list(&self, folder: &RepoPath) -> Result<Vec<TreeEntry>, Infallible> {
        const ENDING: &str = ".toml";
        let start = if folder.is_top() { String::new() } else { format!("{folder}/") };
        let below = self.0.keys().filter_map(|path| path.strip_prefix(&start));
        let names: BTreeSet<(&str, bool)> = below
            .map(|rest| rest.split_once('/').map_or((rest, false), |(name, _)| (name, true)))
            .filter(|(name, is_folder)| *is_folder || name.ends_with(ENDING))
            .collect();
        Ok(names
            .into_iter()
            .map(|(name, is_folder)| TreeEntry { path: folder.child(name.as_bytes()), is_folder })
            .collect())
    }

    fn link(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(match self.0.get(&path.to_string()) {
            Some(Node::Link(target)) => Some(target.clone().into_bytes()),
            _ => None,
        })
    }

    fn read(&self, path: &RepoPath) -> Result<Option<String>, Infallible> {
        Ok(match self.0.get(&path.to_string()) {
            Some(Node::File(text)) => Some(text.clone()),
            _ => None,
        })
    }

    fn read_beside(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.read(path)?.map(String::into_bytes))
    }

    fn name(&self, path: &RepoPath) -> String {
        path.to_string()
    }
}

/// What is remembered, in memory.
struct Memory {
    program: Digest,
    files: RefCell<BTreeMap<Digest, Vec<u8>>>,
    writes: Cell<usize>,
}

impl Memory {
    fn new() -> Self {
        Self { program: Digest::hash(b"program"), files: RefCell::default(), writes: Cell::default() }
    }
}

impl ConfigMemory for Memory {
    fn program(&self) -> &Digest {
        &self.program
    }

    fn read(&self, name: &Digest) -> Option<Vec<u8>> {
        self.files.borrow().get(name).cloned()
    }

    fn write(&self, name: &Digest, bytes: &[u8]) {
        self.writes.set(self.writes.get() + 1);
        self.files.borrow_mut().insert(*name, bytes.to_vec());
    }
}

fn files(list: &[(&str, &str)]) -> Files {
    Files(list.iter().map(|(path, text)| ((*path).to_owned(), Node::File((*text).to_owned()))).collect())
}

/// Returns all that there is to know of a loaded config, or its errors.
fn describe(loaded: Result<Option<Config>, LoadError<Infallible>>) -> Result<String, String> {
    match loaded {
        Ok(Some(config)) => {
            let variables = config.tasks.iter().map(|task| &task.env.variables.from_files);
            let values: Vec<&str> = variables.flat_map(|from| from.values().map(|value| &*value.0)).collect();
            Ok(format!("{config:?} {values:?}"))
        }
        Ok(None) => Err("there is no tasks.toml".to_owned()),
        Err(LoadError::Wrong(diagnostics)) => Err(diagnostics.render(false)),
        Err(LoadError::Tree(never)) => match never {},
    }
}

fn top() -> RepoPath {
    RepoPath::from_git(FILE.as_bytes())
}

/// Loads with and without what is remembered, and compares.
#[track_caller]
fn load_same(tree: &Files, memory: &Memory) -> Result<String, String> {
    let parsed = describe(load(tree, &top()));
    assert_eq!(describe(load_remembered(tree, &top(), memory)), parsed);
    parsed
}

/// Asserts that a file is remembered if it is valid, and that the remembered config is the parsed one.
#[track_caller]
pub(in crate::config) fn assert_remembers(text: &str) {
    let (tree, memory) = (files(&[(FILE, text)]), Memory::new());
    let first = load_same(&tree, &memory);
    assert_eq!(memory.writes.get(), usize::from(first.is_ok()), "a config is remembered, errors are not");
    let again = load_same(&tree, &memory);
    assert_eq!(again, first);
    assert_eq!(memory.writes.get(), usize::from(first.is_ok()), "a remembered config is not parsed again");
}

#[test]
fn remembered_config_of_each_example_is_the_parsed_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = std::fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut read = 0;
    for folder in examples.chain([root.to_owned()]) {
        let Ok(text) = std::fs::read_to_string(folder.join(FILE)) else { continue };
        assert_remembers(&text);
        read += 1;
    }
    assert!(read > 2, "the examples were not found");
    assert_remembers(DESIGN);
    assert_remembers(DEPLOY);
}

const INCLUDES: [(&str, &str); 4] = [
    (FILE, "include = ['*/tasks.toml']\n[tasks.a]\nrun = 'x'\nneeds = ['b:t']\nenv-file = ['?.env']\n"),
    ("b/tasks.toml", "[files]\nf = ['*.rs']\n[tasks.t]\nrun = 'y'\ninputs = ['@f', '!x']\n"),
    ("c/tasks.toml", "[tasks.t]\nrun = 'z'\n"),
    (".env", "A=1\n"),
];

#[test]
fn each_change_of_the_files_is_seen() {
    let mut tree = files(&INCLUDES);
    let memory = Memory::new();
    let mut seen = BTreeSet::from([load_same(&tree, &memory)]);
    let file = |text: &str| Some(Node::File(text.to_owned()));
    let link = |target: &str| Some(Node::Link(target.to_owned()));
    let changes = [
        ("b/tasks.toml", file("[tasks.t]\nrun = 'changed'\n")),
        ("b/tasks.toml", file("[tasks.t]\nrun = 'changed {{ matrix.m }}'\nmatrix = { m = ['1', '2'] }\n")),
        ("d/tasks.toml", file("[tasks.t]\nrun = 'appears'\n")),
        ("c/tasks.toml", None),
        ("d/tasks.toml", link("../e/other.toml")),
        ("e/other.toml", file("[tasks.t]\nrun = 'by a link'\n")),
        ("e/other.toml", file("[tasks.t]\nrun = 'by a changed link'\n")),
        ("d/tasks.toml", link("../../outside.toml")),
        ("d/tasks.toml", None),
        (".env", file("A=2\n")),
        (".env", file("broken\n")),
        (".env", None),
        (FILE, file("include = ['b/tasks.toml']\n")),
        (
            FILE,
            file("include = ['b/tasks.toml']\n# a comment moves the places\n[tasks.a]\nneeds = ['b:t']\n"),
        ),
        (FILE, file("broken")),
        (FILE, link("b/tasks.toml")),
        (FILE, None),
    ];
    for (path, node) in changes {
        match node {
            Some(node) => drop(tree.0.insert(path.to_owned(), node)),
            None => drop(tree.0.remove(path)),
        }
        assert!(seen.insert(load_same(&tree, &memory)), "{path} makes no difference");
    }
}

#[test]
fn damaged_config_is_parsed_and_remembered_again() {
    let (tree, memory) = (files(&INCLUDES), Memory::new());
    let parsed = load_same(&tree, &memory);
    let (name, whole) =
        memory.files.borrow().first_key_value().map(|(name, it)| (*name, it.clone())).unwrap();
    let flipped = (0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    });
    let cut = (0..whole.len()).map(|len| whole[..len].to_vec());
    let longer = [[&*whole, b"\0"].concat()];
    for damaged in flipped.chain(cut).chain(longer) {
        memory.files.borrow_mut().insert(name, damaged);
        assert_eq!(describe(load_remembered(&tree, &top(), &memory)), parsed);
        assert_eq!(memory.files.borrow()[&name], whole, "it is written again");
    }
}

#[test]
fn config_of_another_file_is_not_used() {
    let (tree, memory) = (files(&INCLUDES), Memory::new());
    load_same(&tree, &memory).unwrap();
    let other = files(&[(FILE, "[tasks.other]\nrun = 'x'\n")]);
    let bytes = memory.files.borrow().first_key_value().unwrap().1.clone();
    load_same(&other, &memory).unwrap();
    for kept in memory.files.borrow_mut().values_mut() {
        kept.clone_from(&bytes);
    }
    assert!(load_same(&other, &memory).unwrap().contains("other"));
}

#[test]
fn programs_do_not_read_the_configs_of_others() {
    let (tree, first) = (files(&INCLUDES), Memory::new());
    load_same(&tree, &first).unwrap();
    let second = Memory { program: Digest::hash(b"another program"), ..Memory::new() };
    second.files.replace(first.files.take());
    load_same(&tree, &second).unwrap();
    assert_eq!((second.writes.get(), second.files.borrow().len()), (1, 2));
    first.files.replace(second.files.take());
    load_same(&tree, &first).unwrap();
    assert_eq!(first.writes.get(), 1, "its own config is still there");
}

#[test]
fn values_of_variable_files_are_not_remembered() {
    let mut tree = files(&INCLUDES);
    tree.0.insert(".env".to_owned(), Node::File("A=hunter2\n".to_owned()));
    let memory = Memory::new();
    assert!(load_same(&tree, &memory).unwrap().contains("hunter2"));
    let kept = memory.files.borrow().first_key_value().unwrap().1.clone();
    assert!(!kept.windows(7).any(|bytes| bytes == b"hunter2"));
}

/// Generates a change of one path of a tree: a file, a symlink, or nothing.
fn change() -> impl Strategy<Value = (&'static str, Option<Node>)> {
    let path =
        select(vec![FILE, "a/tasks.toml", "a/b/tasks.toml", "c/tasks.toml", "x.toml", "c/x.toml", ".env"]);
    let text = select(vec![
        "include = ['?*/tasks.toml', '?x.toml']\n[tasks.t]\nrun = 'x'\nenv-file = ['?.env']\n",
        "include = ['?**/tasks.toml']\n[tasks.t]\nrun = 'x'\n",
        "include = ['?a', '!a/b']\n[tasks.t]\nrun = 'x'\n",
        "include = ['c/x.toml']\n",
        "[tasks.t]\nrun = 'x'\nenv-file = ['.env']\n",
        "[tasks.u]\nrun = 'x {{ matrix.m }}'\nmatrix = { m = ['1', '2'] }\n",
        "A=1\n",
        "",
    ]);
    let target = select(vec!["../x.toml", "x.toml", "c/x.toml", "../c", "tasks.toml", "../../away"]);
    let node = prop_oneof![
        6 => text.prop_map(|text| Some(Node::File(text.to_owned()))),
        2 => target.prop_map(|target| Some(Node::Link(target.to_owned()))),
        2 => Just(None),
    ];
    (path, node)
}

proptest! {
    #[test]
    fn any_sequence_of_changes_is_seen(changes in prop::collection::vec(change(), 1..24)) {
        let mut tree = files(&INCLUDES);
        let memory = Memory::new();
        for (path, node) in changes {
            match node {
                Some(node) => drop(tree.0.insert(path.to_owned(), node)),
                None => drop(tree.0.remove(path)),
            }
            let loaded = load_same(&tree, &memory);
            let writes = memory.writes.get();
            load_same(&tree, &memory).ok();
            prop_assert!(loaded.is_err() || memory.writes.get() == writes);
        }
    }

    #[test]
    fn remembered_config_of_any_text_is_the_parsed_one(pieces in prop::collection::vec(piece(), 0..8)) {
        assert_remembers(&pieces.concat());
    }
}
