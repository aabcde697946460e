//! Finds tasks of a gated run that open tracked files of the user's work tree instead of files of the gated
//! tree. It must not run tasks.
//!
//! There are two ways to detect that. The kernel reports each open of a watched file, at no cost for programs
//! that open other files, but not which program it was. A tracer knows the program, but slows a task down,
//! and some tasks fail under a tracer: debuggers, leak sanitizers, setuid programs.
//!
//! If the tracked files of the work tree equal those of the gated tree, reading them does no harm yet. Then a
//! task first runs without a tracer. If no program opened one of the files meanwhile, the task opened none;
//! otherwise it runs again under the tracer. If the files differ, the first run is traced already, since a
//! second run could be too late: a tool's cache may contain by then what the first one read. A task that
//! fails, perhaps because of the tracer, runs again without it, and that result counts if no file was opened
//! meanwhile. If one was opened, perhaps by an editor, it is unknown by which program: the result counts but
//! is not stored.
//!
//! A task may leave files in its private worktree that it made from files of the user's work tree. The next
//! gate would read them without noticing their origin, so that worktree is not used again.

pub mod attempts;

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use open_trace::{DoubtKind, Trace};

use crate::base::path::RepoPath;
use crate::event::OpenedFile;
use crate::git::snapshot::Snapshot;
use crate::git::{GitError, Repository, WorkTreeReader};
use crate::process::secret_mask::Mask;
use crate::watch::opens::OpenWatch;

/// Files that git opens in a work tree at each `git status`.
const OPENED_BY_GIT: &[&[u8]] = &[b".gitignore", b".gitattributes", b".gitmodules"];
/// The folder in which Python stores compiled sources, which it reads instead of them.
const PYTHON_CACHE: &[u8] = b"__pycache__";
/// How many tracked files are tried until one can be opened to test whether opens are reported.
const MAX_TRIED: usize = 100;
/// How many files a message names.
const MAX_NAMED: usize = 3;

/// The tracked files of the user's work tree, and which of them were opened.
#[derive(Debug)]
pub struct WorkTreeAccess {
    /// The top of the work tree, without symlinks.
    root: PathBuf,
    tracked: HashSet<RepoPath>,
    reader: WorkTreeReader,
    /// The watch; `None` if the system can't watch.
    watch: Option<OpenWatch>,
    state: Mutex<AccessState>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Default)]
struct AccessState {
    /// The files that were opened so far, in order.
    opened: Vec<RepoPath>,
    /// Whether tracked files differ from those of the gated tree.
    differs: bool,
    /// Whether other programs open tracked files too, so that the watch alone does not show what a task
    /// opens.
    others_are_busy: bool,
    /// Whether the system does not permit tracing.
    is_untraceable: bool,
    /// Whether a task may have derived something from files of the work tree.
    is_tainted: bool,
    /// Whether the user was warned that opens can't be noticed.
    has_reported: bool,
}

/// A position in the list of opened files.
#[derive(Clone, Copy, Debug)]
pub struct WatchPosition(usize);

/// How an attempt is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttemptMode {
    /// Without a tracer.
    Plain,
    /// Under the tracer.
    Traced,
}

/// What is known about an attempt that has ended.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// How it was run.
    pub mode: AttemptMode,
    /// Whether it passed.
    pub passed: bool,
    /// The files of the work tree that any program opened meanwhile; `None` if that can't be watched.
    pub opened: Option<&'a BTreeSet<RepoPath>>,
    /// The result of its trace, if there is one.
    pub trace: Option<&'a TraceResult>,
    /// Whether a trace is useless: the task fails under it, or tracing is not possible.
    pub is_untraceable: bool,
    /// Whether it used services, which are not traced.
    pub uses_services: bool,
}

/// The result of a trace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TraceResult {
    /// The tracked files of the work tree that were opened.
    pub files: Vec<OpenedFile>,
    /// Why it may be incomplete; `None` if it is complete.
    pub doubt: Option<DoubtKind>,
}

/// The verdict on an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessVerdict {
    /// Its own result counts.
    Accepted,
    /// The attempt has to be repeated, in this mode.
    Repeat(AttemptMode),
    /// The task opened these files.
    Opened(Vec<OpenedFile>),
    /// Its own result counts, but it is unknown whether the task opened files.
    Unsure(Uncertainty),
}

/// Why it is unknown who opened a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Uncertainty {
    /// The system can neither watch nor trace.
    Unobservable,
    /// The trace may be incomplete.
    Doubt(DoubtKind),
    /// The task fails under the tracer, or can't be traced.
    Untraceable,
    /// A service may have opened it.
    Service,
}

/// Returns the verdict on an attempt.
pub fn judge(attempt: &Attempt<'_>) -> AccessVerdict {
    let is_quiet = attempt.opened.is_some_and(BTreeSet::is_empty);
    let unknown = |why| match attempt.opened {
        Some(_) => AccessVerdict::Unsure(why),
        None => AccessVerdict::Unsure(Uncertainty::Unobservable),
    };
    match (attempt.mode, attempt.trace) {
        (AttemptMode::Traced, Some(found)) if !found.files.is_empty() => {
            AccessVerdict::Opened(found.files.clone())
        }
        // It may have failed only because of the tracer. A trace that may have disturbed its task has a
        // doubt.
        (AttemptMode::Traced, None | Some(TraceResult { doubt: Some(_), .. })) if !attempt.passed => {
            AccessVerdict::Repeat(AttemptMode::Plain)
        }
        _ if !attempt.passed => AccessVerdict::Accepted,
        _ if is_quiet => AccessVerdict::Accepted,
        (AttemptMode::Plain, _) if attempt.is_untraceable => unknown(Uncertainty::Untraceable),
        (AttemptMode::Plain, _) => AccessVerdict::Repeat(AttemptMode::Traced),
        (AttemptMode::Traced, Some(TraceResult { doubt: None, .. })) if attempt.uses_services => {
            unknown(Uncertainty::Service)
        }
        (AttemptMode::Traced, Some(TraceResult { doubt: None, .. })) => AccessVerdict::Accepted,
        (AttemptMode::Traced, Some(TraceResult { doubt: Some(why), .. })) => {
            unknown(Uncertainty::Doubt(why.clone()))
        }
        (AttemptMode::Traced, None) => unknown(Uncertainty::Doubt(DoubtKind::Unreported)),
    }
}

impl WorkTreeAccess {
    /// Watches the work tree of `repository`, whose state is in `state`.
    ///
    /// # Errors
    /// The index can't be read.
    pub fn start(repository: &Repository, state: &Path) -> Result<Self, GitError> {
        let root = repository.work_dir();
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let tracked = repository.tracked_files()?;
        let mut folders: HashSet<RepoPath> = tracked.iter().filter_map(RepoPath::parent).collect();
        let sources = tracked.iter().filter(|path| path.bytes().ends_with(b".py"));
        let caches: HashSet<RepoPath> =
            sources.filter_map(|path| Some(path.parent()?.child(PYTHON_CACHE))).collect();
        folders.extend(caches);
        let watch = OpenWatch::start(&root, folders.iter()).ok();
        let watch = watch.filter(|watch| reports_opens(watch, &root, &tracked));
        Ok(Self {
            root,
            tracked: tracked.into_iter().collect(),
            reader: WorkTreeReader::open(repository, Some(state))?,
            watch,
            state: Mutex::default(),
        })
    }

    /// Starts a run of the gated tree: records whether the work tree differs from it.
    pub fn begin(&self, tree: Option<&Snapshot>) {
        let differs = match (tree, self.reader.snapshot()) {
            (Some(tree), Ok(here)) => here.entries().iter().filter(|entry| entry.tracked).any(|entry| {
                tree.get(&entry.path).is_none_or(|other| (other.mode, other.id) != (entry.mode, entry.id))
            }),
            _ => true,
        };
        self.state().differs = differs;
    }

    /// Returns the tracked file that is read when `path` is opened: `path` itself, or the Python source from
    /// which it was compiled. Returns `None` if that file is not tracked, or if git itself opens it.
    fn tracked_source(&self, path: &RepoPath) -> Option<RepoPath> {
        let path = source_of(path).unwrap_or_else(|| path.clone());
        let name = path.parts().last().unwrap_or_default();
        (self.tracked.contains(&path) && !OPENED_BY_GIT.contains(&name)).then_some(path)
    }

    /// Returns the top of the work tree, without symlinks.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the mode of a task's first attempt.
    pub fn first_mode(&self) -> AttemptMode {
        let state = self.state();
        let is_wanted = self.watch.is_none() || state.differs || state.others_are_busy;
        if is_wanted && !state.is_untraceable { AttemptMode::Traced } else { AttemptMode::Plain }
    }

    /// Returns the current position in the list of opened files.
    pub fn position(&self) -> WatchPosition {
        let mut state = self.state();
        self.update_opened(&mut state);
        WatchPosition(state.opened.len())
    }

    /// Returns the files that were opened since a position; `None` if that can't be watched.
    pub fn opened_since(&self, mark: WatchPosition) -> Option<BTreeSet<RepoPath>> {
        self.watch.as_ref()?;
        let mut state = self.state();
        self.update_opened(&mut state);
        Some(state.opened[mark.0..].iter().cloned().collect())
    }

    fn update_opened(&self, state: &mut AccessState) {
        let Some(watch) = &self.watch else { return };
        let opened = watch.take();
        state.opened.extend(opened.files.iter().filter_map(|path| self.tracked_source(path)));
        if opened.is_partial {
            // Opens were missed, so any file may have been opened.
            state.opened.push(RepoPath::top());
        }
    }

    /// Returns the tracked files that a trace contains. `gated_root` is the top of the gated tree.
    pub fn opened_files(&self, trace: &Trace, gated_root: &Path, mask: &Mask) -> TraceResult {
        let doubt = trace.doubts.first().map(|doubt| doubt.kind.clone());
        if matches!(doubt, Some(DoubtKind::NotPermitted(_) | DoubtKind::Unavailable)) {
            self.state().is_untraceable = true;
        }
        let shown = |path: &Path| {
            let short = path.strip_prefix(gated_root).unwrap_or(path);
            mask.text(&short.display().to_string())
        };
        let files = trace.files.iter().filter_map(|seen| {
            let changed = seen.accesses.contains(&open_trace::Access::Written);
            if !changed
                && !seen
                    .accesses
                    .iter()
                    .any(|how| matches!(how, open_trace::Access::Read | open_trace::Access::Executed))
            {
                return None;
            }
            let path = self.tracked_source(&repo_path(seen.path.as_path().strip_prefix(&self.root).ok()?))?;
            let access = seen.first.as_ref();
            let program = access.and_then(|access| access.program.as_ref()?.as_path().file_name());
            let named = access.and_then(|access| access.named.as_ref());
            let named = named.filter(|named| named.as_path() != path.under(&self.root));
            Some(OpenedFile {
                path: mask.text(&path.to_string()),
                program: program.map(|name| mask.text(&name.to_string_lossy())),
                through: named.map(|named| shown(named.as_path())),
                changed,
            })
        });
        TraceResult { files: files.collect(), doubt }
    }

    /// Records whether other programs open tracked files now. If so, each later task is traced from its first
    /// attempt on.
    pub fn set_others_busy(&self, are_busy: bool) {
        self.state().others_are_busy = are_busy;
    }

    /// Records that a task may have derived something from files of the work tree. That matters only if they
    /// differ from the gated ones.
    pub fn taint(&self) {
        let mut state = self.state();
        state.is_tainted |= state.differs;
    }

    /// Returns whether a task may have derived something from files of the work tree that differ.
    pub fn is_tainted(&self) -> bool {
        self.state().is_tainted
    }

    /// Returns whether tracked files differ from those of the gated tree.
    pub fn differs(&self) -> bool {
        self.state().differs
    }

    /// Returns true at the first call, and false at all later ones.
    pub fn is_first_report(&self) -> bool {
        !std::mem::replace(&mut self.state().has_reported, true)
    }

    /// Returns whether the system does not permit tracing.
    pub fn is_untraceable(&self) -> bool {
        self.state().is_untraceable
    }

    /// Locks the state. Each change is a single step, so the data is consistent even if another thread
    /// panicked.
    fn state(&self) -> MutexGuard<'_, AccessState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the Python source from which a file was compiled; `None` if the file is not a compiled one.
fn source_of(path: &RepoPath) -> Option<RepoPath> {
    let cache = path.parent()?;
    let name = path.parts().last()?;
    let module = name.split(|byte| *byte == b'.').next()?;
    let is_cache = cache.parts().last() == Some(PYTHON_CACHE) && name.ends_with(b".pyc");
    is_cache.then(|| Some(cache.parent()?.child(&[module, b".py"].concat())))?
}

/// Returns whether the file system of the work tree reports opens. Some file systems don't.
fn reports_opens(watch: &OpenWatch, root: &Path, tracked: &[RepoPath]) -> bool {
    let is_file = |path: &&RepoPath| path.under(root).symlink_metadata().is_ok_and(|meta| meta.is_file());
    let mut files = tracked.iter().take(MAX_TRIED).filter(is_file);
    match files.find(|path| File::open(path.under(root)).is_ok()) {
        Some(file) => watch.take().files.contains(file),
        None => true,
    }
}

/// Returns a text with the first paths and the number of the others.
pub fn list_paths<'p>(paths: impl Iterator<Item = &'p RepoPath>) -> String {
    let names: Vec<String> =
        paths.map(|path| if path.is_top() { "some files".to_owned() } else { path.to_string() }).collect();
    crate::base::text::first_of(&names, MAX_NAMED)
}

/// Returns a path below the top, as git writes it.
fn repo_path(path: &Path) -> RepoPath {
    crate::engine::audit::findings::repo_path(path)
}

impl std::fmt::Display for Uncertainty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unobservable => f.write_str("this system can neither watch nor trace it"),
            Self::Doubt(why) => write!(f, "the trace may be incomplete: {why}"),
            Self::Untraceable => f.write_str("it can't run under a tracer"),
            Self::Service => f.write_str("it may have been a service that the task uses"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    fn found(files: usize, doubt: Option<DoubtKind>) -> TraceResult {
        let file = OpenedFile { path: "a".to_owned(), program: None, through: None, changed: false };
        TraceResult { files: vec![file; files], doubt }
    }

    #[test]
    fn compiled_python_file_counts_as_its_source() {
        for (text, source) in [
            ("a/__pycache__/b.cpython-312.pyc", Some("a/b.py")),
            ("__pycache__/b.cpython-312-pytest-8.3.pyc", Some("b.py")),
            ("a/__pycache__/b.cpython-312.pyc.1234", None),
            ("a/b.pyc", None),
            ("a/b.py", None),
        ] {
            assert_eq!(source_of(&path(text)), source.map(path), "{text}");
        }
    }

    #[test]
    fn failed_attempt_is_repeated_only_if_the_tracer_may_be_the_cause() {
        let none = BTreeSet::new();
        let plain = Attempt {
            mode: AttemptMode::Plain,
            passed: false,
            opened: Some(&none),
            trace: None,
            is_untraceable: false,
            uses_services: false,
        };
        assert_eq!(judge(&plain), AccessVerdict::Accepted);
        let (clean, doubtful) = (found(0, None), found(0, Some(DoubtKind::Tracer)));
        let traced = Attempt { mode: AttemptMode::Traced, trace: Some(&clean), ..plain };
        assert_eq!(judge(&traced), AccessVerdict::Accepted);
        let traced = Attempt { trace: Some(&doubtful), ..traced };
        assert_eq!(judge(&traced), AccessVerdict::Repeat(AttemptMode::Plain));
        assert_eq!(judge(&Attempt { trace: None, ..traced }), AccessVerdict::Repeat(AttemptMode::Plain));
    }

    #[test]
    fn passed_attempt_is_judged_by_the_opened_files() {
        let (none, some) = (BTreeSet::new(), BTreeSet::from([path("a")]));
        let (clean, guilty) = (found(0, None), found(1, None));
        let doubtful = found(0, Some(DoubtKind::IoUring));
        let unknown = |why| AccessVerdict::Unsure(why);
        let doubt = || unknown(Uncertainty::Doubt(DoubtKind::IoUring));
        for (way, opened, trace, is_untraceable, uses_services, expected) in [
            (AttemptMode::Plain, Some(&none), None, false, true, AccessVerdict::Accepted),
            (AttemptMode::Plain, Some(&some), None, false, false, AccessVerdict::Repeat(AttemptMode::Traced)),
            (AttemptMode::Plain, Some(&some), None, true, false, unknown(Uncertainty::Untraceable)),
            (AttemptMode::Plain, None, None, true, false, unknown(Uncertainty::Unobservable)),
            (
                AttemptMode::Traced,
                Some(&some),
                Some(&guilty),
                false,
                false,
                AccessVerdict::Opened(guilty.files.clone()),
            ),
            (AttemptMode::Traced, Some(&some), Some(&clean), false, false, AccessVerdict::Accepted),
            (AttemptMode::Traced, Some(&some), Some(&clean), false, true, unknown(Uncertainty::Service)),
            (AttemptMode::Traced, Some(&some), Some(&doubtful), false, false, doubt()),
            // The trace may be incomplete, but the watch shows that no program opened a file.
            (AttemptMode::Traced, Some(&none), Some(&doubtful), false, true, AccessVerdict::Accepted),
            (AttemptMode::Traced, None, Some(&doubtful), false, false, unknown(Uncertainty::Unobservable)),
            (AttemptMode::Traced, None, Some(&clean), false, false, AccessVerdict::Accepted),
            (
                AttemptMode::Traced,
                Some(&some),
                None,
                false,
                false,
                unknown(Uncertainty::Doubt(DoubtKind::Unreported)),
            ),
        ] {
            let attempt = Attempt { mode: way, passed: true, opened, trace, is_untraceable, uses_services };
            assert_eq!(judge(&attempt), expected, "{attempt:?}");
        }
    }

    #[test]
    fn opened_file_counts_even_if_the_task_failed() {
        let guilty = found(1, Some(DoubtKind::Tracer));
        let attempt = Attempt {
            mode: AttemptMode::Traced,
            passed: false,
            opened: None,
            trace: Some(&guilty),
            is_untraceable: false,
            uses_services: false,
        };
        assert_eq!(judge(&attempt), AccessVerdict::Opened(guilty.files.clone()));
    }
}
