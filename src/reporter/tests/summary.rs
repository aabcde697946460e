//! Tests of the summary in Markdown.

use super::*;
use crate::reporter::summary::{Mode, SummaryFile, markdown};

#[test]
fn summary_has_the_result_tasks_gates_and_last_lines() {
    insta::assert_snapshot!(markdown(&state(&run(&shop())), 1 << 20));
}

#[test]
fn long_summary_is_cut_and_says_so() {
    let many: Vec<TaskFinished> =
        (0..200).map(|i| task(&format!("task-{i}"), failed(), &"x".repeat(90_000))).collect();
    let state = state(&run(&many));
    let whole = markdown(&state, 1 << 20);
    assert!(whole.contains("*and 150 tasks more*") && !whole.contains("cut here"), "{whole}");
    for room in [0, 50, 500, 5_000, 6_000, whole.len() - 1] {
        let text = markdown(&state, room);
        assert!(text.len() <= room, "{room}");
        assert!(room < 500 || text.contains("The summary is cut here"), "{room}: {text}");
        assert_eq!(text.matches("```").count() % 2, 0, "{text}");
    }
}

#[test]
fn summary_file_is_appended_to_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.md");
    for (mode, kept) in [(Mode::Append, true), (Mode::Replace, false)] {
        std::fs::write(&path, "before\n").unwrap();
        let mut reporter = SummaryFile::new(path.clone(), mode);
        for event in run(&shop()) {
            reporter.event(&event).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.starts_with("before\n## `ci` ❌ failed\n"), kept, "{text}");
    }
    std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    let mut reporter = SummaryFile::new(path.clone(), Mode::Append);
    for event in run(&shop()) {
        reporter.event(&event).unwrap();
    }
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 20);
}
