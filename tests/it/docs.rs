//! Tests that the examples of the README and of docs/ work. The tutorial needs more than Rust and git, so it is among
//! the tests with real components.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::project::doc_page::check;

#[test]
fn examples_of_readme_and_docs_work() {
    let pages: Vec<_> = pages().into_iter().filter(|page| !page.ends_with(TUTORIAL)).collect();
    let errors: Vec<String> = std::thread::scope(|scope| {
        let checks: Vec<_> = pages.iter().map(|page| scope.spawn(|| check(page))).collect();
        checks.into_iter().map(|check| check.join().unwrap()).collect()
    });
    let errors = errors.concat();
    assert!(errors.is_empty(), "{errors}\nUPDATE_DOCS=1 rewrites the output that is shown");
}

#[test]
fn links_of_readme_and_docs_are_valid() {
    let mut errors = String::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            let path = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let target = fs::read_to_string(&path).unwrap_or_default();
            if !path.exists() || !(anchor.is_empty() || anchors(&target).any(|name| name == anchor)) {
                writeln!(errors, "{}: {link}", page.display()).unwrap();
            }
        }
    }
    assert!(errors.is_empty(), "broken links:\n{errors}");
}

/// Returns the anchors of a page's headings, as GitHub generates them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    })
}

/// The tutorial, which needs node, npm, Python and uv.
const TUTORIAL: &str = "start.md";

/// Returns README.md and the pages of docs/.
fn pages() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = fs::read_dir(top.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.push(top.join("README.md"));
    pages.sort();
    pages
}
