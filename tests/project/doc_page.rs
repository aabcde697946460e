//! Checks the examples of a page of documentation: each tasks.toml is loaded, and each command runs and prints what
//! is shown.
//!
//! Each section of a page (`#` or `##`) has a repository of its own. Its blocks are processed in order:
//! - `toml` is written to tasks.toml and loaded.
//! - `console` has commands after `$ ` and their output. Durations and ids may differ. `…` stands for any
//!   text, or for any lines if it is the only text of a line. `exit=N` is the status of the last command.
//! - `sh` is run and must succeed.
//! - With `file=PATH`, a block of any language is written to that file; with `toml`, tasks.toml is loaded if there is one.
//!
//! Comments before a block are only for this test. `<!-- run: SCRIPT -->` prepares the repository; programs
//! in `../bin`, the first folder of PATH, can replace other tools. `<!-- and: TOML -->` adds TOML to the next
//! block, and `<!-- not run: REASON -->` skips the next block. `<!-- each: SCRIPT -->` prepares the repositories of
//! the sections after it.
//!
//! `UPDATE_DOCS=1 cargo test -p xtask --test it docs` rewrites the output that is shown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{CommandOutput, Project};

/// Stands for any text.
const ANY: &str = "…";

/// Variables of the caller that installers of packages need.
const CERTIFICATES: [&str; 5] =
    ["NODE_EXTRA_CA_CERTS", "PIP_CERT", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy"];

/// A page while its blocks are checked.
struct Page {
    name: String,
    project: Project,
    /// A script that prepares the repository of each section.
    each: String,
    /// TOML for the next block that readers don't see.
    addition: String,
    /// Whether the next block is skipped.
    left_out: bool,
    errors: String,
}

/// Checks all blocks of a page. Returns the errors.
pub(crate) fn check(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut page = Page {
        name,
        project: repository(),
        each: String::new(),
        addition: String::new(),
        left_out: false,
        errors: String::new(),
    };
    let mut rewritten = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        writeln!(rewritten, "{line}").unwrap();
        if let Some(info) = line.strip_prefix("```") {
            let block: String = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| *line != "```")
                .fold(String::new(), join);
            rewritten += &page.block(number + 1, info, &block);
            rewritten += "```\n";
        } else if let Some(comment) = line.strip_prefix("<!-- ") {
            let mut comment = comment.to_owned();
            while !comment.contains("-->") {
                let (_, line) = lines.next().unwrap();
                writeln!(rewritten, "{line}").unwrap();
                comment = format!("{comment}\n{line}");
            }
            page.comment(number + 1, comment.split("-->").next().unwrap());
        } else if line.starts_with("# ") || line.starts_with("## ") {
            page.project = repository();
            page.script(number + 1, &page.each.clone());
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() && rewritten != text {
        fs::write(path, rewritten).unwrap();
    }
    page.errors
}

fn join(text: String, line: &str) -> String {
    text + line + "\n"
}

/// Returns an empty repository.
fn repository() -> Project {
    let project = Project::without_git("");
    fs::remove_file(project.path("tasks.toml")).unwrap();
    project.git(&["init", "-q", "-b", "main"]);
    project
}

impl Page {
    fn error(&mut self, line: usize, text: &str) {
        writeln!(self.errors, "{}:{line}: {text}", self.name).unwrap();
    }

    fn comment(&mut self, line: usize, comment: &str) {
        if let Some(script) = comment.strip_prefix("run:") {
            self.script(line, script);
        } else if let Some(script) = comment.strip_prefix("each:") {
            script.clone_into(&mut self.each);
        } else if let Some(toml) = comment.strip_prefix("and:") {
            toml.clone_into(&mut self.addition);
        } else if let Some(reason) = comment.strip_prefix("not run:") {
            self.left_out = true;
            if reason.trim().is_empty() {
                self.error(line, "a reason is missing");
            }
        }
    }

    /// Checks a block. Returns the text that it should have.
    fn block(&mut self, line: usize, info: &str, block: &str) -> String {
        let mut words = info.split(' ');
        let language = words.next().unwrap_or_default();
        let attribute =
            |name: &str| info.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let addition = std::mem::take(&mut self.addition);
        if std::mem::take(&mut self.left_out) {
            return block.to_owned();
        }
        match (language, attribute("file")) {
            ("console", _) => return self.console(line, block, attribute("exit").unwrap_or("0")),
            ("sh", None) => self.script(line, block),
            ("toml", file) => {
                self.project.write(file.unwrap_or("tasks.toml"), format!("{block}{addition}"));
                if self.project.path("tasks.toml").exists() {
                    let ran = self.project.xtask(&[]);
                    if ran.status != 0 {
                        self.error(line, &ran.err);
                    }
                }
            }
            (_, Some(file)) => {
                self.project.write(file, block);
            }
            _ => self.error(line, "a block that nothing checks: say why with `<!-- not run: … -->`"),
        }
        block.to_owned()
    }

    fn script(&mut self, line: usize, script: &str) {
        let ran = self.shell(&format!("set -e\n{script}"));
        if ran.status != 0 {
            self.error(line, &format!("exit status {}:\n{}", ran.status, ran.out));
        }
    }

    /// Runs the commands of a block and compares their output. Returns the text that the block should have.
    fn console(&mut self, line: usize, block: &str, status: &str) -> String {
        let mut rewritten = String::new();
        let mut rest = block;
        let mut last = 0;
        while let Some(command) = rest.strip_prefix("$ ") {
            let (command, after) = command.split_once('\n').unwrap();
            let end =
                if after.starts_with("$ ") { 0 } else { after.find("\n$ ").map_or(after.len(), |at| at + 1) };
            let (expected, next) = after.split_at(end);
            let ran = self.shell(command);
            last = ran.status;
            let is_same = matches(&comparable(expected), &comparable(&ran.out));
            if !is_same {
                self.error(line, &format!("$ {command}\nprints:\n{}instead of:\n{expected}", ran.out));
            }
            let output = if is_same || expected.contains(ANY) { expected } else { ran.out.as_str() };
            write!(rewritten, "$ {command}\n{output}").unwrap();
            rest = next;
        }
        if last.to_string() != status {
            self.error(line, &format!("exit status {last}, not {status}"));
        }
        rewritten
    }

    /// Runs a shell line. In the output, paths of the test are replaced by those that readers would see.
    fn shell(&self, script: &str) -> CommandOutput {
        let programs = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap();
        let bin = self.project.parent_folder().join("bin");
        let path = format!("{}:{}:{}", bin.display(), programs.display(), std::env::var("PATH").unwrap());
        let mut command = self.project.command("sh");
        command.env("PATH", path).args(["-c", &format!("exec 2>&1\n{script}")]);
        // Packages may come through a proxy with its own certificates.
        for name in CERTIFICATES {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let mut ran = CommandOutput::from_output(command.output().unwrap());
        let paths = [
            (self.project.root(), "~/shop"),
            (self.project.home(), "~"),
            (self.project.parent_folder(), "~"),
        ];
        for (path, name) in paths {
            ran.out = ran.out.replace(path.to_str().unwrap(), name);
        }
        ran
    }
}

/// Returns the lines without values that change from run to run. Neighbouring lines of passed tasks are
/// sorted.
fn comparable(text: &str) -> Vec<String> {
    // A line of progress is printed only if a step takes long enough.
    let lines = text.trim_end().lines().filter(|line| !line.starts_with("  … "));
    let mut lines: Vec<String> = lines.map(without_times).collect();
    for passed in lines.chunk_by_mut(|a, b| a.starts_with('✓') && b.starts_with('✓')) {
        passed.sort();
    }
    lines
}

fn without_times(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    // The length of a horizontal rule depends on the rest of its line.
    for word in line.trim_end_matches('─').split_whitespace() {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_unit = matches!(core, "ms" | "s" | "µs");
        let is_duration = core.starts_with(|c: char| c.is_ascii_digit()) && core.ends_with(['m', 's']);
        let is_id = core.len() >= 7 && core.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_run = core.len() == 21 && core.starts_with("20") && core.matches('-').count() == 2;
        let is_deploy = core.len() == 21 && core.starts_with("20") && core.contains("z-");
        let is_time = core.len() == 20 && core.starts_with("20") && core.ends_with('Z');
        let number = release_number(core);
        match words.last_mut() {
            Some(last) if is_unit && is_number(last) => *last = word.replace(core, "TIME"),
            Some(last) if is_duration && last == "TIME" => *last = word.replace(core, "TIME"),
            _ if is_duration => words.push(word.replace(core, "TIME")),
            _ if number.is_some() => {
                words.push(word.replace(core, &format!("{}-ID", number.unwrap_or_default())));
            }
            _ if is_id || is_run || is_deploy || is_time => words.push(word.replace(core, "ID")),
            _ => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

/// Returns the number in the id of a release.
fn release_number(word: &str) -> Option<&str> {
    let (number, digits) = word.split_once('-')?;
    let is_hex = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex && is_number(number)).then_some(number)
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Returns whether the lines match the expected ones.
fn matches(expected: &[String], lines: &[String]) -> bool {
    match (expected.split_first(), lines.split_first()) {
        (None, first) => first.is_none(),
        (Some((any, rest)), _) if any == ANY => (0..=lines.len()).any(|at| matches(rest, &lines[at..])),
        (Some((line, rest)), Some((first, more))) => is_like(line, first) && matches(rest, more),
        (Some(_), None) => false,
    }
}

fn is_like(expected: &str, line: &str) -> bool {
    match expected.split_once(ANY) {
        None => expected == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|line| {
            rest.is_empty() || line.char_indices().any(|(at, _)| is_like(rest, &line[at..]))
        }),
    }
}
