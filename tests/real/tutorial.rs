//! Tests that the tutorial works: each command prints what the page shows.

use std::path::Path;

use crate::project::doc_page::check;

#[test]
fn tutorial_works() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/start.md");
    let errors = check(&page);
    assert!(errors.is_empty(), "{errors}\nUPDATE_DOCS=1 rewrites the output that is shown");
}
