//! Tests of repositories, revisions and objects.

use std::fs;

use crate::git::Repository;
use crate::git::tests::test_repo::{TestRepo, path};

#[test]
fn repository_is_found_from_a_subfolder_and_not_from_outside() {
    let repo = TestRepo::with(&[("a/b", "1")]);
    let found = Repository::discover(&repo.path("a"), &repo.env()).unwrap().unwrap();
    assert_eq!(found.work_dir(), repo.dir);
    assert_eq!(found.git_dir(), repo.path(".git"));
    assert!(Repository::discover(&repo.outside(), &repo.env()).unwrap().is_none());
}

#[test]
fn bare_repository_is_refused() {
    let repo = TestRepo::new();
    repo.git(&["init", "--quiet", "--bare", "../bare.git"]);
    let error = Repository::discover(&repo.outside().join("bare.git"), &repo.env()).unwrap_err();
    assert!(error.to_string().contains("is a bare repository"), "{error}");
}

#[test]
fn git_variables_of_the_caller_are_ignored() {
    let repo = TestRepo::with(&[("a", "1")]);
    let vars = [("GIT_DIR", "/nowhere"), ("GIT_INDEX_FILE", "/nowhere"), ("GIT_WORK_TREE", "/nowhere")];
    let path = repo.env().var("PATH").unwrap().to_owned();
    let vars = vars.map(|(name, value)| (name.into(), value.into()));
    let env = crate::base::env::Env::new(vars.into_iter().chain([("PATH".into(), path)]), repo.dir.clone());
    let repository = Repository::discover(&repo.dir, &env).unwrap().unwrap();
    let listed = repository.program().run(repository.dirs(), &["ls-files"]).unwrap();
    assert_eq!(listed, b"a\n");
}

#[test]
fn revisions_are_resolved_or_refused() {
    let repo = TestRepo::with(&[("a", "1")]);
    repo.git(&["tag", "-a", "v1", "-m", "one"]);
    repo.write("a", "2");
    repo.commit();
    let repository = repo.repository();
    let first = repo.git(&["rev-parse", "HEAD~1"]);
    for rev in ["v1", "HEAD~1", "main^", &first, &first[..7]] {
        let commit = repository.resolve(rev).unwrap();
        assert_eq!(commit.id, first, "{rev}");
        assert_eq!(commit.tree, repo.git(&["rev-parse", "HEAD~1^{tree}"]));
    }
    for rev in ["nothing", "", "HEAD~9", "HEAD:a"] {
        let error = repository.resolve(rev).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{rev}` is not a commit")), "{error}");
    }
    assert_eq!(repository.head(), "main");
    assert_eq!(repository.head_commit().unwrap(), Some(repository.resolve("main").unwrap()));
    repo.git(&["checkout", "--quiet", "--detach", "v1"]);
    assert_eq!(repository.head(), format!("detached at {}", &first[..7]));
}

#[test]
fn files_of_a_tree_are_read() {
    let repo = TestRepo::with(&[("dir/a", "text")]);
    let repository = repo.repository();
    let tree = repository.resolve("HEAD").unwrap().tree;
    fs::remove_file(repo.path("dir/a")).unwrap();
    assert_eq!(repository.read_file(&tree, &path("dir/a")).unwrap().as_deref(), Some(&b"text"[..]));
    for absent in ["dir", "dir/b", "dir/a/b", "x"] {
        assert_eq!(repository.read_file(&tree, &path(absent)).unwrap(), None, "{absent}");
    }
    assert!(repository.read_file("not an id", &path("a")).is_err());
}
