//! The answers of probes that earlier runs remembered: which are still true, and how new ones are stored.
//! What an answer depends on is decided in `probe_evidence`.
//!
//! A command is known by a digest of all that it was given: its line, folder and variables, the user, the
//! kernel since its last start, and the version of this program. Its answer is true while all paths that it
//! depends on are the same.

use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use open_trace::Trace;
use rayon::prelude::*;
use tempfile::TempDir;

use crate::base::clock::Timestamp;
use crate::base::digest::{Digest, FieldHasher};
use crate::base::file::{self, FileError};
use crate::base::stat::{Moment, Stat};
use crate::base::units;
use crate::engine::prepare::probe_command::{ProbeCommand, ProbeContext};
use crate::engine::prepare::probe_evidence::{self, NotRemembered};
use crate::engine::run::emitter::write_warning;
use crate::history::probe_answers::{self, Known, KnownPath, ProbeAnswers, Record};
use crate::plan::CachePolicy;

/// As often as this, a probe is traced that could not be remembered. Then it runs as it is for a while.
const MAX_TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the answer of a probe is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeOrigin {
    /// It was remembered, and nothing that it depends on has changed.
    Remembered {
        /// When the probe ran.
        at: Timestamp,
    },
    /// The probe ran.
    Ran {
        /// Why.
        cause: RunCause,
        /// Whether the next run can use the answer.
        is_remembered: bool,
        /// Why it can't, if that was tried.
        not_remembered: Option<NotRemembered>,
    },
}

/// Why a probe runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunCause {
    /// `--force`
    Forced,
    /// `--no-cache`
    CacheOff,
    /// There is no state directory, or this system has no tracer.
    NoMemory,
    /// No answer to this command is remembered.
    Unknown,
    /// A path that the answer depends on changed.
    Changed(PathBuf),
    /// The answer could not be remembered so far; the reason of the last time.
    NotRemembered {
        /// The reason.
        reason: String,
        /// Whether it is tried again.
        again: bool,
    },
}

impl RunCause {
    /// Returns whether it is tried to remember the answer.
    pub(super) fn may_be_remembered(&self) -> bool {
        !matches!(self, Self::CacheOff | Self::NoMemory | Self::NotRemembered { again: false, .. })
    }
}

impl ProbeOrigin {
    /// Returns when the answer was taken, if it was remembered.
    pub fn remembered_at(&self) -> Option<Timestamp> {
        match self {
            Self::Remembered { at } => Some(*at),
            Self::Ran { .. } => None,
        }
    }

    /// Returns where the answer is from, as people read it.
    pub fn describe(&self, now: Timestamp) -> String {
        match self {
            Self::Remembered { at } => format!("remembered, {} old", units::duration(at.age(now))),
            ran @ Self::Ran { .. } => ran.to_string(),
        }
    }
}

impl fmt::Display for ProbeOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remembered { at } => write!(f, "remembered at {}", at.rfc3339()),
            Self::Ran { cause, not_remembered: None, .. } => write!(f, "ran: {cause}"),
            Self::Ran { not_remembered: Some(why), .. } => write!(f, "ran, and is not remembered: {why}"),
        }
    }
}

impl fmt::Display for RunCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forced => f.write_str("--force"),
            Self::CacheOff => f.write_str("--no-cache"),
            Self::NoMemory => f.write_str("answers can't be remembered here"),
            Self::Unknown => f.write_str("no answer was remembered"),
            Self::Changed(path) => write!(f, "{} changed", path.display()),
            Self::NotRemembered { reason, .. } => f.write_str(reason),
        }
    }
}

/// What is remembered of the commands of a run.
pub(super) struct ProbeMemory<'a> {
    context: ProbeContext<'a>,
    keys: Vec<Digest>,
    answers: ProbeAnswers,
    /// Why each command has to run, or `None` if its answer is still true.
    causes: Vec<Option<RunCause>>,
}

/// An answer that is still true.
pub(super) struct RememberedAnswer<'m, P> {
    pub(super) output: &'m str,
    pub(super) at: Timestamp,
    /// The paths that it depends on.
    pub(super) paths: P,
}

/// What an answer depends on, or why it is not remembered.
pub(super) type Evidence = Result<Vec<KnownPath>, NotRemembered>;

/// An answer to be remembered.
pub(super) struct NewAnswer {
    pub(super) output: String,
    pub(super) paths: Vec<KnownPath>,
}

impl<'a> ProbeMemory<'a> {
    /// Reads what is remembered of these commands, and looks at all paths that their answers depend on.
    pub(super) fn load(context: ProbeContext<'a>, commands: &[ProbeCommand<'_>]) -> Self {
        let can_trace = cfg!(target_os = "linux");
        let state = context.state.filter(|_| can_trace && context.policy != CachePolicy::Off);
        let Some(state) = state else {
            let is_off = context.policy == CachePolicy::Off;
            let cause = if is_off { RunCause::CacheOff } else { RunCause::NoMemory };
            let causes = vec![Some(cause); commands.len()];
            return Self { context, keys: Vec::new(), answers: ProbeAnswers::default(), causes };
        };
        let machine = machine();
        let keys: Vec<Digest> = commands.iter().map(|command| key(command, &machine)).collect();
        let answers = ProbeAnswers::load(state);
        let causes = match context.policy {
            CachePolicy::Force => vec![Some(RunCause::Forced); keys.len()],
            _ => causes(&answers, &keys, context.clock.now()),
        };
        Self { context, keys, answers, causes }
    }

    /// Returns the remembered answer to each command, or why the command has to run.
    pub(super) fn answers(
        &self,
    ) -> impl Iterator<Item = Result<RememberedAnswer<'_, impl Iterator<Item = &KnownPath>>, RunCause>> {
        self.causes.iter().enumerate().map(|(index, cause)| match cause {
            Some(cause) => Err(cause.clone()),
            None => match self.keys.get(index).and_then(|key| self.answers.get(key)) {
                Some(Record { at, known: Known::Answer { output, paths } }) => {
                    let paths = paths.iter().filter_map(|index| self.answers.path(*index));
                    Ok(RememberedAnswer { output, at: *at, paths })
                }
                _ => Err(RunCause::Unknown),
            },
        })
    }

    /// Prepares the recording of new answers. `None` if nothing can be remembered.
    pub(super) fn start_recording(&self) -> Option<Recording> {
        let state = self.context.state.filter(|_| !self.keys.is_empty())?;
        let folder = probe_answers::folder(state);
        file::make_dir(&folder).ok()?;
        remove_abandoned(&folder);
        let folder = tempfile::tempdir_in(folder).ok()?;
        // Before any probe starts: what has not settled by then may change unnoticed.
        let started = Moment::now(folder.path()).ok()?;
        Some(Recording { folder, started })
    }

    /// Stores new answers, and why others are not remembered. Returns a warning if they can't be stored.
    pub(super) fn store(
        &self,
        fresh: Vec<(&ProbeCommand<'_>, Result<NewAnswer, NotRemembered>)>,
        now: Timestamp,
    ) -> Option<String> {
        let state = self.context.state?;
        let machine = machine();
        // These reasons are gone in the next run.
        let is_passing =
            |why: &NotRemembered| matches!(why, NotRemembered::TooNew(_) | NotRemembered::Changed(_));
        let fresh = fresh.into_iter().filter(|(_, new)| !new.as_ref().is_err_and(is_passing));
        let record = |(command, new): (&ProbeCommand<'_>, Result<NewAnswer, NotRemembered>)| {
            let key = key(command, &machine);
            let known = match new {
                Ok(NewAnswer { output, paths }) => Known::Answer { output, paths },
                Err(why) => {
                    let tries = match self.answers.get(&key).map(|record| &record.known) {
                        Some(Known::Refused { tries, .. }) if *tries < MAX_TRIES => tries + 1,
                        _ => 1,
                    };
                    Known::Refused { reason: why.to_string(), tries }
                }
            };
            (key, Record { at: now, known })
        };
        let fresh: Vec<_> = fresh.map(record).collect();
        if fresh.is_empty() {
            return None;
        }
        ProbeAnswers::add(state, fresh).err().map(|error: FileError| write_warning(&error))
    }
}

/// Removes the folders of commands that were killed while they traced a probe.
fn remove_abandoned(folder: &Path) {
    const OLD: Duration = Duration::from_secs(60 * 60);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_old = |entry: &fs::DirEntry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_dir)?;
            Some(metadata.modified().ok()?.elapsed().ok()? > OLD)
        };
        if is_old(&entry) == Some(true) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Records what probes depend on while they run.
pub(super) struct Recording {
    /// The folder for the reports of the tracer.
    folder: TempDir,
    /// The time before the first probe started.
    started: Moment,
}

impl Recording {
    /// Returns the path for the report of a tool's probe.
    pub(super) fn report(&self, tool: &str) -> PathBuf {
        self.folder.path().join(Digest::hash(tool.as_bytes()).short())
    }

    /// Returns what the answer of a traced probe that has ended depends on.
    pub(super) fn evidence(&self, trace: &Trace) -> Evidence {
        let now: Vec<Result<Stat, i32>> =
            trace.lookups.iter().map(|lookup| look_at(lookup.path.as_path())).collect();
        probe_evidence::evidence(trace, &now, &self.started)
    }
}

/// Returns why each command has to run.
fn causes(answers: &ProbeAnswers, keys: &[Digest], now: Timestamp) -> Vec<Option<RunCause>> {
    let records = keys.iter().map(|key| answers.get(key));
    let mut indices: Vec<u32> = records
        .clone()
        .flatten()
        .filter_map(|record| match &record.known {
            Known::Answer { paths, .. } => Some(paths),
            Known::Refused { .. } => None,
        })
        .flatten()
        .copied()
        .collect();
    // Probes have most of their paths in common.
    indices.sort_unstable();
    indices.dedup();
    let changed: Vec<u32> = indices
        .into_par_iter()
        .with_min_len(128)
        .filter(|index| {
            let known = answers.path(*index);
            known.is_none_or(|known| !known.state.holds(&look_at(&known.path)))
        })
        .collect();
    records.map(|record| cause(record, answers, &changed, now)).collect()
}

/// Returns why a command has to run, given which paths have changed, sorted.
fn cause(
    record: Option<&Record<Vec<u32>>>,
    answers: &ProbeAnswers,
    changed: &[u32],
    now: Timestamp,
) -> Option<RunCause> {
    let Some(record) = record else { return Some(RunCause::Unknown) };
    match &record.known {
        Known::Answer { paths, .. } => {
            let first = paths.iter().find(|index| changed.binary_search(index).is_ok())?;
            let path = answers.path(*first).map(|known| known.path.clone()).unwrap_or_default();
            Some(RunCause::Changed(path))
        }
        Known::Refused { reason, tries } => {
            let again = *tries < MAX_TRIES || record.at.age(now) >= PAUSE;
            Some(RunCause::NotRemembered { reason: reason.clone(), again })
        }
    }
}

/// Returns what a path is, without following it if it is a symlink.
fn look_at(path: &Path) -> Result<Stat, i32> {
    fs::symlink_metadata(path)
        .map(|metadata| Stat::new(&metadata))
        .map_err(|error| error.raw_os_error().unwrap_or_default())
}

/// Returns a digest of what all probes on this machine depend on without a path: the kernel, since when it
/// runs, and the user.
fn machine() -> Digest {
    let mut fields = FieldHasher::new("taskgate machine of probes 1");
    fields.add(env!("CARGO_PKG_VERSION").as_bytes());
    let kernel = rustix::system::uname();
    for name in [kernel.sysname(), kernel.nodename(), kernel.release(), kernel.version(), kernel.machine()] {
        fields.add(name.to_bytes());
    }
    let start = file::read(Path::new("/proc/sys/kernel/random/boot_id")).ok().flatten();
    fields.add(&start.unwrap_or_default());
    fields.number(u64::from(rustix::process::geteuid().as_raw()));
    fields.number(u64::from(rustix::process::getegid().as_raw()));
    for group in rustix::process::getgroups().unwrap_or_default() {
        fields.number(u64::from(group.as_raw()));
    }
    fields.digest()
}

/// Returns the digest of a command and all that it is given.
fn key(command: &ProbeCommand<'_>, machine: &Digest) -> Digest {
    let mut fields = FieldHasher::new("taskgate probe");
    fields.add(machine.bytes());
    fields.add(command.dir.as_os_str().as_bytes());
    // The folder may be reached through a symlink.
    let real = command.dir.canonicalize().unwrap_or_default();
    fields.add(real.as_os_str().as_bytes());
    fields.add(command.program.as_os_str().as_bytes());
    fields.number(command.args.len() as u64);
    for arg in &command.args {
        fields.add(arg.as_bytes());
    }
    // The id of the run is another one each time.
    for (name, value) in command.env.iter().filter(|(name, _)| name != "XTASK_RUN") {
        fields.add(name.as_bytes()).add(value.as_bytes());
    }
    fields.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(env: &[(&str, &str)]) -> ProbeCommand<'static> {
        ProbeCommand {
            tool: "t",
            line: "t --version",
            program: "/bin/sh".into(),
            args: vec!["-c".into(), "t --version".into()],
            dir: "/".into(),
            env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }

    #[test]
    fn all_that_a_probe_is_given_is_part_of_its_key() {
        let machine = machine();
        let of = |command: &ProbeCommand<'_>| key(command, &machine);
        let base = command(&[("A", "1"), ("XTASK_RUN", "r1")]);
        assert_eq!(of(&base), of(&command(&[("A", "1"), ("XTASK_RUN", "r2")])));
        let other = || command(&[("A", "1")]);
        let cases = [
            command(&[("A", "2")]),
            command(&[]),
            ProbeCommand { dir: "/usr".into(), ..other() },
            ProbeCommand { program: "/bin/bash".into(), ..other() },
            ProbeCommand { args: vec!["-c".into(), "t -v".into()], ..other() },
        ];
        for case in cases {
            assert_ne!(of(&base), of(&case));
        }
        assert_ne!(of(&base), key(&base, &Digest::hash(b"another machine")));
    }

    #[test]
    fn probe_runs_again_if_a_path_changed_or_it_was_not_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let (file, missing) = (dir.path().join("file"), dir.path().join("missing"));
        fs::write(&file, "1").unwrap();
        let known = |path: &Path| KnownPath {
            path: path.to_owned(),
            state: match look_at(path) {
                Ok(stat) => probe_answers::PathState::Content(stat),
                Err(error) => probe_answers::PathState::Missing(error),
            },
        };
        let answer = |paths| Known::Answer { output: "1".to_owned(), paths };
        let refused = |tries| Known::Refused { reason: "it".to_owned(), tries };
        let keys: Vec<Digest> = (0..5_u64).map(|n| Digest::hash(&n.to_le_bytes())).collect();
        let known = [answer(vec![known(&file)]), answer(vec![known(&missing)]), refused(2), refused(3)];
        let fresh = keys.iter().copied().zip(known.map(|known| Record { at: Timestamp(1), known }));
        ProbeAnswers::add(dir.path(), fresh.collect()).unwrap();
        let answers = ProbeAnswers::load(dir.path());
        let again = |again| Some(RunCause::NotRemembered { reason: "it".to_owned(), again });
        let now = Timestamp(2);
        assert_eq!(
            causes(&answers, &keys, now),
            [None, None, again(true), again(false), Some(RunCause::Unknown)]
        );
        fs::write(&file, "22").unwrap();
        fs::write(&missing, "").unwrap();
        let tomorrow = Timestamp(1 + 24 * 60 * 60 * 1000);
        assert_eq!(
            causes(&answers, &keys, tomorrow),
            [
                Some(RunCause::Changed(file)),
                Some(RunCause::Changed(missing)),
                again(true),
                again(true),
                Some(RunCause::Unknown)
            ]
        );
    }
}
