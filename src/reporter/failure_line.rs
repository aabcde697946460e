//! Finds the line of a log that explains a failure. It must not know the task.

use crate::reporter::text::{Keep, safe};

/// The maximum length of the line, in characters.
const LONGEST: usize = 140;
/// Beginnings of lines that only say that a command failed, or that repeat it.
const NOISE: &[&str] = &[
    "npm error",
    "npm err!",
    "npm notice",
    "npm warn",
    "make: ***",
    "make[",
    "error: recipe",
    "error: script \"",
    "error command failed",
    "info visit",
    "yarn run v",
    " elifecycle",
    "elifecycle",
    "err_pnpm_recursive",
    "warning:",
    "warn ",
    "> ",
    "$ ",
    "#",
    "at ",
    "command failed",
    "lerna err!",
    "note:",
    "hint:",
    "help:",
    "stack backtrace",
    "exit status",
    "exit code",
];
/// Beginnings of lines that say nothing about the cause: what package managers print of the command, and around
/// its failure.
const ECHO: &[&str] = &[
    "> ",
    "$ ",
    "npm error a complete log",
    "npm error lifecycle script",
    "npm error code",
    "npm error errno",
    "npm error path",
    "npm error workspace",
    "npm error location",
    "npm error command",
    "npm notice",
    "yarn run v",
    "error command failed",
    "info visit",
];
/// Beginnings and ends of lines about a test or a check that passed.
const PASSED: (&[&str], &[&str]) =
    (&["✓", "✔", "√", "ok ", "pass ", "passed "], &["... ok", " passed", " ok", "passed [100%]"]);
/// Parts of lines about a cause.
const STRONG: &[&str] = &[
    "error:",
    "error[",
    "error ts",
    " error ",
    "error!",
    "not found",
    "cannot find",
    "can't find",
    "could not find",
    "no such file",
    "no module named",
    "is not installed",
    "does not exist",
    "permission denied",
    "connection refused",
    "panicked at",
    "fatal:",
    "unable to",
    "failed to",
    "could not",
    "exception:",
    "enoent",
    "not defined",
    "✗",
    "✘",
    "×",
];
/// Parts of lines that may be about a cause.
const WEAK: &[&str] = &[
    "fail",
    "error",
    "missing",
    "not ok",
    "exception",
    "invalid",
    "issues found",
    "would be reformatted",
    "diff in ",
];
/// Parts of lines that say that there is no error.
const NO_ERROR: &[&str] =
    &["0 error", "no error", "0 fail", "errors: 0", "failures: 0", "error: 0", "failed: 0"];

/// Returns the line of a log that explains the failure, shortened: the first that names an error, else the last
/// one that says something. It is empty if none does.
pub fn failure_line(log: &str) -> String {
    let log = safe(log, Keep::Nothing);
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let lower: Vec<String> = lines.iter().map(|line| line.to_lowercase()).collect();
    let is_noise = |line: &str| {
        NOISE.iter().any(|noise| line.starts_with(noise.trim_start()))
            || !line.chars().any(char::is_alphanumeric)
            || is_heading(line)
            || PASSED.0.iter().any(|start| line.starts_with(start))
            || PASSED.1.iter().any(|end| line.ends_with(end))
    };
    let names = |line: &str, words: &[&str]| {
        // A line may begin with the word.
        let padded = format!(" {line} ");
        words.iter().any(|word| padded.contains(word)) && !NO_ERROR.iter().any(|no| line.contains(no))
    };
    let first =
        |words: &[&str]| (0..lines.len()).find(|at| !is_noise(&lower[*at]) && names(&lower[*at], words));
    let last = || (0..lines.len()).rev().find(|at| !is_noise(&lower[*at]));
    // Rather a line that is usually noise than none.
    let any = || {
        (0..lines.len()).find(|at| {
            let line = lower[*at].replacen("npm err!", "npm error", 1);
            !ECHO.iter().any(|echo| line.starts_with(echo)) && line.chars().any(char::is_alphanumeric)
        })
    };
    let chosen = first(STRONG).or_else(|| first(WEAK)).or_else(last).or_else(any);
    let line = chosen.map_or("", |at| lines[at]);
    let words: Vec<&str> = line.split_whitespace().collect();
    shortened(&words.join(" "))
}

/// Returns whether a line is a heading between two rules, such as `=== FAILURES ===`.
fn is_heading(line: &str) -> bool {
    ["⎯⎯", "──", "══", "==", "--", "__", "**"]
        .iter()
        .any(|rule| line.starts_with(rule) && line.ends_with(rule))
}

/// Returns the beginning of a line that is too long to be shown.
pub fn shortened(line: &str) -> String {
    if line.chars().count() > LONGEST {
        line.chars().take(LONGEST - 1).chain(['…']).collect()
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_about_an_error_explains_a_failure() {
        let cases = [
            ("a\nb\n\n", "b"),
            (
                "> lint\nsh: 1: eslint: not found\nnpm error code 127\nnpm error A complete log of this run\n",
                "sh: 1: eslint: not found",
            ),
            ("npm error only\n", "npm error only"),
            ("\n> x@1.0.0 test\n> exit 3\n\n", ""),
            (
                "> x@1.0.0 test\n> exit 3\nnpm error Lifecycle script `test` failed with error:\nnpm error code 3\nnpm error path /x\nnpm error workspace x@1.0.0\nnpm error location /x\nnpm error command failed\nnpm error command sh -c exit 3\n",
                "",
            ),
            (
                "npm error code E404\nnpm error 404 Not Found\nnpm error A complete log of this run\n",
                "npm error 404 Not Found",
            ),
            (
                "yarn run v1.22.22\n$ exit 3\nerror Command failed with exit code 3.\ninfo Visit https://x\n",
                "",
            ),
            ("boom\nmake: *** [Makefile:2: lint] Error 1\n", "boom"),
            ("", ""),
            (
                "✓ returns an error for x\n1:1  error  'a' is not defined  no-undef\n✖ 1 problem (1 error, 0 warnings)\n",
                "1:1 error 'a' is not defined no-undef",
            ),
            (
                "collected 2 items\nE   ModuleNotFoundError: No module named 'x'\nFAILED tests/a.py::b\n= 1 failed =\n",
                "E ModuleNotFoundError: No module named 'x'",
            ),
            (
                "test a_failed_error ... ok\ntest b ... FAILED\ntest result: FAILED. 1 failed\n",
                "test b ... FAILED",
            ),
            (
                "Checking formatting...\n[warn] a.js\n[warn] Code style issues found in 1 file.\n",
                "[warn] Code style issues found in 1 file.",
            ),
            ("⎯⎯⎯ Unhandled Error ⎯⎯⎯\nError: no worker\n❯ a.js:1\n", "Error: no worker"),
            (
                "=== FAILURES ===\n___ test_error ___\nE   assert 1 == 2\nFAILED a.py::test_error\n",
                "FAILED a.py::test_error",
            ),
            (
                "found 0 errors\nsrc/a.ts(1,2): error TS2307: Cannot find module 'x'\n",
                "src/a.ts(1,2): error TS2307: Cannot find module 'x'",
            ),
        ];
        for (log, expected) in cases {
            assert_eq!(failure_line(log), expected, "{log}");
        }
        assert_eq!(failure_line(&"x".repeat(500)).chars().count(), 140);
    }
}
