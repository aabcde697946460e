//! Finds out which program runs the scripts of a package.json, and with which commands. It must not know
//! which scripts there are.

use serde_json::Value;

use crate::init::survey::{Folder, Survey};

/// A program that runs scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PackageManager {
    Npm,
    Pnpm,
    Yarn,
    Bun,
}

impl PackageManager {
    /// Returns the package manager of a folder, or that of the nearest folder above it that has one.
    pub(super) fn detect(survey: &Survey, folder: &Folder) -> Self {
        survey.upward(folder).find_map(detect_in).unwrap_or(Self::Npm)
    }

    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
            Self::Bun => "bun",
        }
    }

    /// Returns the command that installs the dependencies of a folder.
    pub(super) fn install(self, survey: &Survey, folder: &Folder) -> &'static str {
        let own = |folder: &Folder| LOCKS.iter().any(|(file, manager)| *manager == self && folder.has(file));
        let has_lock = survey.upward(folder).any(own);
        match self {
            Self::Npm if has_lock => "npm ci",
            Self::Npm => "npm install",
            Self::Pnpm if has_lock => "pnpm install --frozen-lockfile",
            Self::Pnpm => "pnpm install",
            Self::Yarn => "yarn install",
            Self::Bun => "bun install",
        }
    }

    /// Returns the command that runs a script.
    pub(super) fn run(self, script: &str) -> String {
        format!("{} run {}", self.program(), quote_word(script))
    }

    /// Returns the command that runs a script with further arguments.
    pub(super) fn run_with(self, script: &str, args: &str) -> String {
        let separator = if self == Self::Npm { " --" } else { "" };
        format!("{}{separator} {args}", self.run(script))
    }

    /// Returns the command that runs a program of a dependency, given as a line of a script.
    pub(super) fn exec(self, line: &str) -> String {
        let is_env = |word: &&str| word.contains('=') && !word.starts_with(['-', '"', '\'']);
        let env: String = line.split(' ').take_while(is_env).flat_map(|word| [word, " "]).collect();
        let rest = line.strip_prefix(&*env).unwrap_or(line);
        let program = rest.split(' ').next().unwrap_or_default();
        // These are not programs of dependencies.
        let outside = [
            "node", "npx", "npm", "pnpm", "yarn", "bun", "bunx", "deno", "rm", "cp", "mkdir", "echo", "test",
        ];
        if outside.contains(&program) || program.contains('/') {
            return line.to_owned();
        }
        let start = match self {
            Self::Npm => "npm exec -- ",
            Self::Pnpm => "pnpm exec ",
            Self::Yarn => "yarn run ",
            Self::Bun => "bun run ",
        };
        format!("{env}{start}{rest}")
    }

    /// Returns the command that runs a script in these members of a workspace, or in all that have it;
    /// `None` if this program has no such command.
    pub(super) fn run_in(self, script: &str, members: Option<&[String]>) -> Option<String> {
        let script = quote_word(script);
        match (self, members) {
            (Self::Npm, None) => Some(format!("npm run {script} --workspaces --if-present")),
            (Self::Npm, Some(members)) => {
                let members: Vec<String> =
                    members.iter().map(|path| format!(" --workspace {}", quote_word(path))).collect();
                Some(format!("npm run {script}{}", members.concat()))
            }
            (Self::Pnpm, None) => Some(format!("pnpm --recursive --if-present run {script}")),
            (Self::Pnpm, Some(members)) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|path| format!(" --filter {}", quote_word(&format!("./{path}"))))
                    .collect();
                Some(format!("pnpm{} run {script}", members.concat()))
            }
            (Self::Bun, None) => Some(format!("bun run --filter '*' {script}")),
            (Self::Bun, Some(members)) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|path| format!(" --filter {}", quote_word(&format!("./{path}"))))
                    .collect();
                Some(format!("bun run{} {script}", members.concat()))
            }
            (Self::Yarn, _) => None,
        }
    }
}

/// Lock files, and the programs that write them.
const LOCKS: &[(&str, PackageManager)] = &[
    ("pnpm-lock.yaml", PackageManager::Pnpm),
    ("yarn.lock", PackageManager::Yarn),
    ("bun.lock", PackageManager::Bun),
    ("bun.lockb", PackageManager::Bun),
    ("package-lock.json", PackageManager::Npm),
    ("npm-shrinkwrap.json", PackageManager::Npm),
];

fn detect_in(folder: &Folder) -> Option<PackageManager> {
    let manifest = folder.text("package.json").and_then(|text| serde_json::from_str::<Value>(text).ok());
    let named = manifest.as_ref().and_then(|value| value.get("packageManager")?.as_str());
    let all = [PackageManager::Npm, PackageManager::Pnpm, PackageManager::Yarn, PackageManager::Bun];
    if let Some(name) = named.and_then(|text| text.split('@').next())
        && let Some(manager) = all.into_iter().find(|manager| manager.program() == name)
    {
        return Some(manager);
    }
    if folder.has("pnpm-workspace.yaml") {
        return Some(PackageManager::Pnpm);
    }
    LOCKS.iter().find(|(file, _)| folder.has(file)).map(|(_, manager)| *manager)
}

/// Quotes a word for a shell.
pub(super) fn quote_word(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| String::new(), std::borrow::Cow::into_owned)
}
