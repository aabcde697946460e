//! Commands of tasks and of the scripts of CI systems, and whether two of them do the same. It must not know
//! where they are from.

/// Words before a command that don't change what it does.
const WRAPPERS: [&str; 8] = ["sudo", "time", "env", "exec", "command", "npx", "bunx", "xvfb-run"];
/// Programs that run another program in the environment of a project.
const RUNNERS: [(&str, &str); 9] = [
    ("uv", "run"),
    ("poetry", "run"),
    ("pdm", "run"),
    ("hatch", "run"),
    ("pipenv", "run"),
    ("pipx", "run"),
    ("bundle", "exec"),
    ("npm", "exec"),
    ("pnpm", "exec"),
];
/// Options of these that have a value.
const WITH_VALUE: [&str; 8] =
    ["--group", "--extra", "--with", "--python", "-p", "--package", "--project", "--directory"];
/// Programs that do something else for each first argument.
const DRIVERS: [&str; 15] = [
    "script", "cargo", "npm", "pnpm", "yarn", "bun", "go", "make", "just", "task", "mise", "uv", "python",
    "sh", "bash",
];
/// Programs that run the scripts of a package.json.
const SCRIPT_RUNNERS: [&str; 4] = ["npm", "pnpm", "yarn", "bun"];

/// Splits a script into its commands, without comments.
pub fn split(script: &str) -> Vec<String> {
    let script = script.replace("\\\n", " ");
    let lines = script.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let parts = lines.flat_map(|line| line.split("&&")).flat_map(|part| part.split(" ; "));
    parts.map(|part| part.trim().trim_end_matches(';').to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Splits a command into its words.
pub fn words(command: &str) -> Vec<String> {
    shlex::split(command).unwrap_or_else(|| command.split_whitespace().map(str::to_owned).collect())
}

/// Returns whether two commands do the same, up to their options: one may name more than the other.
pub fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (gist(one), gist(other));
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let is_specific = |words: &[String]| words.len() > 1 || !DRIVERS.contains(&words[0].as_str());
    !short.is_empty() && (short == long || long.starts_with(&short) && is_specific(&short))
}

/// Returns the program of a command with its arguments up to the first option, without what only finds the
/// program.
pub fn gist(command: &str) -> Vec<String> {
    let words = words(command);
    let mut rest = words.as_slice();
    loop {
        match rest {
            [first, more @ ..] if WRAPPERS.contains(&first.as_str()) || is_assignment(first) => rest = more,
            [first, second, more @ ..] if RUNNERS.contains(&(first.as_str(), second.as_str())) => {
                rest = skip_options(more);
            }
            [first, second, more @ ..] if is_python(first) && second == "-m" => rest = more,
            _ => break,
        }
    }
    let [program, rest @ ..] = rest else { return Vec::new() };
    let program = match program.rsplit_once("bin/") {
        Some((folder, name)) if folder.contains("venv") || folder.contains("node_modules") => name,
        _ => program,
    };
    // `bun test` is a command of its own, not the script.
    if SCRIPT_RUNNERS.contains(&program)
        && (program != "bun" || rest.first().is_some_and(|first| first == "run"))
    {
        let is_name =
            |word: &&String| !word.starts_with('-') && !["run", "run-script"].contains(&word.as_str());
        let names = skip_options(rest).iter().filter(is_name).take(1);
        let script = names.map(|name| if name == "t" { "test".to_owned() } else { name.clone() });
        return ["script".to_owned()].into_iter().chain(script).collect();
    }
    let is_argument = |word: &&String| !word.starts_with('-');
    let arguments = rest.iter().filter(|word| !word.starts_with('+')).take_while(is_argument).cloned();
    [program.to_owned()].into_iter().chain(arguments).collect()
}

/// Returns the program that a command finds by itself, and not in the environment of a project.
pub fn plain_program(command: &str) -> Option<String> {
    let words = words(command);
    let is_wrapper = |word: &&String| WRAPPERS.contains(&word.as_str()) || is_assignment(word);
    let mut rest = words.iter().skip_while(is_wrapper).map(String::as_str);
    let is_run =
        matches!((rest.next(), rest.next()), (Some(one), Some(two)) if RUNNERS.contains(&(one, two)));
    if is_run { None } else { gist(command).into_iter().next() }
}

fn is_python(word: &str) -> bool {
    ["python", "python3", "py"].contains(&word.rsplit('/').next().unwrap_or(word))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn skip_options(mut words: &[String]) -> &[String] {
    while let [first, more @ ..] = words
        && first.starts_with('-')
    {
        words = if WITH_VALUE.contains(&first.as_str()) { more.get(1..).unwrap_or_default() } else { more };
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_the_same_up_to_their_options() {
        let cases = [
            ("cargo test --workspace", "cargo test --doc", true),
            ("cargo +nightly fmt --check", "cargo fmt --all", true),
            ("cargo test", "cargo clippy", false),
            ("cargo", "cargo test", false),
            ("npm run lint", "npm run lint -- --fix", true),
            ("npm run test", "npm test", true),
            ("pnpm test", "pnpm run test", true),
            ("npm run test", "npm run test:unit", false),
            ("npm test", "npm --version", false),
            ("pnpm test", "bun test", false),
            ("bun run test", "npm test", true),
            ("bun test", "bun test --timeout 1", true),
            ("pytest", "uv run --locked --group dev pytest -n 4", true),
            (".venv/bin/pytest", "python -m pytest tests", true),
            ("ruff check .", "uv run ruff check", true),
            ("ruff check .", "ruff format .", false),
            ("CI=1 npx tsc --noEmit", "tsc -p .", true),
            ("make", "make deploy", false),
            ("make test", "make test", true),
            ("", "make", false),
        ];
        for (one, other, same) in cases {
            assert_eq!(is_same(one, other), same, "{one} | {other}");
            assert_eq!(is_same(other, one), same, "{other} | {one}");
        }
    }

    #[test]
    fn script_is_split_into_commands() {
        let script = "# a comment\ncd web && npm ci\nnpm test \\\n  --ci;\n\necho a ; echo b\n";
        assert_eq!(split(script), ["cd web", "npm ci", "npm test    --ci", "echo a", "echo b"]);
    }
}
