//! Suggests a change of tasks.toml for a provided path that refers back to the work tree. Pure.

use std::os::unix::ffi::OsStrExt as _;

use crate::base::path::RepoPath;
use crate::gate::prepare_worktree::link_and_copy::{BackReference, BackReferenceOrigin};

/// Returns the suggestion for a file that refers back to the work tree, with the lines to write in
/// tasks.toml. `has` returns whether the tree has a file.
pub(super) fn remedy(back: &BackReference, has: &dyn Fn(&RepoPath) -> bool) -> String {
    let provided = &back.provided;
    let take_out = format!("remove \"{provided}\" from `[worktree]`");
    match back.origin {
        BackReferenceOrigin::Build(_) => {
            format!("{take_out}: a private worktree keeps its own build folder between gates")
        }
        BackReferenceOrigin::Python => {
            let (run, files, folder) = python(back, has);
            format!("{take_out} and install it with `setup`:\n{}", setup(&run, &files, &folder))
        }
        BackReferenceOrigin::Outside => match node(provided, has) {
            Some((run, files, folder)) => {
                format!("{take_out} and install it with `setup`:\n{}", setup(&run, &files, &folder))
            }
            None => format!("{take_out} and create it with the `setup` of `[worktree]`"),
        },
    }
}

/// Formats a `[worktree]` section with a setup.
fn setup(run: &str, inputs: &[String], folder: &RepoPath) -> String {
    let quoted: Vec<String> = inputs.iter().map(|path| format!("\"{path}\"")).collect();
    let cwd = if folder.is_top() { String::new() } else { format!(", cwd = \"{folder}\"") };
    format!("    [worktree]\n    setup = {{ run = \"{run}\"{cwd}, inputs = [{}] }}", quoted.join(", "))
}

/// The lock files of Python and Node.js tools, each with the command that installs from it.
const PYTHON: &[(&str, &str)] = &[
    ("uv.lock", "uv sync"),
    ("poetry.lock", "poetry install"),
    ("pdm.lock", "pdm install"),
    ("Pipfile.lock", "pipenv sync --dev"),
];
const NODE: &[(&str, &str)] = &[
    ("package-lock.json", "npm ci"),
    ("npm-shrinkwrap.json", "npm ci"),
    ("pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
    ("yarn.lock", "yarn install --frozen-lockfile"),
    ("bun.lock", "bun install --frozen-lockfile"),
    ("bun.lockb", "bun install --frozen-lockfile"),
];
/// The files that define a Python project.
const PROJECTS: &[&str] = &["pyproject.toml", "setup.py", "setup.cfg"];

/// A setup command, the files that it reads, and the folder that it runs in.
type Setup = (String, Vec<String>, RepoPath);

fn python(back: &BackReference, has: &dyn Fn(&RepoPath) -> bool) -> Setup {
    let folder = back.provided.parent().unwrap_or_default();
    let there = |folder: &RepoPath, name: &str| Some(folder.child(name.as_bytes())).filter(|path| has(path));
    for (lock, run) in PYTHON {
        if let Some(path) = there(&folder, lock) {
            let project = there(&folder, "pyproject.toml");
            let files = [Some(path), project].into_iter().flatten().map(|path| path.to_string());
            return ((*run).to_owned(), files.collect(), folder);
        }
    }
    // The installed project is the nearest folder at or above the named path that defines one.
    let target_path = RepoPath::from_git(back.target.as_os_str().as_bytes());
    let above = std::iter::successors(Some(target_path), RepoPath::parent);
    let mut projects =
        above.filter_map(|folder| Some((PROJECTS.iter().find_map(|name| there(&folder, name))?, folder)));
    let project = projects.next();
    let within = |path: &RepoPath| {
        let path = path.to_string();
        if folder.is_top() {
            path
        } else {
            path.strip_prefix(&format!("{folder}/")).unwrap_or(&path).to_owned()
        }
    };
    let target =
        project.as_ref().map(|(_, found)| found).filter(|found| **found != folder && !found.is_top());
    let target = target.map_or_else(|| ".".to_owned(), |found| format!("./{}", within(found)));
    let venv = back.provided.parts().last().map(String::from_utf8_lossy).unwrap_or_default();
    let requirements = there(&folder, "requirements.txt");
    let more = if requirements.is_some() { " -r requirements.txt" } else { "" };
    let run = format!("python3 -m venv {venv} && {venv}/bin/pip install{more} -e {target}");
    let files = requirements.into_iter().chain(project.map(|(file, _)| file)).map(|path| path.to_string());
    (run, files.collect(), folder)
}

fn node(provided: &RepoPath, has: &dyn Fn(&RepoPath) -> bool) -> Option<Setup> {
    if provided.parts().last() != Some(b"node_modules") {
        return None;
    }
    // In a workspace, the lock file is in a folder above the package.
    let folders = std::iter::successors(provided.parent(), RepoPath::parent);
    let mut found =
        folders.flat_map(|folder| NODE.iter().map(move |(lock, run)| (folder.clone(), *lock, *run)));
    let (folder, lock, run) = found.find(|(folder, lock, _)| has(&folder.child(lock.as_bytes())))?;
    let files = [lock, "package.json"].map(|name| folder.child(name.as_bytes()).to_string());
    Some((run.to_owned(), files.into(), folder))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::gate::prepare_worktree::installed_packages::Build;

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    #[test]
    fn suggested_setup_follows_from_the_lock_file() {
        let back = |provided: &str, place: &str, kind| BackReference {
            provided: path(provided),
            entry: PathBuf::new(),
            target: place.into(),
            origin: kind,
        };
        let lines = |back: &BackReference, files: &[&str]| {
            let text = remedy(back, &|path| files.contains(&&*path.to_string()));
            text.lines().last().unwrap().trim().to_owned()
        };
        let python = back(".venv", "src", BackReferenceOrigin::Python);
        assert_eq!(
            lines(&python, &["uv.lock", "pyproject.toml"]),
            "setup = { run = \"uv sync\", inputs = [\"uv.lock\", \"pyproject.toml\"] }"
        );
        assert_eq!(
            lines(&python, &["requirements.txt", "setup.py"]),
            "setup = { run = \"python3 -m venv .venv && .venv/bin/pip install -r requirements.txt -e .\", inputs = [\"requirements.txt\", \"setup.py\"] }"
        );
        assert_eq!(
            lines(
                &back("api/.venv", "api/lib/x/src", BackReferenceOrigin::Python),
                &["api/lib/x/pyproject.toml"]
            ),
            "setup = { run = \"python3 -m venv .venv && .venv/bin/pip install -e ./lib/x\", cwd = \"api\", inputs = [\"api/lib/x/pyproject.toml\"] }"
        );
        let node = back("packages/a/node_modules", "packages/b", BackReferenceOrigin::Outside);
        assert_eq!(
            lines(&node, &["pnpm-lock.yaml"]),
            "setup = { run = \"pnpm install --frozen-lockfile\", inputs = [\"pnpm-lock.yaml\", \"package.json\"] }"
        );
        assert!(
            lines(&back("deps", "x", BackReferenceOrigin::Outside), &[]).contains("`setup` of `[worktree]`")
        );
        assert!(
            lines(&back("target", "", BackReferenceOrigin::Build(Build::Cargo)), &[])
                .contains("remove \"target\" from")
        );
    }
}
