//! What tasks in JavaScript need: Node.js or bun, a package manager, the packages. It must not know other
//! languages.

use serde_json::Value;

use super::need::{Files, Need, Part, Uses, join};
use crate::base::yaml;
use crate::workflow::pin;
use crate::workflow::step::Step;

const PROGRAMS: [&str; 12] =
    ["node", "npm", "npx", "pnpm", "pnpx", "yarn", "bun", "bunx", "corepack", "tsc", "eslint", "vitest"];
/// Lock files, and the package managers that write them.
const LOCKS: [(&str, &str); 6] = [
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
];

/// A folder whose packages are installed.
struct Root<'f> {
    files: &'f Files<'f>,
    folder: String,
    manifest: Value,
    lock: Option<&'static str>,
    manager: &'static str,
    /// The version that package.json names for its package manager.
    version: Option<String>,
}

/// Returns what the tasks need, if they use Node.js or bun.
pub(super) fn need(files: &Files<'_>, uses: &Uses) -> Option<Need> {
    let locks = LOCKS.map(|(name, _)| name);
    let folders = uses.locked_roots(files, &locks, &["package.json"]);
    if folders.is_empty() || !uses.may_call(&PROGRAMS) {
        return None;
    }
    let roots: Vec<Root<'_>> = folders.into_iter().map(|folder| Root::read(files, folder)).collect();
    let mut parts = Vec::new();
    let mut labels = Vec::new();
    let mut image = "node:lts".to_owned();
    let needs_node = roots.iter().any(|root| root.manager != "bun") || uses.any(&["node", "npx", "npm"]);
    let manager = |name: &str| roots.iter().find(|root| root.manager == name);
    if let Some(root) = manager("pnpm") {
        parts.push(root.pnpm());
    }
    if let Some(root) = manager("yarn").filter(|root| root.is_modern_yarn()) {
        let line = "corepack enable";
        let mut part = Part::line("Use the yarn that package.json names", &root.folder, &["corepack"], line);
        part.mise_name = Some("yarn");
        parts.push(part);
    }
    if needs_node && let Some(root) = roots.iter().find(|root| root.manager != "bun").or(roots.first()) {
        let (step, label, version) = root.node();
        image = format!("node:{version}");
        labels.push(label);
        let covered: &[&str] = &["actions/setup-node", "setup-node", "pnpm/setup", "setup-vp"];
        parts.push(
            Part::toolchain("node", covered, step)
                .on_debian("apt-get update && apt-get install --yes nodejs npm"),
        );
    }
    if let Some(root) = manager("bun") {
        labels.push("bun".to_owned());
        let step = Step::uses(pin::BUN);
        let named = root.version.is_some().then(|| join(&root.folder, "package.json"));
        let file =
            files.first(&root.folder, &[".bun-version"]).map(|name| join(&root.folder, name)).or(named);
        let step = match file {
            Some(file) => step.with("bun-version-file", file),
            None => step,
        };
        // The image of bun has neither git nor curl.
        let mut part = Part::toolchain("bun", &["setup-bun"], step).on_debian("npm install --global bun");
        part.is_in_image = false;
        parts.push(part);
    }
    for root in &roots {
        let (line, covered) = root.install();
        labels.push(line.to_owned());
        parts.push(Part::line("Install the packages", &root.folder, covered, line));
    }
    let mentions = |root: &Root<'_>| root.manifest.to_string().contains("playwright");
    if uses.any(&["playwright"]) && roots.iter().any(mentions) {
        let line = "npx playwright install --with-deps";
        parts.push(Part::line("Install browsers", "", &["playwright install", "playwright"], line));
    }
    Some(Need { label: labels.join(", "), image, parts })
}

impl<'f> Root<'f> {
    fn read(files: &'f Files<'f>, folder: String) -> Self {
        let text = files.text(&folder, "package.json").unwrap_or_default();
        let manifest: Value = serde_json::from_str(&text).unwrap_or_default();
        let lock = LOCKS.iter().find(|(name, _)| files.has(&folder, name));
        let named = manifest["packageManager"].as_str().and_then(|text| text.split_once('@'));
        let known = |name: &str| LOCKS.iter().map(|(_, manager)| *manager).find(|manager| *manager == name);
        let manager = named.and_then(|(name, _)| known(name)).or(lock.map(|(_, manager)| *manager));
        let version = named.map(|(_, version)| version.split('+').next().unwrap_or(version).to_owned());
        Self {
            files,
            manifest,
            lock: lock.map(|(name, _)| *name),
            manager: manager.unwrap_or("npm"),
            version,
            folder,
        }
    }

    /// Returns the step for Node.js, where its version is from, and the version.
    fn node(&self) -> (Step, String, String) {
        let mut step = Step::uses(pin::NODE);
        let engines = self.manifest["engines"]["node"].as_str();
        // A lower bound would give the newest version, which is not always one for production.
        let exact = engines.filter(|range| !range.contains(['>', '|', '*']) && !range.is_empty());
        let folders: Vec<&str> = if self.folder.is_empty() { vec![""] } else { vec![&self.folder, ""] };
        let file = folders.iter().find_map(|folder| {
            self.files.first(folder, &[".nvmrc", ".node-version"]).map(|name| (*folder, name))
        });
        let (label, version) = match file {
            Some((folder, name)) => {
                step = step.with("node-version-file", join(folder, name));
                (name, self.files.text(folder, name).unwrap_or_default())
            }
            None if exact.is_some() || self.manifest["volta"]["node"].is_string() => {
                step = step.with("node-version-file", join(&self.folder, "package.json"));
                let volta = self.manifest["volta"]["node"].as_str();
                ("package.json", volta.or(exact).unwrap_or_default().to_owned())
            }
            None => {
                step = step.with("node-version", "lts/*");
                ("lts", String::new())
            }
        };
        if let Some(lock) = self.lock.filter(|_| self.manager != "bun") {
            step = step.with("cache", self.manager);
            if !self.folder.is_empty() {
                step = step.with("cache-dependency-path", join(&self.folder, lock));
            }
        } else {
            // Without a lock file, the action would look for one and fail.
            step = step.with("package-manager-cache", false);
        }
        let major: String = version
            .trim()
            .trim_start_matches(['v', '^', '~', '='])
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let version = if major.is_empty() { "lts".to_owned() } else { major };
        (step, format!("Node.js ({label})"), version)
    }

    /// Returns the step for pnpm. Without `packageManager`, its version follows from that of the lock file.
    fn pnpm(&self) -> Part {
        let mut step = Step::uses(pin::PNPM);
        let lock = self.files.text(&self.folder, "pnpm-lock.yaml").unwrap_or_default();
        let format = yaml::parse(&lock).ok().map(|lock| lock["lockfileVersion"].clone());
        let format =
            format.as_ref().map(|format| format.as_str().map_or_else(|| format.to_string(), str::to_owned));
        let major = match format.as_deref() {
            Some(format) if format.starts_with("5.") => "7",
            Some(format) if format.starts_with("6.") => "8",
            Some(format) if format.starts_with("9.") => "10",
            _ => "latest",
        };
        if self.version.is_none() {
            step = step.with("version", major);
        } else if !self.folder.is_empty() {
            step = step.with("package_json_file", join(&self.folder, "package.json"));
        }
        let version = self.version.as_deref().unwrap_or(major);
        let covered: &[&str] =
            &["pnpm/action-setup", "pnpm/setup", "corepack", "install -g pnpm", "setup-vp"];
        let mut part = Part::toolchain("pnpm", covered, step);
        part.is_in_image = false;
        part.on_debian(&format!("npm install --global pnpm@{version}"))
    }

    fn is_modern_yarn(&self) -> bool {
        self.version.is_some() || self.files.has(&self.folder, ".yarnrc.yml")
    }

    /// Returns the line that installs the packages, and what lines with the same effect contain.
    fn install(&self) -> (&'static str, &'static [&'static str]) {
        match (self.manager, self.lock) {
            ("pnpm", Some(_)) => {
                ("pnpm install --frozen-lockfile", &["pnpm install", "pnpm i", "run_install", "setup-vp"])
            }
            ("pnpm", None) => ("pnpm install", &["pnpm install", "pnpm i", "run_install"]),
            ("yarn", Some(_)) if self.is_modern_yarn() => ("yarn install --immutable", &["\"run\":\"yarn"]),
            ("yarn", _) => ("yarn install --frozen-lockfile", &["\"run\":\"yarn"]),
            ("bun", _) => ("bun install --frozen-lockfile", &["bun install", "bun i"]),
            (_, Some(_)) => ("npm ci", &["npm ci", "npm install", "npm i", "npm clean-install"]),
            (_, None) => ("npm install", &["npm install", "npm i"]),
        }
    }
}
