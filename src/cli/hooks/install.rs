//! `xtask hooks install|uninstall|status`: our hooks in the folder that git uses. It must not know what a
//! hook does when git calls it.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::base::path::RepoPath;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::cli::setup::init_summary::COMMIT;
use crate::config::hook_stage::Stage;
use crate::config::load::FILE;
use crate::git::{HooksDir, Repository};
use crate::hooks::change::{self, HookAction, HookChange};
use crate::hooks::folder;
use crate::hooks::foreign::{self, Bypass};
use crate::hooks::managers::{self, Manager, call_line};
use crate::hooks::shim::Shim;
use crate::hooks::survey::{Hook, KeptHook, StageHooks, hook_path, kept_path, survey, survey_stage};
use crate::reporter::style::Tone;

/// Arguments of `hooks`.
#[derive(Args, Debug, Clone)]
pub struct HooksArgs {
    /// What to do with the hooks
    #[command(subcommand)]
    pub action: HooksAction,
}

/// What to do with git's hooks.
#[derive(Subcommand, Debug, Clone, Copy, PartialEq, Eq)]
pub enum HooksAction {
    /// Write a hook for each stage in `[hooks]`; an existing hook is kept and runs first
    Install,
    /// Remove our hooks, and put back the ones before
    Uninstall,
    /// Show which hooks are installed, stale or bypassed
    Status {
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

/// Installs, uninstalls or lists hooks.
///
/// # Errors
/// There is no repository, tasks.toml is invalid, or a hook can't be read or written.
pub fn run(session: &Session, args: &HooksArgs) -> Result<End, Failure> {
    let repository = session.repository()?;
    let hooks = RepositoryHooks::new(session, &repository);
    match args.action {
        HooksAction::Install => hooks.install(),
        HooksAction::Uninstall => hooks.uninstall(),
        HooksAction::Status { json } => hooks.status(json),
    }
}

/// Returns the stages for which tasks.toml names tasks; `None` if there is no tasks.toml.
///
/// # Errors
/// tasks.toml is invalid.
pub fn wanted_stages(session: &Session) -> Result<Option<Vec<Stage>>, Failure> {
    let project = match Project::open(&session.env, &session.dir) {
        Err(Failure::NoConfig { .. }) => return Ok(None),
        other => other?,
    };
    let named = project.config.hooks.iter().filter(|(_, names)| !names.is_empty());
    Ok(Some(named.map(|(stage, _)| *stage).collect()))
}

/// Returns what `status` prints: each stage, its text, and whether its hook is active.
///
/// # Errors
/// tasks.toml is invalid, or a hook can't be read.
pub fn stage_statuses(session: &Session) -> Result<Vec<(Stage, String, bool)>, Failure> {
    let repository = session.repository()?;
    let (_, rows) = RepositoryHooks::new(session, &repository).stage_statuses()?;
    Ok(rows.into_iter().map(|row| (row.stage, format!("{}{}", row.state, row.note), row.in_force)).collect())
}

/// Returns a message if git does not call our hook for a stage at which tasks.toml names one of `names`. That none is
/// installed is only said in a terminal: a script may not want one, but nobody wants one that was replaced.
///
/// # Errors
/// A hook can't be read.
pub fn missing_hook(
    session: &Session,
    project: &Project,
    names: &[String],
) -> Result<Option<String>, Failure> {
    let hooks = project.config.hooks.iter();
    let mut stages = hooks.filter(|(_, named)| named.iter().any(|name| names.contains(name))).peekable();
    let Some(repository) = project.repository.as_ref().filter(|_| stages.peek().is_some()) else {
        return Ok(None);
    };
    let hooks = RepositoryHooks::new(session, repository);
    let mut missing = Vec::new();
    for (stage, _) in stages {
        if !hooks.is_in_force(*stage)? && (hooks.is_replaced(*stage) || session.env.terminal().stderr) {
            missing.push(*stage);
        }
    }
    let names: Vec<&str> = missing.iter().map(|stage| stage.name()).collect();
    let advice: Vec<String> = missing.iter().filter_map(|stage| hooks.advice(*stage)).collect();
    // What is installed in the repository's own folder would have no effect.
    let advice = if advice.is_empty() { "run xtask hooks install".to_owned() } else { advice.join("; ") };
    let text = || format!("git does not call taskgate at {}; {advice}", names.join(", "));
    Ok((!missing.is_empty()).then(text))
}

/// The hooks of a repository.
struct RepositoryHooks<'a> {
    session: &'a Session,
    repository: &'a Repository,
    dir: HooksDir,
    shim: Shim,
}

impl<'a> RepositoryHooks<'a> {
    fn new(session: &'a Session, repository: &'a Repository) -> Self {
        let shim = Shim::new(session.env.program_path());
        Self { session, dir: repository.hooks_dir(), shim, repository }
    }

    fn install(&self) -> Result<End, Failure> {
        let wanted = wanted_stages(self.session)?.unwrap_or_default();
        if wanted.is_empty() {
            return Err(Failure::NoHooks);
        }
        if self.dir.is_custom {
            return self.print_call_lines(&wanted);
        }
        let managers = self.managers();
        let found = survey(&self.dir.path, &self.shim, &managers)?;
        let end = self.apply(&change::install(&found, &wanted))?;
        if end == End::Passed
            && wanted.iter().any(|stage| stage.name() == "pre-push")
            && !self.is_committed()?
        {
            self.session.eprint(&format!("next: {COMMIT}\n"));
        }
        for manager in &managers {
            let missing = wanted.iter().filter(|stage| !manager.calls(**stage, |path| self.read(path)));
            let additions: Vec<_> = missing.map(|stage| manager.addition(*stage)).collect();
            let Some(first) = additions.first() else { continue };
            let texts: String = additions.iter().map(|addition| indented(&addition.text)).collect();
            let word = self.session.paint_err().tone(Tone::Odd, "warning:");
            let name = manager.name();
            self.session.eprint(&format!(
                "{word} {name} replaces git's hooks, and taskgate's with them, when it is installed; add to {}:\n{texts}",
                first.file
            ));
        }
        Ok(end)
    }

    /// Returns the hook managers that the repository uses besides ours.
    fn managers(&self) -> Vec<Manager> {
        managers::detect(|path| self.read(path), |path| self.repository.work_dir().join(path).is_dir())
    }

    /// Returns the text of a file of the work tree, if it can be read.
    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.repository.work_dir().join(path)).ok()
    }

    /// Returns whether git calls our hook for a stage.
    fn is_in_force(&self, stage: Stage) -> Result<bool, Failure> {
        if self.dir.is_custom {
            return Ok(self.bypass(stage).is_none());
        }
        let hook = |managers: &[Manager]| survey_stage(&self.dir.path, stage, &self.shim, managers);
        // Nearly always it is ours; the managers are only looked for otherwise.
        match hook(&[])?.hook {
            Hook::Ours | Hook::Stale | Hook::Calling => Ok(true),
            Hook::Absent => Ok(false),
            Hook::Foreign => Ok(hook(&self.managers())?.hook == Hook::Calling),
        }
    }

    /// Returns whether git calls another hook, or looks for it in another folder.
    fn is_replaced(&self, stage: Stage) -> bool {
        self.dir.is_custom || hook_path(&self.dir.path, stage).exists()
    }

    fn uninstall(&self) -> Result<End, Failure> {
        // `core.hooksPath` may have been set after ours were installed in the repository's own folder.
        let own = self.repository.common_dir().join("hooks");
        let found = survey(&own, &self.shim, &self.managers())?;
        let changes = change::uninstall(&found);
        let mut calling = found.iter().filter(|found| found.hook == Hook::Calling).peekable();
        if changes.is_empty() && calling.peek().is_none() {
            self.session.print("no hook of taskgate is installed\n")?;
        }
        for found in calling {
            let text = "another hook manager calls it: remove the entry from its configuration";
            self.session.print(&format!("{}: {text}\n", found.stage))?;
        }
        self.apply_in(&own, &changes)
    }

    /// Returns whether the last commit has a tasks.toml, if there is one at the top.
    fn is_committed(&self) -> Result<bool, Failure> {
        let path = RepoPath::top().child(FILE.as_bytes());
        if !path.under(self.repository.work_dir()).exists() {
            return Ok(true);
        }
        let Some(head) = self.repository.head_commit()? else { return Ok(false) };
        Ok(self.repository.read_file(&head.tree, &path)?.is_some())
    }

    fn apply(&self, changes: &[HookChange]) -> Result<End, Failure> {
        self.apply_in(&self.dir.path, changes)
    }

    fn apply_in(&self, dir: &Path, changes: &[HookChange]) -> Result<End, Failure> {
        let mut end = End::Passed;
        for change in changes {
            folder::apply(dir, change, &self.shim)?;
            let kept = self.display_path(&kept_path(dir, change.stage));
            let (tone, what) = match change.action {
                HookAction::Nothing => (Tone::Faint, "installed already".to_owned()),
                HookAction::Write => (Tone::Good, "installed".to_owned()),
                HookAction::KeepAndWrite => {
                    (Tone::Good, format!("installed; the existing hook runs first, as {kept}"))
                }
                HookAction::Remove => (Tone::Good, "removed".to_owned()),
                HookAction::Restore => (Tone::Good, "removed; the earlier hook is restored".to_owned()),
                HookAction::Conflict => {
                    end = End::Failed;
                    let text = format!(
                        "not installed: another hook replaced taskgate's, and {kept} exists already; merge the two, and remove {kept}"
                    );
                    (Tone::Bad, text)
                }
            };
            let paint = self.session.paint_out();
            self.session.print(&format!("{}: {}\n", change.stage, paint.tone(tone, &what)))?;
        }
        Ok(end)
    }

    /// Prints the lines to add by hand in a hooks folder that is not ours to write to.
    fn print_call_lines(&self, wanted: &[Stage]) -> Result<End, Failure> {
        let missing = wanted.iter().filter_map(|stage| Some((*stage, self.bypass(*stage)?)));
        let missing: Vec<(Stage, Bypass)> = missing.collect();
        if missing.is_empty() {
            let dir = self.display_path(&self.dir.path);
            self.session.print(&format!("core.hooksPath is {dir}, and its hooks call xtask already\n"))?;
            return Ok(End::Passed);
        }
        self.session.eprint(&format!(
            "error: core.hooksPath is {}, which taskgate does not change\n",
            self.display_path(&self.dir.path)
        ));
        for (stage, bypass) in missing {
            let place = bypass.place(|path| self.display_path(path));
            self.session.print(&match bypass {
                Bypass::NoCall { .. } => format!("{place}:\n    {}\n", call_line(stage)),
                Bypass::NotExecutable(_) | Bypass::NoHuskyFile(_) => format!("{place}\n"),
            })?;
        }
        Ok(End::Failed)
    }

    /// Returns why git does not reach our hook from a foreign folder.
    fn bypass(&self, stage: Stage) -> Option<Bypass> {
        foreign::bypass(&self.dir.path, stage).filter(|_| self.dir.is_custom)
    }

    /// Returns what to do in a foreign folder so that git reaches our hook.
    fn advice(&self, stage: Stage) -> Option<String> {
        Some(self.bypass(stage)?.advice(stage, |path| self.display_path(path)))
    }

    fn status(&self, as_json: bool) -> Result<End, Failure> {
        let (wanted, rows) = self.stage_statuses()?;
        let text = if as_json {
            let rows: Vec<_> = rows.iter().map(StageStatus::json).collect();
            format!("{}\n", json!({ "folder": self.dir.path.display().to_string(), "hooks": rows }))
        } else if rows.is_empty() {
            "tasks.toml has no tasks for a git hook, and no hook of taskgate is installed\n".to_owned()
        } else {
            let paint = self.session.paint_out();
            let row = |row: &StageStatus| {
                let tone = if row.in_force { Tone::Good } else { Tone::Bad };
                format!("{:<20} {}{}\n", row.stage.name(), paint.tone(tone, row.state), row.note)
            };
            rows.iter().map(row).collect()
        };
        self.session.print(&text)?;
        let all = rows.iter().filter(|row| wanted.contains(&row.stage)).all(|row| row.in_force);
        Ok(if all { End::Passed } else { End::Failed })
    }

    /// Returns the stages that are wanted, and the statuses of these and of all with a hook of ours.
    fn stage_statuses(&self) -> Result<(Vec<Stage>, Vec<StageStatus>), Failure> {
        let wanted = wanted_stages(self.session)?.unwrap_or_default();
        let found = survey(&self.repository.common_dir().join("hooks"), &self.shim, &self.managers())?;
        let rows = found.iter().filter_map(|found| self.stage_status(found, &wanted)).collect();
        Ok((wanted, rows))
    }

    /// Returns the status of a stage; `None` if tasks.toml does not name it and it has no hook of ours.
    fn stage_status(&self, found: &StageHooks, wanted: &[Stage]) -> Option<StageStatus> {
        let is_wanted = wanted.contains(&found.stage);
        let is_ours = matches!(found.hook, Hook::Ours | Hook::Stale | Hook::Calling);
        if !is_wanted && !is_ours {
            return None;
        }
        let elsewhere = self.display_path(&self.dir.path);
        let (state, in_force, note) = match found.hook {
            _ if self.dir.is_custom => match self.bypass(found.stage) {
                None => ("installed", true, format!(": {elsewhere} calls it")),
                Some(bypass) => {
                    let advice = bypass.advice(found.stage, |path| self.display_path(path));
                    let is_named = matches!(bypass, Bypass::NoCall { .. });
                    let named = is_named.then(|| format!("core.hooksPath is {elsewhere}; "));
                    ("bypassed", false, format!(": {}{advice}", named.unwrap_or_default()))
                }
            },
            Hook::Calling => ("installed", true, ": another hook manager calls it".to_owned()),
            Hook::Ours if !is_wanted => {
                ("installed", true, ", though tasks.toml names no tasks for it".to_owned())
            }
            Hook::Ours => ("installed", true, String::new()),
            Hook::Stale => ("stale", false, ": run xtask hooks install".to_owned()),
            Hook::Foreign | Hook::Absent => ("not installed", false, ": run xtask hooks install".to_owned()),
        };
        let kept = (is_ours && found.kept != KeptHook::Nothing).then(|| {
            let own = self.repository.common_dir().join("hooks");
            format!("; {} runs first", self.display_path(&kept_path(&own, found.stage)))
        });
        Some(StageStatus { stage: found.stage, state, in_force, note: note + &kept.unwrap_or_default() })
    }

    /// Returns a path relative to the work tree.
    fn display_path(&self, path: &Path) -> String {
        path.strip_prefix(self.repository.work_dir()).unwrap_or(path).display().to_string()
    }
}

/// The status of one stage.
struct StageStatus {
    stage: Stage,
    state: &'static str,
    in_force: bool,
    note: String,
}

impl StageStatus {
    fn json(&self) -> serde_json::Value {
        let note = self.note.trim_start_matches([':', ',', ';', ' ']);
        json!({ "stage": self.stage.name(), "state": self.state, "active": self.in_force, "note": note })
    }
}

/// Returns lines with four spaces before each.
fn indented(text: &str) -> String {
    format!("    {}\n", text.replace('\n', "\n    "))
}
