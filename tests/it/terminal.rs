//! What a terminal shows while a run is going on, and after it has ended.

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::project::screens::mask;
use crate::project::{Project, wait_for};

/// A shell command that waits until the test creates the file `go`.
const WAIT_FOR_GO: &str = "until [ -e \\\"$(dirname \\\"$PWD\\\")/go\\\" ]; do sleep 0.01; done";

/// A run whose standard error is a terminal.
struct Screen {
    child: Child,
    reader: JoinHandle<()>,
    seen: Arc<Mutex<ScreenState>>,
}

/// The bytes that were sent to a terminal, and the screen that results from them.
struct ScreenState {
    sent: Vec<u8>,
    drawn: vt100::Parser,
}

impl ScreenState {
    fn text(&self) -> String {
        let rows = self.drawn.screen().rows(0, Screen::COLUMNS);
        rows.map(|row| format!("{}\n", row.trim_end())).collect::<String>().trim_end().to_owned()
    }
}

impl Screen {
    const ROWS: u16 = 30;
    const COLUMNS: u16 = 100;

    fn new(project: &Project, term: &str, args: &[&str]) -> Self {
        Self::with_vars(project, term, args, &[])
    }

    fn with_vars(project: &Project, term: &str, args: &[&str], vars: &[(&str, &str)]) -> Self {
        // macOS can't open a terminal with the flag that children don't inherit it.
        #[cfg(target_os = "linux")]
        let close_on_exec = OpenptFlags::CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let close_on_exec = OpenptFlags::empty();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | close_on_exec).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(ptsname(&master, Vec::new()).unwrap(), flags, Mode::empty()).unwrap();
        let size = Winsize { ws_row: Self::ROWS, ws_col: Self::COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).unwrap();
        let child = project
            .xtask_command(args)
            .env("TERM", term)
            .envs(vars.iter().copied())
            .stdout(Stdio::null())
            .stderr(terminal)
            .spawn()
            .unwrap();
        let drawn = vt100::Parser::new(Self::ROWS.try_into().unwrap(), Self::COLUMNS.try_into().unwrap(), 0);
        let seen = Arc::new(Mutex::new(ScreenState { sent: Vec::new(), drawn }));
        let screen = Arc::clone(&seen);
        let mut master = File::from(master);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails as soon as no process has the terminal open.
            while let Ok(read @ 1..) = master.read(&mut bytes) {
                let mut screen = screen.lock().unwrap();
                screen.sent.extend_from_slice(&bytes[..read]);
                screen.drawn.process(&bytes[..read]);
            }
        });
        Self { child, reader, seen }
    }

    /// Returns what the screen shows now.
    fn text(&self) -> String {
        self.seen.lock().unwrap().text()
    }

    #[track_caller]
    fn wait_for_text(&self, text: &str) {
        wait_for(text, || self.text().contains(text));
    }

    /// Waits until the screen has a row in which a text is followed by a number.
    #[track_caller]
    fn wait_for_time(&self, text: &str) {
        wait_for(text, || {
            let screen = self.text();
            let mut rests = screen.lines().filter_map(|row| Some(row.split_once(text)?.1));
            rests.any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        });
    }

    /// Waits until the screen has a row that contains both texts.
    #[track_caller]
    fn wait_for_row(&self, start: &str, end: &str) {
        let begun = std::time::Instant::now();
        while !self.text().lines().any(|row| row.contains(start) && row.contains(end)) {
            assert!(begun.elapsed().as_secs() < 60, "no row has {start:?} and {end:?}:\n{}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Waits for the end of the run, and returns everything that was sent and what the screen shows at the
    /// end.
    #[track_caller]
    fn wait_for_end(mut self, status: i32) -> (String, String) {
        let ended = self.child.wait().unwrap();
        self.reader.join().unwrap();
        let seen = self.seen.lock().unwrap();
        assert_eq!(ended.code(), Some(status), "{}", seen.text());
        (String::from_utf8(seen.sent.clone()).unwrap(), seen.text())
    }
}

#[test]
fn running_tasks_are_shown_until_they_end() {
    let project = Project::new(&format!(
        r#"
        [tasks.all]
        needs = ["quick", "slow", "late"]
        [tasks.quick]
        run = "true"
        [tasks.slow]
        run = "{WAIT_FOR_GO}"
        [tasks.late]
        run = "exit 3"
        needs = ["slow"]
        "#
    ));
    let screen = Screen::new(&project, "xterm", &["all", "--jobs", "2"]);
    screen.wait_for_text("✓ quick");
    screen.wait_for_text("2 tasks left");
    screen.wait_for_time(" slow  ");
    assert!(!screen.text().contains("late"), "{}", screen.text());
    project.write("../go", "");
    let (_, text) = screen.wait_for_end(1);
    insta::assert_snapshot!(mask(&text), @"
    all: 3 tasks · tree <tree>
    ✓ quick  <time>  first run
    ✓ slow  <time>  first run
    ✗ late  <time>  exit status 3 · first run
    ── late: exit status 3, <time> ──
    (no output)
    $ exit 3

    failed: late
    failed: 3 ran, in <time>
    show this again: xtask log <run>
    ");
}

#[test]
fn retries_and_expected_durations_are_shown() {
    let project = Project::new(&format!(
        r#"
        [tasks.again]
        run = "[ -e ../once ] && {{ {WAIT_FOR_GO}; }} || {{ touch ../once; exit 1; }}"
        retries = 1
        "#
    ));
    let screen = Screen::new(&project, "xterm", &["again"]);
    screen.wait_for_time("again (attempt 2)  ");
    project.write("../go", "");
    let (_, text) = screen.wait_for_end(0);
    assert!(!text.contains("(attempt 2)"), "{text}");
    std::fs::remove_file(project.path("../go")).unwrap();
    let screen = Screen::new(&project, "xterm", &["again"]);
    screen.wait_for_text(" of about ");
    project.write("../go", "");
    screen.wait_for_end(0);
}

#[test]
fn dumb_terminal_gets_plain_lines() {
    let project = Project::new("[tasks.one]\nrun = \"true\"\n");
    let (sent, text) = Screen::new(&project, "dumb", &["one"]).wait_for_end(0);
    assert!(text.contains("✓ one"), "{text}");
    assert!(!sent.contains('\u{1b}'), "{sent:?}");
    assert_eq!(sent.matches("✓ one").count(), 1, "{sent:?}");
    let (sent, _) = Screen::new(&project, "xterm", &["one", "--force"]).wait_for_end(0);
    assert!(sent.contains('\u{1b}'), "{sent:?}");
}

#[test]
fn last_printed_line_of_a_task_is_shown_cut_until_it_ends() {
    let long = "0123456789".repeat(20);
    let project = Project::new(&format!(
        r#"
        [tasks.bar]
        run = """
        printf 'first\\n10%%\\r\\033[32m20%%\\033[0m\\033[K'
        {WAIT_FOR_GO}
        """
        [tasks.long]
        run = "echo {long}; {WAIT_FOR_GO}"
        [tasks.secret]
        run = "echo a $WORD b; {WAIT_FOR_GO}"
        secret-env = ["WORD"]
        [tasks.wide]
        run = "printf '\\033]0;title\\007日本\\tx\\n\\n'; {WAIT_FOR_GO}"
        [tasks.all]
        needs = ["bar", "long", "secret", "wide"]
        "#
    ));
    let screen = Screen::with_vars(&project, "xterm", &["all", "--jobs", "4"], &[("WORD", "hunter2")]);
    screen.wait_for_row(" bar  ", "  20%");
    screen.wait_for_row(" long  ", "  0123456789");
    screen.wait_for_row(" secret  ", "  a *** b");
    screen.wait_for_row(" wide  ", "  日本    x");
    let text = screen.text();
    assert!(text.lines().all(|row| row.chars().count() <= usize::from(Screen::COLUMNS)), "{text}");
    // A long line takes only one row, and its text is dimmed.
    assert_eq!(
        text.matches("0123456789").count(),
        text.lines().find(|row| row.contains("0123456789")).unwrap().matches("0123456789").count()
    );
    assert!(String::from_utf8_lossy(&screen.seen.lock().unwrap().sent).contains("\u{1b}[2m  20%"));
    project.write("../go", "");
    let (sent, text) = screen.wait_for_end(0);
    assert!(!sent.contains("hunter2"));
    assert!(!text.contains("20%") && !text.contains("0123456789"), "{text}");
    assert!(!project.xtask(&["log", "--last"]).ends(0).out.contains("0123456789"));
}

#[test]
fn million_lines_are_not_drawn_one_by_one() {
    let project = Project::new("[tasks.t]\nrun = \"seq 1000000\"\n");
    let (sent, text) = Screen::new(&project, "xterm", &["t"]).wait_for_end(0);
    assert!(sent.len() < 100_000, "{}", sent.len());
    assert!(text.contains("passed: 1 ran"), "{text}");
}
