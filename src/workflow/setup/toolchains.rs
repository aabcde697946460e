//! What tasks in other languages need, in the plain form, and tools that are installed as binaries. It must
//! not know JavaScript and Python.

use super::need::{Files, Need, Part, Uses, join};
use crate::workflow::pin;
use crate::workflow::step::Step;

/// Returns what the tasks need for Rust.
pub(super) fn rust(files: &Files<'_>, uses: &Uses) -> Option<Need> {
    let roots = uses.roots(files, &["Cargo.toml"]);
    if roots.is_empty() || !uses.may_call(&["cargo", "rustc", "rustfmt"]) {
        return None;
    }
    let file = files.first("", &["rust-toolchain.toml", "rust-toolchain"]);
    let mut line = match file {
        Some(_) => "rustup toolchain install".to_owned(),
        None => "rustup toolchain install stable --profile minimal && rustup default stable".to_owned(),
    };
    if uses.any(&["+nightly"]) {
        line += " && rustup toolchain install nightly --profile minimal --component clippy,rustfmt";
    }
    let covered: &[&str] = &["rust-toolchain", "rustup", "setup-rust", "setup-mise", "actions-rust-lang"];
    let mut toolchain = Part::line("Install Rust", "", covered, &line);
    toolchain.mise_name = Some("rust");
    let folder = roots.iter().next().map_or("", String::as_str);
    let target = join(folder, "target");
    let cache = Step::uses(pin::CACHE)
        .with(
            "path",
            format!("~/.cargo/registry/index\n~/.cargo/registry/cache\n~/.cargo/git/db\n{target}\n"),
        )
        .with(
            "key",
            "cargo-${{ runner.os }}-${{ runner.arch }}-${{ hashFiles('**/Cargo.lock', '**/Cargo.toml') }}",
        )
        .with("restore-keys", "cargo-${{ runner.os }}-${{ runner.arch }}-\n");
    let cache = Part {
        step: cache,
        covered_by: &["rust-cache", "sccache", ".cargo", "setup-rust-toolchain"],
        line: None,
        is_in_image: false,
        mise_name: None,
    };
    let mut parts = vec![toolchain];
    // A toolchain that is taken over may lack a component.
    let components: [(&'static [&'static str], &[&str]); 2] =
        [(&["clippy"], &["clippy"]), (&["rustfmt"], &["fmt", "rustfmt"])];
    for (component, _) in components.into_iter().filter(|(_, words)| uses.any(words)) {
        let name = component.concat();
        parts.push(Part::line(
            &format!("Install {name}"),
            "",
            component,
            &format!("rustup component add {name}"),
        ));
    }
    parts.push(cache);
    let label = format!("Rust ({})", file.unwrap_or("stable"));
    Some(Need { label, image: "rust:1".to_owned(), parts })
}

/// Returns what the tasks need for Go.
pub(super) fn go(files: &Files<'_>, uses: &Uses) -> Option<Need> {
    let roots = uses.roots(files, &["go.work", "go.mod"]);
    let folder = roots.iter().next()?;
    if !uses.may_call(&["go", "gofmt", "golangci-lint"]) {
        return None;
    }
    let name = files.first(folder, &["go.work", "go.mod"]).unwrap_or("go.mod");
    let mut step = Step::uses(pin::GO).with("go-version-file", join(folder, name));
    if !folder.is_empty() {
        step = step.with("cache-dependency-path", join(folder, "go.sum"));
    }
    let line = "apt-get update && apt-get install --yes golang";
    let mut parts = vec![Part::toolchain("go", &["setup-go"], step).on_debian(line)];
    if uses.any(&["golangci-lint"]) {
        let config = [".golangci.yml", ".golangci.yaml", ".golangci.toml"];
        let is_second = config
            .iter()
            .filter_map(|name| files.text(folder, name))
            .any(|text| text.lines().any(|line| line.starts_with("version") && line.contains('2')));
        let version = if is_second { "/v2" } else { "" };
        let line = format!("go install github.com/golangci/golangci-lint{version}/cmd/golangci-lint@latest");
        let mut part = Part::line("Install golangci-lint", "", &["golangci-lint"], &line);
        part.mise_name = Some("golangci-lint");
        parts.push(part);
    }
    Some(Need { label: format!("Go ({})", join(folder, name)), image: "golang:1".to_owned(), parts })
}

/// Returns what the tasks need for Java.
pub(super) fn java(files: &Files<'_>, uses: &Uses) -> Option<Need> {
    let maven = uses.roots(files, &["pom.xml"]);
    let gradle =
        uses.roots(files, &["build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"]);
    let (tool, folder) = match (maven.iter().next(), gradle.iter().next()) {
        (Some(folder), _) => ("maven", folder),
        (None, Some(folder)) => ("gradle", folder),
        (None, None) => return None,
    };
    if !uses.may_call(&["mvn", "mvnw", "gradle", "gradlew", "java", "javac"]) {
        return None;
    }
    let step = Step::uses(pin::JAVA).with("distribution", "temurin").with("cache", tool);
    let file = files.first(folder, &[".java-version", ".sdkmanrc", ".tool-versions"]);
    let step = match file {
        Some(name) => step.with("java-version-file", join(folder, name)),
        None => step.with("java-version", "21"),
    };
    let line = "apt-get update && apt-get install --yes default-jdk maven";
    let part = Part::toolchain("java", &["setup-java"], step).on_debian(line);
    let image = if tool == "maven" { "maven:3-eclipse-temurin-21" } else { "gradle:jdk21" };
    Some(Need {
        label: format!("Java ({})", file.unwrap_or("21")),
        image: image.to_owned(),
        parts: vec![part],
    })
}

/// A language whose toolchain GitHub's machines have.
struct Preinstalled {
    name: &'static str,
    manifest: &'static str,
    programs: &'static [&'static str],
    image: &'static str,
    install: &'static str,
    covered_by: &'static [&'static str],
}

const PREINSTALLED: [Preinstalled; 3] = [
    Preinstalled {
        name: "Ruby",
        manifest: "Gemfile",
        programs: &["bundle", "rake", "rspec", "rubocop", "ruby"],
        image: "ruby:3",
        install: "bundle install",
        covered_by: &["setup-ruby", "bundle install"],
    },
    Preinstalled {
        name: "PHP",
        manifest: "composer.json",
        programs: &["composer", "php", "phpunit"],
        image: "composer:2",
        install: "composer install --no-interaction",
        covered_by: &["composer", "ramsey"],
    },
    Preinstalled {
        name: ".NET",
        manifest: "global.json",
        programs: &["dotnet"],
        image: "mcr.microsoft.com/dotnet/sdk:9.0",
        install: "dotnet restore",
        covered_by: &["dotnet restore"],
    },
];

/// Returns what the tasks need for languages whose toolchains GitHub's machines have.
pub(super) fn preinstalled(files: &Files<'_>, uses: &Uses) -> Vec<Need> {
    let mut needs = Vec::new();
    for language in PREINSTALLED {
        let roots = uses.roots(files, &[language.manifest]);
        if !roots.is_empty() && uses.may_call(language.programs) {
            let part = |folder: &String| {
                Part::line("Install the packages", folder, language.covered_by, language.install)
            };
            needs.push(Need {
                label: format!("{} of the machine, {}", language.name, language.install),
                image: language.image.to_owned(),
                parts: roots.iter().map(part).collect(),
            });
        }
    }
    needs
}

/// Tools that are released as binaries: the word of a command, and the name for the action that installs it.
static BINARIES: [(&str, &str); 12] = [
    ("just", "just"),
    ("nextest", "nextest"),
    ("deny", "cargo-deny"),
    ("hack", "cargo-hack"),
    ("machete", "cargo-machete"),
    ("llvm-cov", "cargo-llvm-cov"),
    ("audit", "cargo-audit"),
    ("shear", "cargo-shear"),
    ("typos", "typos"),
    ("taplo", "taplo"),
    ("dprint", "dprint"),
    ("wasm-pack", "wasm-pack"),
];

/// Returns the tools that commands call.
pub(super) fn binaries(uses: &Uses) -> Option<Need> {
    let has_cargo = uses.any(&["cargo"]);
    let is_called = |word: &str, name: &str| {
        let is_of_cargo = name.starts_with("cargo-") || name == "nextest";
        if is_of_cargo { has_cargo && uses.any(&[word]) } else { uses.programs.contains(word) }
    };
    let mut parts = Vec::new();
    let mut labels = Vec::new();
    for (word, name) in BINARIES.iter().filter(|(word, name)| is_called(word, name)) {
        labels.push(*name);
        parts.push(Part {
            step: Step::uses(pin::TOOLS).with("tool", *name),
            covered_by: std::slice::from_ref(word),
            line: Some(format!("cargo install --locked {}", crate_of(name))),
            is_in_image: false,
            mise_name: Some(word),
        });
    }
    if uses.programs.contains("task") {
        labels.push("task");
        let mut part =
            Part::line("Install Task", "", &["setup-task", "go-task"], "npm install --global @go-task/cli");
        part.mise_name = Some("task");
        parts.push(part);
    }
    (!parts.is_empty()).then(|| Need { label: labels.join(", "), image: String::new(), parts })
}

fn crate_of(name: &str) -> &str {
    match name {
        "nextest" => "cargo-nextest",
        "typos" => "typos-cli",
        "taplo" => "taplo-cli",
        other => other,
    }
}

/// Returns the tools that mise's configuration names, and its file.
pub(super) fn mise(files: &Files<'_>) -> Option<(&'static str, Vec<String>)> {
    let name = files
        .first("", &["mise.toml", ".mise.toml", ".config/mise.toml", "mise/config.toml", ".tool-versions"])?;
    let text = files.text("", name).unwrap_or_default();
    let tools = if name == ".tool-versions" {
        text.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    } else {
        let document = toml::de::DeTable::parse(&text).ok()?;
        match document.get_ref().get("tools")?.get_ref() {
            toml::de::DeValue::Table(tools) => tools.keys().map(|key| key.get_ref().to_string()).collect(),
            _ => return None,
        }
    };
    Some((name, tools))
}
