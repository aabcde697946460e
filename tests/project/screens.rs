//! What the program printed, as a snapshot: `assert_screens!` and [`mask`].

use std::cell::RefCell;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::Ran;

thread_local! {
    /// What the runs of this test, which has a thread of its own, printed.
    static SCREENS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Compares what all runs of the test printed, since the last call, with a snapshot named like the test.
#[allow(unused_macros, reason = "each test program uses its own part")]
macro_rules! assert_screens {
    () => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!($crate::project::screens::take())
        })
    };
}

/// Returns what runs of this test printed since the last call, as a terminal session, masked.
///
/// Standard output comes first. JSON is left out: tests look at its values. Lines of tasks that stand
/// next to each other are sorted, as tasks that run at once end in any order.
pub(crate) fn take() -> String {
    static TASK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[✓✗■▲-] \S+  |^  [✓✗] \S+  (?:<time>|exit status .*)$").unwrap());
    let text = mask(&SCREENS.take());
    let mut tasks: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        match tasks.last_mut() {
            // What a gate found is below its line.
            Some(task) if line.starts_with("  ") && !TASK.is_match(line) && TASK.is_match(task[0]) => {
                task.push(line);
            }
            _ => tasks.push(vec![line]),
        }
    }
    for tasks in tasks.chunk_by_mut(|a, b| TASK.is_match(a[0]) && TASK.is_match(b[0])) {
        tasks.sort_unstable();
    }
    tasks.concat().join("\n")
}

/// Adds a run to what [`take`] returns.
pub(super) fn record(command: &str, ran: &Ran) {
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

/// What differs from run to run, and what is shown instead. The first match at a place counts.
const MASKED: &[(&str, &str)] = &[
    ("dir", r"/[^\s'`]*/\.tmp\w{6}\b"),
    ("program", r"/[^\s'`]*/debug/(?:cargo-)?xtask\b"),
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

/// Replaces what differs from run to run, such as `4 ms` by `<time>`, and the widths that depend on it.
pub(crate) fn mask(text: &str) -> String {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        let patterns = MASKED.iter().map(|(name, pattern)| format!("(?P<{name}>{pattern})"));
        Regex::new(&patterns.collect::<Vec<_>>().join("|")).unwrap()
    });
    static WIDTHS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\S)   +|──+").unwrap());
    let mut out = String::new();
    for line in text.lines() {
        let line = PATTERN.replace_all(line, |found: &Captures<'_>| {
            let name = MASKED.iter().find(|(name, _)| found.name(name).is_some());
            format!("<{}>", name.unwrap().0)
        });
        let line = WIDTHS.replace_all(&line, |found: &Captures<'_>| match found.get(1) {
            Some(end) => format!("{}  ", end.as_str()),
            None => "──".to_owned(),
        });
        // What failed at once is named in any order.
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
