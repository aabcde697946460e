//! Tests of chains of commits, between clones of a bare repository.

use std::path::PathBuf;

use super::test_repo::TestRepo;
use crate::git::Repository;
use crate::git::chain::{Appended, Chain, ChainError, Signing};

/// Clones of one bare repository.
struct Clones {
    hub: TestRepo,
    bare: PathBuf,
}

impl Clones {
    fn new() -> Self {
        let hub = TestRepo::with(&[("a", "1")]);
        let bare = hub.outside().join("hub.git");
        hub.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
        hub.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
        Self { hub, bare }
    }

    fn clone(&self) -> TestRepo {
        let clone = TestRepo::new();
        clone.git(&["remote", "add", "origin", self.bare.to_str().unwrap()]);
        clone
    }

    fn in_bare(&self, args: &[&str]) -> String {
        TestRepo::git_in(&self.bare, args, &[])
    }
}

fn chain(repository: &Repository) -> Chain<'_> {
    Chain::new(repository, "xtask-deploy/staging", Some("origin".to_owned()))
}

fn texts(chain: &Chain<'_>) -> Vec<String> {
    chain.links().unwrap().into_iter().map(|link| link.text).collect()
}

fn append(chain: &Chain<'_>, text: &str) -> Appended {
    chain.append(text, text, Signing::None).unwrap()
}

#[test]
fn commits_of_all_clones_are_in_one_line() {
    let clones = Clones::new();
    let (first, second) = (clones.clone(), clones.clone());
    let (first, second) = (first.repository(), second.repository());
    let (first, second) = (chain(&first), chain(&second));
    first.fetch().unwrap();
    assert_eq!(texts(&first), Vec::<String>::new());
    assert!(matches!(append(&first, "1"), Appended::Shared(_)));
    assert!(matches!(append(&second, "2"), Appended::Shared(_)));
    assert!(matches!(append(&first, "3"), Appended::Shared(_)));
    assert_eq!(texts(&first), ["1", "2", "3"]);
    second.fetch().unwrap();
    assert_eq!(texts(&second), ["1", "2", "3"]);
    let graph = clones.in_bare(&["log", "--format=%s %p", "xtask-deploy/staging"]);
    assert!(graph.lines().all(|line| line.split(' ').count() <= 2), "{graph}");
    let message = clones.in_bare(&["log", "-1", "--format=%B", "xtask-deploy/staging"]);
    assert_eq!(message, "3\n\n[skip ci]");
}

#[test]
fn commits_made_at_once_are_all_kept() {
    let clones = Clones::new();
    let sandboxes: Vec<_> = (0..4).map(|_| clones.clone()).collect();
    std::thread::scope(|scope| {
        for (number, sandbox) in sandboxes.iter().enumerate() {
            scope.spawn(move || {
                let repository = sandbox.repository();
                append(&chain(&repository), &number.to_string());
            });
        }
    });
    // A commit that lost all races is pending, and goes out with the next one.
    for sandbox in &sandboxes {
        let repository = sandbox.repository();
        append(&chain(&repository), "end");
    }
    let repository = sandboxes[0].repository();
    let chain = chain(&repository);
    chain.fetch().unwrap();
    let mut texts = texts(&chain);
    texts.sort();
    assert_eq!(texts, ["0", "1", "2", "3", "end", "end", "end", "end"]);
}

#[test]
fn commits_made_while_the_remote_is_away_follow_later() {
    let clones = Clones::new();
    let sandbox = clones.clone();
    let repository = sandbox.repository();
    let own = chain(&repository);
    append(&own, "1");
    let away = clones.hub.outside().join("away.git");
    std::fs::rename(&clones.bare, &away).unwrap();
    for text in ["2", "3"] {
        let Appended::Pending(_, ChainError::Unreachable { .. }) = append(&own, text) else {
            panic!("{text} was not pending");
        };
    }
    assert_eq!(texts(&own), ["1", "2", "3"]);
    std::fs::rename(&away, &clones.bare).unwrap();
    let other = clones.clone();
    let other_repository = other.repository();
    append(&chain(&other_repository), "other");
    assert!(matches!(append(&own, "4"), Appended::Shared(_)));
    assert_eq!(texts(&own), ["1", "other", "2", "3", "4"]);
    let shared = clones.in_bare(&["log", "--format=%s", "--reverse", "xtask-deploy/staging"]);
    assert_eq!(shared, "1\nother\n2\n3\n4");
}

#[test]
fn refused_push_is_reported_with_its_reason() {
    use std::os::unix::fs::PermissionsExt as _;
    let clones = Clones::new();
    let sandbox = clones.clone();
    let repository = sandbox.repository();
    let chain = chain(&repository);
    append(&chain, "1");
    let hook = clones.bare.join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho protected branch >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let Appended::Pending(_, ChainError::Refused { branch, .. }) = append(&chain, "2") else { panic!() };
    assert_eq!(branch, "xtask-deploy/staging");
    std::fs::remove_file(hook).unwrap();
    let lock = clones.bare.join("refs/heads/xtask-deploy/staging.lock");
    std::fs::write(&lock, "").unwrap();
    let Appended::Pending(_, ChainError::StaleLock { message, .. }) = append(&chain, "3") else { panic!() };
    assert!(message.contains("staging.lock"), "{message}");
    std::fs::remove_file(lock).unwrap();
    assert!(matches!(append(&chain, "4"), Appended::Shared(_)));
    assert_eq!(texts(&chain), ["1", "2", "3", "4"]);
}

#[test]
fn rewritten_remote_is_reported_and_nothing_is_lost() {
    let clones = Clones::new();
    let sandbox = clones.clone();
    let repository = sandbox.repository();
    let chain = chain(&repository);
    append(&chain, "1");
    append(&chain, "2");
    clones.in_bare(&["branch", "--quiet", "--force", "xtask-deploy/staging", "main"]);
    assert!(matches!(chain.fetch(), Err(ChainError::Rewritten { .. })));
    assert_eq!(texts(&chain), ["1", "2"]);
}

#[test]
fn user_has_only_the_remote_tracking_branch_of_a_chain() {
    let clones = Clones::new();
    let sandbox = clones.clone();
    sandbox.write("a", "1");
    sandbox.commit();
    let config = std::fs::read(sandbox.path(".git/config")).unwrap();
    let repository = sandbox.repository();
    append(&chain(&repository), "1");
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
    assert_eq!(sandbox.git(&["branch", "--all"]), "* main\n  remotes/origin/xtask-deploy/staging");
    assert_eq!(std::fs::read(sandbox.path(".git/config")).unwrap(), config);
    assert!(!sandbox.path(".git/FETCH_HEAD").exists());
}

#[test]
fn signature_counts_only_with_an_allowed_key() {
    let clones = Clones::new();
    let sandbox = clones.clone();
    let home = sandbox.outside();
    let key = |name: &str| {
        let path = home.join(name);
        let words = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path.to_str().unwrap()];
        #[expect(clippy::disallowed_methods, reason = "tests make keys themselves")]
        let status = std::process::Command::new("ssh-keygen").args(words).status().unwrap();
        assert!(status.success());
        std::fs::read_to_string(path.with_extension("pub")).unwrap()
    };
    let (ann, eve) = (key("ann"), key("eve"));
    let allowed = home.join("allowed");
    std::fs::write(&allowed, format!("ann@example.org {ann}")).unwrap();
    let as_signer = |name: &str| {
        let config = format!(
            "[user]\nname={name}\nemail={name}@example.org\nsigningKey={}\n[gpg]\nformat=ssh\n",
            home.join(name).with_extension("pub").display()
        );
        std::fs::write(home.join(".gitconfig"), config).unwrap();
    };
    let repository = sandbox.repository();
    let chain = chain(&repository);
    let sign = |text: &str| match chain.append(text, text, Signing::WithUserKey).unwrap() {
        Appended::Shared(commit) => commit,
        Appended::Pending(_, error) => panic!("{error}"),
    };
    as_signer("ann");
    let by_ann = sign("yes");
    as_signer("eve");
    let by_eve = sign("yes");
    let Appended::Shared(unsigned) = append(&chain, "yes") else { panic!() };
    let signer = chain.signer(&by_ann, &allowed).unwrap().unwrap();
    assert_eq!(signer.principal, "ann@example.org");
    assert!(signer.key.starts_with("SHA256:"), "{signer:?}");
    assert_eq!(chain.signer(&by_eve, &allowed).unwrap(), None);
    assert_eq!(chain.signer(&unsigned, &allowed).unwrap(), None);
    std::fs::write(&allowed, format!("eve@example.org {eve}")).unwrap();
    assert_eq!(chain.signer(&by_ann, &allowed).unwrap(), None);
    // Without the remote, a signed commit is not made at all.
    std::fs::rename(&clones.bare, clones.hub.outside().join("away.git")).unwrap();
    let count = chain.links().unwrap().len();
    assert!(matches!(chain.append("x", "x", Signing::WithUserKey), Err(ChainError::Unreachable { .. })));
    assert_eq!(chain.links().unwrap().len(), count);
}

#[test]
fn chain_without_a_remote_is_kept_here() {
    let sandbox = TestRepo::with(&[("a", "1")]);
    let repository = sandbox.repository();
    let chain = Chain::new(&repository, "xtask-deploy/dev", None);
    assert!(matches!(append(&chain, "1"), Appended::Shared(_)));
    assert!(matches!(append(&chain, "2"), Appended::Shared(_)));
    assert_eq!(texts(&chain), ["1", "2"]);
}

#[test]
fn lock_that_a_killed_process_has_left_is_removed() {
    let sandbox = TestRepo::with(&[("a", "1")]);
    let repository = sandbox.repository();
    let chain = Chain::new(&repository, "xtask-deploy/dev", None);
    append(&chain, "1");
    let lock = repository.common_dir().join("refs/taskgate/chains/xtask-deploy/dev.lock");
    std::fs::write(&lock, "").unwrap();
    assert!(matches!(append(&chain, "2"), Appended::Shared(_)));
    assert_eq!(texts(&chain), ["1", "2"]);
    assert!(!lock.exists());
}
