//! Splits shell lines of scripts and workflows into commands. It must not know what the commands do.

/// A command of a shell line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ShellCommand {
    /// The text as written, without separators.
    pub(super) text: String,
    /// The variables that are set for it, such as `A=b`.
    pub(super) env: Vec<String>,
    /// The program and its arguments, without programs that only start another one, such as `npx`.
    pub(super) words: Vec<String>,
    /// The folder that a `cd` in front of it names.
    pub(super) folder: Option<String>,
    /// Whether the text is only this command: no pipe, redirection or substitution.
    pub(super) is_plain: bool,
}

impl ShellCommand {
    /// Returns the name of the program.
    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Returns the arguments.
    pub(super) fn args(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(String::as_str)
    }

    /// Returns the first argument that is not an option.
    pub(super) fn subcommand(&self) -> &str {
        self.args().find(|word| !word.starts_with('-')).unwrap_or_default()
    }

    /// Returns whether it has one of these arguments.
    pub(super) fn has_any(&self, options: &[&str]) -> bool {
        self.args().any(|word| options.contains(&word))
    }

    /// Returns what it does: without variables, and without options that only change what is printed.
    pub(super) fn essence(&self) -> String {
        let quiet = |word: &str| {
            ["--coverage", "--reporter", "--silent", "--cache", "--pretty", "--color", "--verbose", "--run"]
                .iter()
                .any(|option| word.starts_with(option))
                || matches!(word, "-v" | "-q" | "--quiet" | "--if-present")
        };
        let words: Vec<&str> = self.words.iter().map(String::as_str).filter(|word| !quiet(word)).collect();
        let words = match &*words {
            ["vitest", "run", rest @ ..] => [&["vitest"], rest].concat(),
            _ => words,
        };
        format!("{}> {}", self.folder.as_deref().unwrap_or_default(), words.join(" "))
    }
}

/// Returns the commands of a line or of several lines.
pub(super) fn commands(text: &str) -> Vec<ShellCommand> {
    let mut all = Vec::new();
    let mut folder = None;
    for part in split(&text.replace("\\\n", " ")) {
        let part = part.trim();
        if part.is_empty() || part.starts_with('#') {
            continue;
        }
        let words = shlex::split(part).unwrap_or_default();
        if let [cd, path] = &*words
            && cd == "cd"
        {
            folder = Some(path.trim_start_matches("./").trim_end_matches('/').to_owned());
            continue;
        }
        let (env, words) = unwrapped(words);
        if !words.is_empty() {
            let is_plain = !has_operators(part);
            all.push(ShellCommand { text: part.to_owned(), env, words, folder: folder.clone(), is_plain });
        }
    }
    all
}

/// Splits at `&&`, `;` and ends of lines that are not quoted.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut quote) = (Vec::new(), String::new(), None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '&') if chars.peek() == Some(&'&') => {
                chars.next();
                parts.push(std::mem::take(&mut part));
                continue;
            }
            (None, ';' | '\n') => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            (None | Some('"'), '\\') => {
                part.push(c);
                part.extend(chars.next());
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts
}

/// Returns whether a command has operators or substitutions outside of single quotes.
fn has_operators(text: &str) -> bool {
    let (mut quote, mut previous) = (None, ' ');
    for c in text.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '|' | '>' | '<' | '&' | '(' | ')') => return true,
            (None | Some('"'), '`') => return true,
            (None | Some('"'), '(' | '{') if previous == '$' => return true,
            _ => {}
        }
        previous = c;
    }
    false
}

/// Programs that start the program in their arguments, with the words that belong to them.
const WRAPPERS: &[&[&str]] = &[
    &["npx"],
    &["bunx"],
    &["npm", "exec"],
    &["npm", "x"],
    &["pnpm", "exec"],
    &["yarn", "exec"],
    &["bun", "x"],
    &["uv", "run"],
    &["uvx"],
    &["poetry", "run"],
    &["pdm", "run"],
    &["pipenv", "run"],
    &["hatch", "run"],
    &["rye", "run"],
    &["python", "-m"],
    &["python3", "-m"],
    &["coverage", "run", "-m"],
    &["bundle", "exec"],
    &["mise", "exec"],
    &["mise", "x"],
    &["xvfb-run"],
    &["cross-env"],
    &["cross-env-shell"],
    &["env"],
    &["time"],
    &["exec"],
    &["command"],
    &["c8"],
    &["nyc"],
];
/// Options of these programs that have a value of their own.
const VALUED: &[&str] = &[
    "--group",
    "--extra",
    "--with",
    "--python",
    "-p",
    "--directory",
    "--project",
    "--package",
    "--no-group",
    "--only-group",
    "--exclude",
    "--reporter",
    "--include",
    "-r",
    "-n",
    "-x",
    "--isolated-with",
];

/// Returns the variables in front of a command, and its words without wrappers.
fn unwrapped(mut words: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut env = Vec::new();
    loop {
        while words.first().is_some_and(|word| is_assignment(word)) {
            env.push(words.remove(0));
        }
        let starts = |wrapper: &&&[&str]| {
            wrapper.len() < words.len() && wrapper.iter().zip(&words).all(|(part, word)| part == word)
        };
        let Some(wrapper) = WRAPPERS.iter().find(starts) else { break };
        let mut rest = wrapper.len();
        while let Some(word) = words.get(rest) {
            if word == "--" {
                rest += 1;
                break;
            }
            if !word.starts_with('-') {
                break;
            }
            rest += 1 + usize::from(VALUED.contains(&word.as_str()));
        }
        if rest >= words.len() {
            break;
        }
        words.drain(..rest);
    }
    if let Some(first) = words.first_mut() {
        for bin in ["./node_modules/.bin/", "node_modules/.bin/", ".venv/bin/", "venv/bin/"] {
            if let Some(name) = first.strip_prefix(bin) {
                *first = name.to_owned();
            }
        }
    }
    (env, words)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let one = |it: ShellCommand| {
            let folder = it.folder.map_or(String::new(), |folder| format!("{folder}: "));
            format!("{folder}{}{}", it.words.join("|"), if it.is_plain { "" } else { " !" })
        };
        commands(text).into_iter().map(one).collect()
    }

    #[test]
    fn commands_of_a_line_are_split_and_unwrapped() {
        let cases: &[(&str, &[&str])] = &[
            ("a && b 'c && d'; e", &["a", "b|c && d", "e"]),
            ("cd web && npx -y eslint .", &["web: eslint|."]),
            ("cross-env A=1 B=2 vitest run", &["vitest|run"]),
            ("uv run --group test python -m pytest -x", &["pytest|-x"]),
            ("nyc --exclude x --reporter=y npm test", &["npm|test"]),
            ("./node_modules/.bin/tsc -p .", &["tsc|-p|."]),
            ("# note\nmake \\\n  lint\n\nmake test | tee log", &["make|lint", "make|test|||tee|log !"]),
            ("echo $(date)", &["echo|$(date) !"]),
            ("npx", &["npx"]),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), *expected, "{text}");
        }
    }

    #[test]
    fn essence_is_without_options_for_output() {
        let essence = |text: &str| commands(text)[0].essence();
        assert_eq!(essence("npx vitest run --coverage"), essence("vitest"));
        assert_ne!(essence("vitest run a"), essence("vitest run b"));
        assert_ne!(essence("cd a && vitest"), essence("vitest"));
    }
}
