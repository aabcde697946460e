//! The package ecosystems of a repository, by Dependabot's names. It must not know how Dependabot is
//! configured.

use std::collections::{BTreeMap, BTreeSet};

/// Folders with code of others or with test data.
const SKIPPED: [&str; 5] = ["node_modules", "vendor", "testdata", "fixtures", "third_party"];

/// The folders of each ecosystem, such as `/` and `/web`.
pub type Ecosystems = BTreeMap<&'static str, BTreeSet<String>>;

/// A file that shows that an ecosystem is used.
struct EcosystemFile {
    ecosystem: &'static str,
    name: &'static str,
    /// Whether it also covers the folders below.
    is_lock: bool,
}

const fn lock(ecosystem: &'static str, name: &'static str) -> EcosystemFile {
    EcosystemFile { ecosystem, name, is_lock: true }
}

const fn manifest(ecosystem: &'static str, name: &'static str) -> EcosystemFile {
    EcosystemFile { ecosystem, name, is_lock: false }
}

const ECOSYSTEM_FILES: &[EcosystemFile] = &[
    lock("cargo", "Cargo.lock"),
    manifest("cargo", "Cargo.toml"),
    lock("bun", "bun.lock"),
    lock("npm", "package-lock.json"),
    lock("npm", "pnpm-lock.yaml"),
    lock("npm", "yarn.lock"),
    manifest("npm", "package.json"),
    lock("uv", "uv.lock"),
    lock("pip", "poetry.lock"),
    lock("pip", "Pipfile.lock"),
    manifest("pip", "pyproject.toml"),
    manifest("pip", "requirements.txt"),
    manifest("gomod", "go.mod"),
    manifest("docker", "Dockerfile"),
    manifest("docker", "Containerfile"),
    manifest("docker-compose", "compose.yaml"),
    manifest("docker-compose", "compose.yml"),
    manifest("docker-compose", "docker-compose.yaml"),
    manifest("docker-compose", "docker-compose.yml"),
];

/// Ecosystems whose lock files cover the manifests of another.
const COVERED_BY: [(&str, &str); 2] = [("bun", "npm"), ("uv", "pip")];

/// Returns the ecosystems of a repository with these files.
pub fn detect<'p>(paths: impl Iterator<Item = &'p str> + Clone) -> Ecosystems {
    let own = paths.filter(|path| !path.split('/').any(|part| SKIPPED.contains(&part)));
    let mut found = Ecosystems::new();
    let signs = |is_lock: bool| ECOSYSTEM_FILES.iter().filter(move |sign| sign.is_lock == is_lock);
    let mut locked: Vec<(&str, String)> = Vec::new();
    for path in own.clone() {
        let (folder, name) = split(path);
        for sign in signs(true).filter(|sign| sign.name == name) {
            found.entry(sign.ecosystem).or_default().insert(folder.clone());
            let stands_for = COVERED_BY.iter().find(|(lock, _)| *lock == sign.ecosystem);
            locked.push((stands_for.map_or(sign.ecosystem, |(_, other)| other), folder.clone()));
        }
    }
    for path in own {
        let (folder, name) = split(path);
        for sign in signs(false).filter(|sign| is_called(name, sign)) {
            let covers = |(ecosystem, above): &(&str, String)| {
                *ecosystem == sign.ecosystem && is_within(&folder, above)
            };
            if !locked.iter().any(covers) {
                found.entry(sign.ecosystem).or_default().insert(folder.clone());
            }
        }
        // A composite action uses other actions.
        if path.starts_with(".github/actions/") && ["action.yml", "action.yaml"].contains(&name) {
            found.entry("github-actions").or_default().insert(folder);
        }
    }
    found
}

fn is_called(name: &str, sign: &EcosystemFile) -> bool {
    name == sign.name || sign.ecosystem == "docker" && name.starts_with(&format!("{}.", sign.name))
}

fn split(path: &str) -> (String, &str) {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    (format!("/{folder}"), name)
}

fn is_within(folder: &str, above: &str) -> bool {
    above == "/" || folder == above || folder.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_with_its_own_packages_is_found() {
        let cases: &[(&[&str], &str)] = &[
            (&["Cargo.lock", "Cargo.toml", "a/Cargo.toml"], r#"{"cargo": {"/"}}"#),
            (&["a/Cargo.toml", "ab/Cargo.toml", "a/Cargo.lock"], r#"{"cargo": {"/a", "/ab"}}"#),
            (&["web/package.json", "web/p/package.json", "web/yarn.lock"], r#"{"npm": {"/web"}}"#),
            (&["bun.lock", "package.json"], r#"{"bun": {"/"}}"#),
            (&["uv.lock", "pyproject.toml", "docs/requirements.txt"], r#"{"uv": {"/"}}"#),
            (&["pyproject.toml", "requirements.txt"], r#"{"pip": {"/"}}"#),
            (&["a/go.mod", "vendor/b/go.mod"], r#"{"gomod": {"/a"}}"#),
            (&["Dockerfile.dev", "x/Dockerfile", "Dockerfiles"], r#"{"docker": {"/", "/x"}}"#),
            (
                &[".github/actions/a/action.yml", "action.yml"],
                r#"{"github-actions": {"/.github/actions/a"}}"#,
            ),
            (&["README.md"], "{}"),
        ];
        for (paths, expected) in cases {
            assert_eq!(format!("{:?}", detect(paths.iter().copied())), *expected, "{paths:?}");
        }
    }
}
