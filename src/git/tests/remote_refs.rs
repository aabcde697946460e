//! Tests of the refs of a remote.

use super::test_repo::TestRepo;

#[test]
fn remote_says_which_branches_and_tags_it_has() {
    let hub = TestRepo::with(&[("a", "1")]);
    let bare = hub.outside().join("hub.git");
    hub.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    hub.git(&["branch", "-M", "main"]);
    hub.git(&["push", "--quiet", bare.to_str().unwrap(), "main"]);
    TestRepo::git_in(&bare, &["symbolic-ref", "HEAD", "refs/heads/main"], &[]);
    let clone = TestRepo::with(&[("b", "2")]);
    clone.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
    // What looks like the branch is another one, and sorts before it.
    clone.git(&["push", "--quiet", "origin", "HEAD:refs/heads/a/refs/heads/main"]);
    clone.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let before = clone.git(&["for-each-ref"]);

    let repository = clone.repository();
    let refs = repository.remote_refs("origin").unwrap();
    let main = hub.git(&["rev-parse", "main"]);
    let main = main.trim();
    assert_eq!(repository.remote_default(&refs).unwrap().unwrap().id, main);
    assert_eq!(repository.remote_branch(&refs, "main").unwrap().unwrap().id, main);
    assert_eq!(repository.remote_branch(&refs, "topic").unwrap(), None);
    let own = clone.git(&["rev-parse", "HEAD"]);
    let with = |commit: &str| repository.remote_branches_with(&refs, commit, &|_| true).unwrap();
    assert_eq!(with(own.trim()), ["a/refs/heads/main"]);
    assert!(with(main).contains(&"main".to_owned()));
    assert_eq!(before, clone.git(&["for-each-ref"]));

    hub.git(&["tag", "-a", "-m", "one", "v1", "main"]);
    hub.git(&["tag", "light", "main"]);
    hub.git(&["push", "--quiet", "--tags", bare.to_str().unwrap()]);
    clone.git(&["tag", "v2", main]);
    let refs = repository.remote_refs("origin").unwrap();
    assert_eq!(refs.tags_of(main), ["light", "v1"]);
}

#[test]
fn remote_that_can_not_be_reached_is_an_error() {
    let clone = TestRepo::with(&[("a", "1")]);
    clone.git(&["remote", "add", "origin", "/nowhere"]);
    assert!(clone.repository().remote_refs("origin").is_err());
}
