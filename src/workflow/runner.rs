//! How CI systems get and call the runner. It must not know the rest of their files.

use toml::de::{DeTable, DeValue};

/// The shell lines that install the binary of a release, or build it if no release has it.
const SCRIPT: &str = include_str!("install_runner.sh");

/// How xtask is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// The repository builds it: `cargo xtask`.
    Own,
    /// It is installed: `xtask`.
    Installed,
}

/// How xtask is installed on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Install {
    /// By a shell line of tasks.toml.
    Line(String),
    /// From the release of this version.
    Release,
}

impl Install {
    /// Returns the lines of a shell that install it. `$runner` is the folder of the program for `found`,
    /// the line that makes later lines find it.
    pub fn script(&self, found: &str) -> String {
        match self {
            Self::Line(line) => line.clone(),
            Self::Release => {
                let script = SCRIPT.replace("@VERSION@", env!("CARGO_PKG_VERSION"));
                script.replace("@URL@", env!("CARGO_PKG_REPOSITORY")) + found + "\n"
            }
        }
    }
}

/// Returns whether `cargo xtask` is the repository's own program, made with taskgate: `.cargo/config.toml`
/// has the alias, and one of these manifests is that of a crate `xtask` that depends on taskgate.
pub fn detect(cargo_config: Option<&str>, manifests: &[String]) -> Runner {
    let has_alias = cargo_config.and_then(|text| DeTable::parse(text).ok()).is_some_and(|document| {
        table(document.get_ref(), "alias").is_some_and(|alias| alias.contains_key("xtask"))
    });
    if has_alias && manifests.iter().any(|text| is_made_with_taskgate(text)) {
        Runner::Own
    } else {
        Runner::Installed
    }
}

fn is_made_with_taskgate(manifest: &str) -> bool {
    let Ok(document) = DeTable::parse(manifest) else { return false };
    let document = document.get_ref();
    let name = table(document, "package").and_then(|package| text(package, "name"));
    let depends = table(document, "dependencies").is_some_and(|dependencies| {
        dependencies.contains_key("taskgate")
            || dependencies.iter().any(|(_, value)| match value.get_ref() {
                DeValue::Table(table) => text(table, "package") == Some("taskgate"),
                _ => false,
            })
    });
    name == Some("xtask") && depends
}

fn table<'t>(table: &'t DeTable<'_>, key: &str) -> Option<&'t DeTable<'t>> {
    match table.get(key)?.get_ref() {
        DeValue::Table(inner) => Some(inner),
        _ => None,
    }
}

fn text<'t>(table: &'t DeTable<'_>, key: &str) -> Option<&'t str> {
    match table.get(key)?.get_ref() {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_runner_made_with_taskgate_is_the_repositorys_own() {
        let alias = "[alias]\nxtask = \"run -p xtask --\"";
        let own = "[package]\nname = \"xtask\"\n[dependencies]\ntaskgate = \"0.1\"";
        let cases = [
            (Some(alias), own, Runner::Own),
            (Some("alias.xtask = [\"run\"]"), own, Runner::Own),
            (Some(alias), "package.name = \"xtask\"\ndependencies.taskgate.workspace = true", Runner::Own),
            (
                Some(alias),
                "package.name = \"xtask\"\n[dependencies]\nrunner = { package = \"taskgate\", path = \"..\" }",
                Runner::Own,
            ),
            (Some(alias), "[package]\nname = \"xtask\"\n[dependencies]\nxshell = \"1\"", Runner::Installed),
            (Some(alias), "[package]\nname = \"tool\"\n[dependencies]\ntaskgate = \"1\"", Runner::Installed),
            (Some(alias), "broken [", Runner::Installed),
            (Some("[alias]\nx = \"y\""), own, Runner::Installed),
            (Some("broken ["), own, Runner::Installed),
            (None, own, Runner::Installed),
        ];
        for (config, manifest, expected) in cases {
            assert_eq!(detect(config, &[manifest.to_owned()]), expected, "{config:?} {manifest}");
        }
    }
}
