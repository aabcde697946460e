//! Snapshots of what the program printed: `assert_screens!` and [`mask`].

use std::cell::RefCell;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::CommandOutput;

thread_local! {
    /// The output of the runs of the current test. Each test has its own thread.
    static SCREENS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Compares the output of all runs since the last call with a snapshot that is named after the test.
#[allow(unused_macros, reason = "each test program uses its own part")]
macro_rules! assert_screens {
    () => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!($crate::project::screens::take())
        })
    };
}

/// Returns the output of all runs of this test since the last call, masked, in the form of a terminal
/// session.
///
/// Standard output comes first. JSON is left out, because tests check its values. Neighbouring lines of tasks
/// are sorted, because tasks that run at the same time can end in any order.
pub(crate) fn take() -> String {
    static TASK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[✓✗■▲-] \S+  |^  [✓✗] \S+  (?:<time>|exit status .*)$").unwrap());
    let text = mask(&SCREENS.take());
    let mut tasks: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        match tasks.last_mut() {
            // The indented lines after a gate's line belong to it.
            Some(task) if line.starts_with("  ") && !TASK.is_match(line) && TASK.is_match(task[0]) => {
                task.push(line);
            }
            _ => tasks.push(vec![line]),
        }
    }
    for tasks in tasks.chunk_by_mut(|a, b| TASK.is_match(a[0]) && TASK.is_match(b[0])) {
        tasks.sort_unstable();
    }
    // So do the logs of what failed.
    let is_heading =
        |log: &[&str]| log[0].trim_start_matches(|c| "\u{1b}[0123456789m".contains(c)).starts_with("── ");
    let mut logs: Vec<Vec<&str>> = Vec::new();
    for line in tasks.concat() {
        match logs.last_mut() {
            Some(log) if is_heading(log) && !is_heading(&[line]) && !line.is_empty() => log.push(line),
            _ => logs.push(vec![line]),
        }
    }
    for logs in logs.chunk_by_mut(|a, b| is_heading(a) && is_heading(b)) {
        logs.sort_unstable();
    }
    logs.concat().join("\n")
}

/// Adds a run to what [`take`] returns.
pub(super) fn record(command: &str, ran: &CommandOutput) {
    let out = if ran.out.starts_with(['{', '[']) { "(JSON)\n" } else { &*ran.out };
    let mut screen = format!("$ {command}\n{out}");
    for part in [&*ran.err, &format!("--- exit status {}\n\n", ran.status)] {
        if !screen.ends_with('\n') {
            screen.push('\n');
        }
        if !part.is_empty() && part == ran.err {
            screen.push_str("--- stderr\n");
        }
        screen.push_str(part);
    }
    SCREENS.with_borrow_mut(|screens| screens.push_str(&screen));
}

/// Values that change from run to run: the name that is shown instead, and a pattern. The first pattern that
/// matches at a position counts.
const MASKED: &[(&str, &str)] = &[
    ("dir", r"/[^\s'`]*/\.tmp\w{6}\b"),
    ("program", r"/[^\s'`]*/debug/(?:cargo-)?xtask\b"),
    ("deploy", r"\b20\d{6}t\d{6}z-[0-9a-f]{4}\b"),
    ("release", r"\b\d+-[0-9a-f]{8}\b"),
    ("machine", r"(?:>|\bsomebody) on [\w.-]+"),
    ("run", r"\b(?:20\d{6}-)?\d{6}-\w{5}\b"),
    ("date", r"\b20\d\d-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?(?: UTC|Z)?)?"),
    ("id", r"\b(?:[0-9a-f]{2}/)?(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{12})\b"),
    ("tree", r"\b[0-9a-f]{10}\b"),
    ("commit", r"\b[0-9a-f]{7}\b"),
    ("port", r"(?:\bport |\blistening on |/server |127\.0\.0\.1:|\[::1\]:)\d{4,5}\b"),
    ("size", r"\b\d+(?:\.\d+)? (?:B|[KMG]iB)"),
    ("process", r"\bprocess \d+\b"),
    ("time", r"\b\d+[mh] \d\d[sm]\b|\b\d+(?:\.\d+)? (?:ms|s)\b"),
];

/// Replaces values that change from run to run, such as `4 ms` by `<time>`, and the column widths that depend
/// on them.
pub(crate) fn mask(text: &str) -> String {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        let patterns = MASKED.iter().map(|(name, pattern)| format!("(?P<{name}>{pattern})"));
        Regex::new(&patterns.collect::<Vec<_>>().join("|")).unwrap()
    });
    static WIDTHS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\S)   +|──+").unwrap());
    // The heading of a log is drawn up to the width of the screen, so its end depends on the time in it.
    static HEADING: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^((?:\x1b\[\d+m)*── .*?) *─*((?:\x1b\[0m)?)$").unwrap());
    let mut out = String::new();
    for line in text.lines() {
        let line = PATTERN.replace_all(line, |found: &Captures<'_>| {
            let name = MASKED.iter().find(|(name, _)| found.name(name).is_some());
            let (name, text) = (name.unwrap().0, &found[0]);
            match name {
                // The number of a release does not change.
                "release" => format!("{}-<release>", text.split('-').next().unwrap()),
                "machine" => format!("{} on <machine>", text.split(" on ").next().unwrap()),
                _ => format!("<{name}>"),
            }
        });
        let line = WIDTHS.replace_all(&line, |found: &Captures<'_>| match found.get(1) {
            Some(end) => format!("{}  ", end.as_str()),
            None => "──".to_owned(),
        });
        let line = HEADING.replace(&line, "$1 ──$2");
        // Tasks that failed at the same time are listed in any order.
        let line = match line.strip_prefix("failed: ").map(|names| names.split(", ").collect::<Vec<_>>()) {
            Some(mut names) if names.iter().all(|name| !name.contains(' ')) => {
                names.sort_unstable();
                format!("failed: {}", names.join(", "))
            }
            _ => line.into_owned(),
        };
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
