//! Tests of collecting and comparing outputs.

use super::*;
use crate::base::stat::{FileTime, Moment, Stat};
use crate::cache::OutputContent;

fn names(outputs: &OutputSet) -> Vec<String> {
    outputs.outputs().iter().map(|output| output.path.to_string()).collect()
}

#[test]
fn files_symlinks_and_empty_folders_that_match_are_collected() {
    let f = Fixture::new();
    f.write("dist/app.js", "app");
    f.mode("dist/app.js", 0o750);
    f.write("dist/app.js.map", "map");
    f.write("dist/.git/config", "git");
    f.write("outside/x", "x");
    f.link("dist/link", "../outside");
    f.link("dist/nowhere", "nowhere");
    f.folder("dist/empty");
    f.folder("empty");
    let outputs = f.collect(&["dist", "!**/*.map"]);
    assert_eq!(names(&outputs), ["dist", "dist/app.js", "dist/empty", "dist/link", "dist/nowhere"]);
    let contents: Vec<&OutputContent> = outputs.outputs().iter().map(|output| &output.content).collect();
    assert_eq!(*contents[1], OutputContent::File { mode: 0o750, size: 3, digest: Digest::hash(b"app") });
    assert!(matches!(contents[0], OutputContent::Folder { is_empty: false, .. }));
    assert!(matches!(contents[2], OutputContent::Folder { is_empty: true, .. }));
    assert_eq!(*contents[3], OutputContent::Symlink { target: b"../outside"[..].into() });
}

#[test]
fn patterns_without_matches_are_reported() {
    let f = Fixture::new();
    f.write("dist/app.js", "app");
    let outputs = f.collect(&["dist/*.js", "dist/*.css", "target/app", "!dist/x"]);
    assert_eq!(outputs.unmatched(), ["dist/*.css", "target/app"]);
    assert_eq!(f.collect(&["dist/*.js"]).unmatched(), [""; 0]);
    assert_eq!(f.collect(&[]).outputs(), []);
}

// The library can create pipes on Linux only.
#[cfg(target_os = "linux")]
#[test]
fn special_file_is_refused_by_name() {
    let f = Fixture::new();
    f.write("dist/a", "a");
    let refusal =
        |f: &Fixture| f.cache.collect(&f.root(), &patterns(&["dist"])).map(|_| ()).unwrap_err().to_string();
    let path = f.root().join("dist/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_bits_truncate(0o600),
        0,
    )
    .unwrap();
    assert_eq!(refusal(&f), "the output dist/pipe is a named pipe, which can't be stored");
    f.remove("dist/pipe");
    let _socket = std::os::unix::net::UnixListener::bind(f.root().join("dist/socket")).unwrap();
    assert_eq!(refusal(&f), "the output dist/socket is a socket, which can't be stored");
}

#[test]
fn symlinked_folder_is_not_followed() {
    let f = Fixture::new();
    f.write("elsewhere/app.js", "app");
    f.link("dist", "elsewhere");
    assert_eq!(names(&f.collect(&["dist"])), ["dist"]);
    let refused = f.cache.collect(&f.root(), &patterns(&["dist/app.js"]));
    assert_eq!(refused.unwrap_err().to_string(), "dist is a symlink, and outputs below it are not stored");
}

/// A change of outputs, and the text that describes it.
type Difference = (fn(&Fixture), &'static str);

const DIFFERENCES: &[Difference] = &[
    (|f| f.write("dist/a", "A"), "dist/a was edited"),
    (|f| f.write("dist/a", "longer"), "dist/a was edited"),
    (|f| f.mode("dist/a", 0o755), "dist/a has another mode"),
    (|f| f.remove("dist/a"), "dist/a is missing"),
    (|f| f.write("dist/z", "z"), "dist/z is extra"),
    (|f| f.folder("dist/z"), "dist/z is extra"),
    (|f| f.remove("dist/empty"), "dist/empty is missing"),
    (|f| f.write("dist/empty/x", "x"), "dist/empty/x is extra"),
    (|f| f.relink("dist/link", "b"), "dist/link points elsewhere"),
    (|f| f.rewrite("dist/link", "a"), "dist/link is no longer a symlink"),
    (|f| f.relink("dist/a", "b"), "dist/a is no longer a file"),
    (|f| f.rewrite("dist/a/x", "b"), "dist/a is no longer a file"),
    (|f| f.rewrite("dist/empty", ""), "dist/empty is no longer a folder"),
    (|f| f.remove("dist"), "dist/a is missing"),
    (|f| f.relink("dist", "x"), "dist/a is missing"),
];

#[test]
fn any_difference_is_found() {
    for (change, expected) in DIFFERENCES {
        let f = Fixture::new();
        f.write("dist/a", "a");
        f.write("dist/b", "b");
        f.link("dist/link", "a");
        f.folder("dist/empty");
        let entry = f.stored("a", &["dist"]);
        assert_eq!(f.state_of(&["dist"], &entry), OutputState::Intact);
        change(&f);
        assert_eq!(f.state_of(&["dist"], &entry), OutputState::Differs((*expected).to_owned()));
    }
}

#[test]
fn files_outside_the_patterns_are_ignored() {
    let f = Fixture::new();
    f.write("dist/a.js", "a");
    f.folder("dist/sub");
    let list = ["dist", "!**/*.log"];
    let entry = f.stored("a", &list);
    f.write("dist/x.log", "log");
    f.write("dist/sub/y.log", "log");
    assert_eq!(f.state_of(&list, &entry), OutputState::Intact);
    f.write("dist/other/z.log", "log");
    assert_eq!(f.state_of(&list, &entry), OutputState::Intact);
}

#[test]
fn unchanged_outputs_are_not_read_again() {
    let f = Fixture::new();
    f.write("dist/a", "a");
    let entry = f.stored("a", &["dist"]);
    let root = f.root();
    let path = root.join("dist/a");
    let stat = || Stat::new(&path.symlink_metadata().unwrap());
    wait_until("a file that was read is in the table", || {
        f.state_of(&["dist"], &entry);
        f.cache.table(&root).get(b"dist/a", &stat()).is_some()
    });
    let cache = f.reopened();
    assert_eq!(cache.table(&root).get(b"dist/a", &stat()), Some(Digest::hash(b"a")));
    // A wrong digest in the table is used: so the file was not read.
    let later = Moment { device: stat().device, time: FileTime { seconds: i64::MAX, nanos: 0 } };
    cache.table(&root).insert([(&b"dist/a"[..], &stat(), Digest::hash(b"wrong"))], &later);
    let state = cache.compare(&root, &patterns(&["dist"]), &entry);
    assert_eq!(state, OutputState::Differs("dist/a was edited".to_owned()));
    // An edit that keeps size and modification time is noticed too.
    let modified = path.metadata().unwrap().modified().unwrap();
    f.write("dist/a", "b");
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(f.state_of(&["dist"], &entry), OutputState::Differs("dist/a was edited".to_owned()));
}

#[test]
fn saved_table_forgets_deleted_files() {
    let f = Fixture::new();
    f.write("dist/a", "a");
    f.write("dist/b", "b");
    let root = f.root();
    let stat = |name: &str| Stat::new(&root.join(name).symlink_metadata().unwrap());
    let (a, b) = (stat("dist/a"), stat("dist/b"));
    wait_until("both files are in the table", || {
        f.collect(&["dist"]);
        f.cache.table(&root).get(b"dist/b", &b).is_some() && f.cache.table(&root).get(b"dist/a", &a).is_some()
    });
    f.remove("dist/b");
    let cache = f.reopened();
    assert!(cache.table(&root).get(b"dist/a", &a).is_some());
    assert!(cache.table(&root).get(b"dist/b", &b).is_none());
}
