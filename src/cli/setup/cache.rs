//! `xtask cache`: inspects and cleans the cache. It must not know what entries mean.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::base::text::count;
use crate::base::units;
use crate::cache::{Cache, Repair};
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::engine::sandbox;
use crate::git::{self, PoolFinder};
use crate::reporter::style::Tone;

/// Arguments of `cache`.
#[derive(Args, Debug, Clone)]
pub struct CacheArgs {
    /// What to do with it
    #[command(subcommand)]
    pub action: CacheAction,
}

/// What to do with the cache.
#[derive(Subcommand, Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheAction {
    /// Show how large the cache is
    Stats,
    /// Read the whole cache, and remove damaged entries
    Verify,
    /// Remove entries that were not used for longest until the cache fits, and leftovers of runs
    Gc,
    /// Remove the whole cache
    Clear,
}

/// The number of tasks that `stats` lists.
const LISTED: usize = 10;

/// Runs the action and prints the result.
///
/// # Errors
/// There is no repository, or the cache can't be read.
pub fn run(session: &Session, action: CacheAction) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let repository = project.repository()?;
    let state = repository.common_dir().join("xtask");
    let cache = Cache::open(&state, project.config.settings.cache_size, &session.clock);
    let root = project.config.worktree.root.as_deref();
    let finder = PoolFinder { state: &state, env: &session.env, root };
    match action {
        CacheAction::Stats => stats(session, &cache, &finder),
        CacheAction::Verify => verify(session, &cache),
        CacheAction::Gc => {
            let removed = finder.remove_unused()?;
            let sandboxes = sandbox::remove_unused(&finder)?;
            git::remove_stale_attribute_folders(&state)?;
            let report = cache.gc()?;
            let mut text = format!(
                "removed {}, {} and {}: {} freed, {} left\n",
                entries(report.entries),
                count(report.blobs, "blob"),
                count(report.temps, "leftover file"),
                units::size(report.freed),
                units::size(report.left),
            );
            if removed.worktrees > 0 {
                text = format!("{text}removed {}\n", count(removed.worktrees, "private worktree"));
            }
            if removed.pools > 0 {
                let what = count(removed.pools, "folder");
                text = format!("{text}removed {what} of private worktrees whose repository is gone\n");
            }
            if sandboxes > 0 {
                text = format!(
                    "{text}removed {} that killed runs left\n",
                    if sandboxes == 1 { "1 sandbox".to_owned() } else { format!("{sandboxes} sandboxes") }
                );
            }
            session.print(&text)?;
            Ok(End::Passed)
        }
        CacheAction::Clear => {
            let report = cache.clear()?;
            let blobs = count(report.blobs, "blob");
            let freed = units::size(report.freed);
            session.print(&format!("removed {} and {blobs}: {freed} freed\n", entries(report.entries)))?;
            Ok(End::Passed)
        }
    }
}

fn entries(number: usize) -> String {
    format!("{number} {}", if number == 1 { "entry" } else { "entries" })
}

fn stats(session: &Session, cache: &Cache, finder: &PoolFinder<'_>) -> Result<End, Failure> {
    let stats = cache.stats()?;
    let mut text = format!(
        "{} and {}: {} of {}\n",
        entries(stats.entries),
        count(stats.blobs, "blob"),
        units::size(stats.bytes),
        units::size(stats.cap),
    );
    if let (Some(oldest), Some(newest)) = (stats.oldest_use, stats.newest_use) {
        let now = session.clock.now();
        let ago = |age: Duration| units::duration(age);
        let (oldest, newest) = (ago(oldest.age(now)), ago(newest.age(now)));
        text = format!("{text}last used between {oldest} and {newest} ago\n");
    }
    for task in stats.tasks.iter().take(LISTED) {
        text = format!("{text}  {:>10}  {}, {}\n", units::size(task.bytes), task.task, entries(task.entries));
    }
    for pool in finder.existing() {
        let (worktrees, bytes) = pool.size();
        let what = count(worktrees, "private worktree");
        text = format!("{text}{what}: {} in {}\n", units::size(bytes), pool.path().display());
    }
    session.print(&text)?;
    Ok(End::Passed)
}

/// Removes damaged entries, so that their tasks run again; ends with 1 if there were any.
fn verify(session: &Session, cache: &Cache) -> Result<End, Failure> {
    let report = cache.verify(Repair::Remove)?;
    let paint = session.paint_out();
    let mut text = String::new();
    for damage in &report.damage {
        text = format!("{text}{} {}: {}\n", paint.tone(Tone::Bad, "damaged"), damage.file, damage.how);
    }
    let read = format!(
        "{}, {}, {}",
        entries(report.entries),
        count(report.blobs, "blob"),
        units::size(report.bytes)
    );
    text = if report.is_clean() {
        format!("{}: {read}\n", paint.tone(Tone::Good, "clean"))
    } else {
        let removed = count(report.removed, "file");
        format!("{text}read {read}; removed {removed}; their tasks will run again\n")
    };
    session.print(&text)?;
    Ok(if report.is_clean() { End::Passed } else { End::Failed })
}
