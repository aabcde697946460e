//! Tasks, gates, services and the worktree as their tables say, before names are resolved; and what each
//! becomes with the defaults of its file. It must not know how a table is read.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::config::diagnostic::LineIndex;
use crate::config::model::{
    Command, CommandEnv, CommandVariables, Gate, Port, Probe, Ready, RunSpec, Service, ServiceId, Settings,
    Setup, SourceLocation, StopOptions, Task, TaskAction, TaskId, TimeLimits, Worktree,
};
use crate::config::naming::{self, TaskNames};
use crate::config::sections::common_keys::{self, CommonKeys, ParseContext};
use crate::config::sections::outputs::Outputs;
use crate::config::sections::reports::Reports;
use crate::config::sections::suppressions::SuppressionDraft;
use crate::config::source::SourceText;
use crate::config::syntax::document::Text;
use crate::config::wording;
use crate::quality::rules::Rules;

/// How long a service may take to be ready, by default.
const READY: Duration = Duration::from_secs(30);

/// What a task or service depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dependencies {
    pub(crate) needs: Vec<TaskId>,
    pub(crate) services: BTreeMap<String, ServiceId>,
    pub(crate) uses: Vec<ServiceId>,
}

/// What applies to all tasks of a file.
#[derive(Debug)]
pub(crate) struct FileDefaults<'f, 'd> {
    pub(crate) defaults: &'f CommonKeys<'d>,
    pub(crate) settings: &'f Settings,
    pub(crate) source: &'f SourceText<'f>,
    pub(crate) lines: &'f LineIndex<'f>,
}

/// A task, a gate or the command of a service, as its table says.
#[derive(Debug)]
pub(crate) struct TaskDraft<'d> {
    /// The number of its file, and the file's project.
    pub(crate) file: usize,
    pub(crate) project: String,
    /// Its name within its project.
    pub(crate) name: Text<'d>,
    pub(crate) group: Option<Text<'d>>,
    /// The task that it was made from, if a matrix made it.
    pub(crate) variant_of: Option<String>,
    pub(crate) needs: Vec<Text<'d>>,
    /// Placeholders for ports and folders of services in its texts.
    pub(crate) ports: Vec<Text<'d>>,
    pub(crate) outputs: Outputs,
    /// The value of `reports`.
    pub(crate) reports: Option<Reports<'d>>,
    /// What it requires, if it is a gate.
    pub(crate) gate: Option<Box<GateDraft<'d>>>,
    pub(crate) common: CommonKeys<'d>,
    pub(crate) kind: DraftKind,
    pub(crate) description: Option<String>,
    pub(crate) run: Option<Command>,
    pub(crate) fix: Option<Command>,
    pub(crate) finally: Option<Command>,
    pub(crate) cwd: Option<RepoPath>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DraftKind {
    /// It has `run` or `rust`, valid or not.
    Runs,
    /// It is a service.
    Service,
    /// It is a gate.
    Gate,
    Aggregate,
}

/// The keys that only a gate has.
#[derive(Debug, Default)]
pub(crate) struct GateDraft<'d> {
    /// The names whose reports it reads; `None`: all of its project.
    pub(crate) of: Option<Vec<Text<'d>>>,
    pub(crate) rules: Rules,
    pub(crate) suppressions: Vec<SuppressionDraft>,
    pub(crate) baseline: Option<RepoPath>,
    pub(crate) base: Option<String>,
    pub(crate) by_name: bool,
}

/// A service, as its table says.
pub(crate) struct ServiceDraft<'d> {
    /// Its command, with the keys that it shares with tasks.
    pub(crate) draft: TaskDraft<'d>,
    pub(crate) port: Option<Port>,
    pub(crate) ready: Option<Probe>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stop: StopOptions,
}

/// `[worktree]`, as its table says.
#[derive(Debug, Default)]
pub(crate) struct WorktreeDraft<'d> {
    pub(crate) plain: Worktree,
    pub(crate) setup: Option<TaskDraft<'d>>,
}

impl<'d> TaskDraft<'d> {
    pub(crate) fn new(kind: DraftKind, name: Text<'d>, context: &ParseContext<'_, 'd>) -> Self {
        let origin = (kind != DraftKind::Service).then(|| context.variants.origin(name.text)).flatten();
        Self {
            kind,
            variant_of: origin.map(str::to_owned),
            file: context.file,
            project: context.project.to_owned(),
            name,
            group: None,
            needs: Vec::new(),
            ports: Vec::new(),
            outputs: Outputs::default(),
            reports: None,
            gate: None,
            common: CommonKeys::default(),
            description: None,
            run: None,
            fix: None,
            finally: None,
            cwd: None,
        }
    }

    /// Returns whether it has a command of its own, so that services of the defaults apply.
    pub(crate) fn is_run(&self) -> bool {
        self.kind == DraftKind::Runs || (self.kind == DraftKind::Aggregate && self.fix.is_some())
    }

    /// Returns all names by which it can be referred to.
    pub(crate) fn called(&self) -> TaskNames<'_> {
        TaskNames {
            own: self.name.text,
            project: &self.project,
            group: self.group.as_ref().map(|group| group.text),
            variant_of: self.variant_of.as_deref(),
        }
    }

    /// Returns its qualified name, as messages show it.
    pub(crate) fn display_name(&self) -> String {
        wording::escape_name(&naming::qualified(&self.project, self.name.text))
    }

    /// Returns the systems that it runs on; empty: all.
    pub(crate) fn systems<'s>(&'s self, defaults: &'s CommonKeys<'_>) -> &'s [String] {
        self.common.os.as_ref().or(defaults.os.as_ref()).map_or(&[], Vec::as_slice)
    }

    /// Returns the place of its name.
    fn place(&self, file_defaults: &FileDefaults<'_, 'd>) -> SourceLocation {
        let (line, column) = file_defaults.lines.place(self.name.span.start);
        SourceLocation { file: file_defaults.source.name.to_owned(), line, column }
    }

    /// Returns what its commands run in, with the defaults and settings applied.
    fn env(
        &self,
        services: BTreeMap<String, ServiceId>,
        uses: Vec<ServiceId>,
        file_defaults: &FileDefaults<'_, 'd>,
    ) -> CommandEnv {
        let FileDefaults { defaults, settings, source, .. } = file_defaults;
        let own = &self.common;
        let has_command = matches!(self.kind, DraftKind::Runs | DraftKind::Service);
        let mut variables = if has_command || self.fix.is_some() {
            own.variables.over(&defaults.variables)
        } else {
            CommandVariables::default()
        };
        variables.files = own.env_files.as_ref().or(defaults.env_files.as_ref()).cloned().unwrap_or_default();
        CommandEnv {
            shell: own.shell.as_ref().or(defaults.shell.as_ref()).unwrap_or(&settings.shell).clone(),
            cwd: self.cwd.clone().unwrap_or_else(|| source.base.clone()),
            variables,
            services,
            uses,
        }
    }

    /// Returns the task with the defaults and settings applied.
    pub(crate) fn finish(self, dependencies: Dependencies, file_defaults: &FileDefaults<'_, 'd>) -> Task {
        let FileDefaults { defaults, source, lines, .. } = file_defaults;
        let Dependencies { needs, services, uses } = dependencies;
        let (place, env) = (self.place(file_defaults), self.env(services, uses, file_defaults));
        let own = self.common;
        let (mut inputs, mut tools) = (Patterns::default(), Vec::new());
        let action = if let Some(gate) = self.gate {
            let gate = gate.finish(source.name, lines);
            inputs = gate_inputs(&gate);
            TaskAction::Judge(Box::new(gate))
        } else if let Some(command) = self.run {
            inputs = own.inputs.or_else(|| defaults.inputs.clone()).unwrap_or_else(Patterns::everything);
            tools = common_keys::sorted_unique(defaults.tools.iter().chain(&own.tools).map(String::as_str));
            TaskAction::Run(Box::new(RunSpec {
                command,
                finally: self.finally,
                limits: TimeLimits {
                    timeout: own.timeout.or(defaults.timeout),
                    slow_after: own.slow_after.or(defaults.slow_after),
                },
                retries: own.retries.or(defaults.retries).unwrap_or(0),
                locks: own.locks.or_else(|| defaults.locks.clone()).unwrap_or_default(),
                slots: own.slots.or(defaults.slots).unwrap_or(NonZeroU32::MIN),
                os: own.os.or_else(|| defaults.os.clone()).unwrap_or_default(),
                cache: own.cache.or(defaults.cache).unwrap_or(true),
                sandbox: own.sandbox.or(defaults.sandbox).unwrap_or(false),
                reports: self.reports.map(|reports| reports.list).unwrap_or_default(),
            }))
        } else {
            TaskAction::None
        };
        Task {
            name: naming::qualified(&self.project, self.name.text),
            description: self.description,
            group: self.group.map(|group| group.text.to_owned()),
            variant_of: self.variant_of.map(|origin| naming::qualified(&self.project, &origin)),
            project: self.project,
            place,
            action,
            fix: self.fix,
            env,
            tools,
            needs,
            inputs,
            outputs: self.outputs.patterns,
        }
    }
}

impl GateDraft<'_> {
    /// Returns the gate.
    pub(crate) fn finish(self, file: &str, lines: &LineIndex<'_>) -> Gate {
        let suppressions = self.suppressions.into_iter().map(|one| {
            let (line, column) = lines.place(one.at);
            one.at_location(&SourceLocation { file: file.to_owned(), line, column })
        });
        let rules = Rules { suppressions: suppressions.collect(), ..self.rules };
        Gate { rules, baseline: self.baseline, base: self.base, by_name: self.by_name }
    }
}

/// Returns the files that a gate reads besides reports. New findings are distinguished from old ones by the lines of
/// their files.
fn gate_inputs(gate: &Gate) -> Patterns {
    let compares = gate.rules.findings.is_some_and(|rule| rule.new.is_some());
    if compares { Patterns::everything() } else { Patterns::default() }
}

impl<'d> ServiceDraft<'d> {
    /// Returns the service with the defaults and settings applied.
    pub(crate) fn finish(self, dependencies: Dependencies, file_defaults: &FileDefaults<'_, 'd>) -> Service {
        // A service with a port is ready once something listens there.
        let own = format!("localhost:{{{{ services.{}.port }}}}", self.draft.name.text);
        let probe = self.ready.or_else(|| self.port.map(|_| Probe::Tcp(own)));
        let defaults: CommonKeys<'d> = file_defaults.defaults.for_services();
        let file_defaults = FileDefaults { defaults: &defaults, ..*file_defaults };
        let Dependencies { needs, services, uses } = dependencies;
        let draft = self.draft;
        Service {
            name: naming::qualified(&draft.project, draft.name.text),
            place: draft.place(&file_defaults),
            env: draft.env(services, uses, &file_defaults),
            project: draft.project,
            description: draft.description,
            // Without a command, an error was found and nobody gets this service.
            command: draft.run.unwrap_or_else(|| Command::Shell(String::new())),
            inputs: draft.common.inputs.unwrap_or_else(Patterns::everything),
            tools: common_keys::sorted_unique(draft.common.tools.iter().map(String::as_str)),
            needs,
            port: self.port,
            ready: Ready { probe, timeout: self.timeout.unwrap_or(READY) },
            stop: self.stop,
        }
    }
}

impl<'d> WorktreeDraft<'d> {
    /// Returns the worktree with the defaults and settings applied.
    pub(crate) fn finish(self, file_defaults: &FileDefaults<'_, 'd>) -> Worktree {
        // The files that it writes must stay, so it never runs in a sandbox.
        let setup = self.setup.and_then(|draft| {
            let Task { place, action, env, tools, inputs, .. } =
                draft.finish(Dependencies::default(), file_defaults);
            let TaskAction::Run(run) = action else { return None };
            Some(Setup { place, run: RunSpec { sandbox: false, ..*run }, env, tools, inputs })
        });
        Worktree { setup, ..self.plain }
    }
}
