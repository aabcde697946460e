//! Prints what an audit found, for people and as JSON. It must not know how it was found.

use serde_json::{Value, json};

use open_trace::Doubt;

use crate::base::path::RepoPath;
use crate::base::text::count;
use crate::engine::audit::collector::Audit;
use crate::engine::audit::findings::{Access, MissingConfig, UndeclaredKind, UndeclaredPath};
use crate::event::{Log, Status, TaskFinished};
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{Keep, safe};

/// The number of findings per task that are listed for people; JSON has all.
const LISTED: usize = 20;
/// The number of unopened files that are named.
const NAMED: usize = 5;

/// A task that was audited.
pub struct AuditedTask {
    /// The result of the task in the sandbox.
    pub result: TaskFinished,
    /// The audit; `None` if the task was not started.
    pub audit: Option<Audit>,
    /// Whether the inputs of the task are the whole tree.
    pub is_whole: bool,
}

/// The outcome of an audit of one task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It passed, the trace is complete, and all that it opened is declared.
    Clean,
    /// It passed, and opened something that it does not declare.
    Undeclared,
    /// It does not pass with only what it declares.
    Fails,
    /// It passed, and all that it opened is declared, but it looked for missing files that would configure
    /// its tools and are not declared.
    Absent,
    /// It passed and nothing was found, but the trace is incomplete.
    Partial,
    /// It does not run on this system.
    Skipped,
}

impl AuditedTask {
    /// Returns the outcome.
    pub fn outcome(&self) -> Outcome {
        match (&self.result.status, &self.audit) {
            (Status::Skipped, _) => Outcome::Skipped,
            (status, _) if !status.is_pass() => Outcome::Fails,
            (_, Some(audit)) if !audit.findings.findings.is_empty() => Outcome::Undeclared,
            (_, Some(audit)) if audit.doubts.is_empty() && !audit.findings.missing_configs.is_empty() => {
                Outcome::Absent
            }
            (_, Some(audit)) if audit.doubts.is_empty() => Outcome::Clean,
            // With an incomplete trace, nothing is clean.
            _ => Outcome::Partial,
        }
    }

    fn findings(&self) -> &[UndeclaredPath] {
        self.audit.as_ref().map_or(&[], |audit| &audit.findings.findings)
    }

    fn missing_configs(&self) -> &[MissingConfig] {
        self.audit.as_ref().map_or(&[], |audit| &audit.findings.missing_configs)
    }

    fn doubts(&self) -> &[Doubt] {
        self.audit.as_ref().map_or(&[], |audit| &audit.doubts)
    }

    fn unopened(&self) -> &[RepoPath] {
        self.audit.as_ref().map_or(&[], |audit| &audit.findings.unopened)
    }

    fn asks_git(&self) -> bool {
        self.audit.as_ref().is_some_and(|audit| audit.findings.looked_for_git)
    }

    fn is_complete(&self) -> bool {
        self.audit.as_ref().is_some_and(|audit| audit.doubts.is_empty())
    }

    /// Returns what else is worth knowing.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.asks_git() {
            notes.push(
                "it looked for a git repository: a sandbox has none, and git's data can't be an input"
                    .to_owned(),
            );
        }
        let unopened = self.unopened();
        let inputs = self.audit.as_ref().map_or(0, |audit| audit.inputs);
        if unopened.is_empty() || !self.result.status.is_pass() {
            return notes;
        }
        let named: Vec<String> = unopened.iter().take(NAMED).map(path_text).collect();
        let more = if unopened.len() > NAMED { ", …" } else { "" };
        notes.push(if self.is_whole {
            let opened = inputs.saturating_sub(unopened.len());
            format!("it opened {opened} of {}: declare `inputs` for fewer misses", count(inputs, "file"))
        } else {
            let verb = if unopened.len() == 1 { "was" } else { "were" };
            let what = count(unopened.len(), "declared input");
            format!("{what} {verb} never opened, but a change there is a miss: {}{more}", named.join(", "))
        });
        notes
    }
}

impl Outcome {
    /// Returns the word for JSON.
    fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Undeclared => "undeclared",
            Self::Absent => "absent",
            Self::Fails => "fails",
            Self::Partial => "partial",
            Self::Skipped => "skipped",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Clean => Tone::Good,
            Self::Undeclared | Self::Fails => Tone::Bad,
            Self::Partial | Self::Absent => Tone::Odd,
            Self::Skipped => Tone::Faint,
        }
    }
}

/// Returns the text for people.
pub fn text(accounts: &[AuditedTask], paint: Paint) -> String {
    let mut text = String::new();
    for account in accounts {
        text.push_str(&heading(account, paint));
        text.push('\n');
        for line in body(account, paint) {
            text.push_str(&format!("  {line}\n"));
        }
    }
    if accounts.len() > 1 {
        let number = |outcome| accounts.iter().filter(|account| account.outcome() == outcome).count();
        let all = [
            Outcome::Clean,
            Outcome::Absent,
            Outcome::Undeclared,
            Outcome::Fails,
            Outcome::Partial,
            Outcome::Skipped,
        ];
        let parts = all.into_iter().filter(|outcome| number(*outcome) > 0);
        let parts: Vec<String> =
            parts.map(|outcome| format!("{} {}", number(outcome), outcome.as_str())).collect();
        let line = format!("{}: {}", count(accounts.len(), "task"), parts.join(", "));
        text.push_str(&format!("{}\n", paint.tone(Tone::Strong, &line)));
    }
    text
}

fn heading(account: &AuditedTask, paint: Paint) -> String {
    let outcome = account.outcome();
    let what = match (outcome, &account.result.status) {
        (Outcome::Clean, _) => "clean".to_owned(),
        (Outcome::Undeclared, _) => {
            format!("undeclared: {}", count(account.findings().len(), "finding"))
        }
        (Outcome::Absent, _) => {
            let what = count(account.missing_configs().len(), "configuration file");
            format!("undeclared if added: {what}")
        }
        (Outcome::Fails, Status::Failed { ended }) => format!("fails in the sandbox: {ended}"),
        (Outcome::Fails, _) => "fails in the sandbox".to_owned(),
        (Outcome::Partial, _) => "PARTIAL: nothing was found, but the trace is incomplete".to_owned(),
        (Outcome::Skipped, _) => format!("skipped: {}", account.result.reason),
    };
    format!("{}: {}", paint.tone(Tone::Strong, &account.result.task), paint.tone(outcome.tone(), &what))
}

fn body(account: &AuditedTask, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in account.findings().iter().take(LISTED) {
        let name = paint.tone(Tone::Odd, &name(finding));
        lines.push(format!("{name}  {}", access_text(finding)));
        lines.push(format!("    {}", paint.tone(Tone::Faint, &advice(finding))));
    }
    let more = account.findings().len().saturating_sub(LISTED);
    if more > 0 {
        lines.push(format!("and {more} more; `--json` has them all"));
    }
    lines.extend(missing_config_lines(account.missing_configs(), paint));
    for doubt in account.doubts() {
        lines.push(paint.tone(Tone::Odd, &format!("the trace is incomplete: {}", doubt_text(doubt))));
    }
    lines.extend(account.notes().into_iter().map(|note| paint.tone(Tone::Faint, &format!("note: {note}"))));
    if account.outcome() == Outcome::Fails {
        if account.findings().is_empty() && account.audit.is_some() {
            lines.push(format!("nothing undeclared was seen: does `xtask {}` pass?", account.result.task));
        }
        if account.audit.is_some() {
            lines.extend(log(&account.result.log, paint));
        }
    }
    lines
}

/// Returns lines about configuration files that were looked for and are missing, with all patterns in one
/// line.
fn missing_config_lines(absent: &[MissingConfig], paint: Paint) -> Vec<String> {
    if absent.is_empty() {
        return Vec::new();
    }
    let shown = |it: &MissingConfig| match it.folders {
        0 | 1 => path_text(&it.path),
        folders => {
            let name = it.pattern.rsplit("**/").next().unwrap_or(&it.pattern);
            format!("{name} (in {folders} folders)")
        }
    };
    let mut names: Vec<String> = absent.iter().take(LISTED).map(shown).collect();
    if absent.len() > LISTED {
        names.push(format!("and {} more", absent.len() - LISTED));
    }
    let patterns: Vec<String> = absent.iter().take(LISTED).map(|it| quoted(&it.pattern)).collect();
    vec![
        format!(
            "looked for, but missing: {}; if added, they are read without a miss",
            paint.tone(Tone::Odd, &names.join(", "))
        ),
        format!("    {}", paint.tone(Tone::Faint, &format!("inputs = [..., {}]", patterns.join(", ")))),
    ]
}

fn log(log: &Log, paint: Paint) -> Vec<String> {
    let keep = if paint.is_colored() { Keep::Colors } else { Keep::Nothing };
    let text = safe(&log.text, keep);
    if text.trim().is_empty() {
        return vec![paint.tone(Tone::Faint, "(no output)")];
    }
    let reset = if text.contains('\u{1b}') { "\u{1b}[0m" } else { "" };
    text.trim_end().lines().map(|line| format!("│ {line}{reset}")).collect()
}

/// Returns a path on one line.
fn path_text(path: &RepoPath) -> String {
    let text = path.to_string();
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text }
}

fn name(finding: &UndeclaredPath) -> String {
    if finding.is_folder { format!("{}/", path_text(&finding.path)) } else { path_text(&finding.path) }
}

fn access_text(finding: &UndeclaredPath) -> String {
    let verb = match finding.access {
        Access::LookedFor => "was looked for",
        Access::Written => "was written or removed, in the work tree",
        Access::Listed => "was listed, in the work tree",
        Access::Read => "was read, in the work tree",
        Access::Executed => "was executed, in the work tree",
    };
    let paths = if finding.is_folder && finding.seen > 1 {
        format!(" ({} paths)", finding.seen)
    } else {
        String::new()
    };
    let ignored = if finding.kind == UndeclaredKind::Ignored && finding.access != Access::Written {
        "; ignored by git"
    } else {
        ""
    };
    format!("{verb}{paths}{ignored}")
}

/// Returns what to do about a finding.
fn advice(finding: &UndeclaredPath) -> String {
    if finding.access == Access::Written {
        return "write to a relative path in its own folder, and declare that path in `outputs`".to_owned();
    }
    match (&finding.made_by, &finding.pattern) {
        (Some(task), _) => format!("`{task}` writes it: needs = [..., {}]", quoted(task)),
        (None, Some(pattern)) => format!("inputs = [..., {}]", quoted(pattern)),
        (None, None) => match finding.kind {
            UndeclaredKind::Tree => "declare the folder that contains it in `inputs`".to_owned(),
            UndeclaredKind::Ignored => {
                "it can't be an input: create it in another task with `outputs`, and add that task to `needs`"
                    .to_owned()
            }
            UndeclaredKind::Git => {
                "git's data can't be an input: pass it in a variable with `pass-env`".to_owned()
            }
        },
    }
}

/// Quotes a text for TOML.
fn quoted(text: &str) -> String {
    // JSON's strings are valid TOML for all that a path can contain.
    Value::from(text).to_string()
}

fn doubt_text(doubt: &Doubt) -> String {
    match &doubt.program {
        Some(program) => format!("{} ({program})", doubt.kind),
        None => doubt.kind.to_string(),
    }
}

/// Returns the text for programs.
pub fn json(accounts: &[AuditedTask]) -> String {
    let is_clean = accounts.iter().all(|account| account.outcome() == Outcome::Clean);
    let ran = || accounts.iter().filter(|account| account.outcome() != Outcome::Skipped);
    let value = json!({
        "version": 2,
        "clean": is_clean,
        "complete": ran().all(AuditedTask::is_complete),
        "tasks": accounts.iter().map(task_json).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

fn task_json(account: &AuditedTask) -> Value {
    let finding = |finding: &UndeclaredPath| {
        let mut value = json!(finding);
        value["advice"] = advice(finding).into();
        value
    };
    let doubt =
        |doubt: &Doubt| json!({ "kind": doubt.kind, "program": doubt.program, "text": doubt_text(doubt) });
    json!({
        "task": account.result.task,
        "verdict": account.outcome().as_str(),
        "complete": account.is_complete(),
        "status": account.result.status,
        "undeclared": account.findings().iter().map(finding).collect::<Vec<_>>(),
        "absent": account.missing_configs(),
        "doubts": account.doubts().iter().map(doubt).collect::<Vec<_>>(),
        "asks_git": account.asks_git(),
        "inputs": account.audit.as_ref().map(|audit| audit.inputs),
        "unopened": account.unopened(),
        "log": account.result.log.text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::TaskId;
    use crate::decision_reason::Reason;
    use crate::engine::audit::findings::AuditFindings;
    use crate::event::Ended;
    use open_trace::DoubtKind;

    fn account(status: Status, findings: usize, doubts: &[DoubtKind]) -> AuditedTask {
        let result = TaskFinished { attempts: 1, ..TaskFinished::new("t", status, Reason::CacheOff) };
        let finding = UndeclaredPath {
            path: RepoPath::from_git(&b"a"[..]),
            is_folder: false,
            access: Access::Read,
            kind: UndeclaredKind::Tree,
            seen: 1,
            pattern: Some("a".to_owned()),
            made_by: None,
        };
        let found = AuditFindings { findings: vec![finding; findings], ..AuditFindings::default() };
        let doubts = doubts.iter().map(|why| Doubt { kind: why.clone(), program: None }).collect();
        let audit = Some(Audit { task: TaskId(0), doubts, findings: found, inputs: 1 });
        AuditedTask { result, audit, is_whole: false }
    }

    #[test]
    fn incomplete_trace_is_never_clean() {
        let failed = || Status::Failed { ended: Ended::Exit { code: 1 } };
        for (status, findings, doubts, expected) in [
            (Status::Passed, 0, &[][..], Outcome::Clean),
            (Status::Passed, 0, &[DoubtKind::IoUring], Outcome::Partial),
            (Status::Passed, 0, &[DoubtKind::Unavailable], Outcome::Partial),
            (Status::Passed, 0, &[DoubtKind::Unreported], Outcome::Partial),
            (Status::Passed, 1, &[], Outcome::Undeclared),
            (Status::Passed, 1, &[DoubtKind::IoUring], Outcome::Undeclared),
            (failed(), 0, &[], Outcome::Fails),
            (failed(), 1, &[DoubtKind::Lost], Outcome::Fails),
            (Status::Skipped, 0, &[], Outcome::Skipped),
        ] {
            assert_eq!(
                account(status.clone(), findings, doubts).outcome(),
                expected,
                "{status:?} {doubts:?}"
            );
        }
        let unseen = AuditedTask { audit: None, ..account(Status::Passed, 0, &[]) };
        assert_eq!(unseen.outcome(), Outcome::Partial);
    }

    #[test]
    fn partial_trace_is_reported() {
        let partial = [account(Status::Passed, 0, &[DoubtKind::IoUring])];
        let text = text(&partial, Paint::PLAIN);
        assert_eq!(
            text,
            "t: PARTIAL: nothing was found, but the trace is incomplete\n  the trace is incomplete: io_uring was used, \
             and files that it opens are not traced\n"
        );
        let json: Value = serde_json::from_str(&json(&partial)).unwrap();
        assert_eq!((&json["clean"], &json["complete"]), (&Value::from(false), &Value::from(false)));
        assert_eq!(json["tasks"][0]["doubts"][0]["kind"], "io-uring");
    }
}
