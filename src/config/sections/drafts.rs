//! Tasks, gates, services and the worktree as their tables say them, before it is known what names stand
//! for; and what becomes of each with the defaults of its file. It must not know how a table is read.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::config::diagnostic::Lines;
use crate::config::model::{
    Command, Gate, Place, Port, Probe, Ready, Service, ServiceId, Settings, Stopping, Task, TaskId, Worktree,
};
use crate::config::naming::{self, Called};
use crate::config::schema::keys;
use crate::config::sections::common_keys::{self, Scope, Shared};
use crate::config::sections::outputs::Outputs;
use crate::config::sections::reports::Reports;
use crate::config::sections::suppressions::Unplaced;
use crate::config::sections::variables::Declared;
use crate::config::source::Source;
use crate::config::syntax::document::Text;
use crate::quality::rules::Rules;

/// How long a service may take to be ready if it does not say so itself.
const READY: Duration = Duration::from_secs(30);

/// What a task needs and uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    pub(crate) needs: Vec<TaskId>,
    pub(crate) services: BTreeMap<String, ServiceId>,
    pub(crate) uses: Vec<ServiceId>,
}

/// What the tasks of a file share.
#[derive(Debug)]
pub(crate) struct Frame<'f, 'd> {
    pub(crate) defaults: &'f Shared<'d>,
    pub(crate) settings: &'f Settings,
    pub(crate) source: &'f Source<'f>,
    pub(crate) lines: &'f Lines<'f>,
}

/// A task as its table says it.
#[derive(Debug)]
pub(crate) struct Draft<'d> {
    /// The number of the file that defines it, and the file's project.
    pub(crate) file: usize,
    pub(crate) project: String,
    /// Its name within its project.
    pub(crate) name: Text<'d>,
    pub(crate) group: Option<Text<'d>>,
    /// The task that it was made of, if a matrix made it.
    pub(crate) variant_of: Option<String>,
    pub(crate) needs: Vec<Text<'d>>,
    /// Services whose port its texts name.
    pub(crate) ports: Vec<Text<'d>>,
    pub(crate) outputs: Outputs,
    /// What `reports` says, if it is there.
    pub(crate) reports: Option<Reports<'d>>,
    /// What it demands, if it is a gate.
    pub(crate) gate: Option<Box<GateDraft<'d>>>,
    pub(crate) shared: Shared<'d>,
    pub(crate) kind: Kind,
    pub(crate) description: Option<String>,
    pub(crate) run: Option<Command>,
    pub(crate) fix: Option<Command>,
    pub(crate) finally: Option<Command>,
    pub(crate) cwd: Option<RepoPath>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It has `run`, be it right or wrong.
    Runs,
    /// It is run for tasks.
    Service,
    /// It judges what tasks report.
    Gate,
    Aggregate,
}

/// What makes a draft a gate.
#[derive(Debug, Default)]
pub(crate) struct GateDraft<'d> {
    /// The names whose reports it reads; `None`: all of its project.
    pub(crate) of: Option<Vec<Text<'d>>>,
    pub(crate) rules: Rules,
    pub(crate) suppressions: Vec<Unplaced>,
    pub(crate) baseline: Option<RepoPath>,
    pub(crate) base: Option<String>,
    pub(crate) by_name: bool,
}

/// A service as its table says it.
pub(crate) struct ServiceDraft<'d> {
    /// Its command and what surrounds it.
    pub(crate) draft: Draft<'d>,
    pub(crate) port: Option<Port>,
    pub(crate) ready: Option<Probe>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stop: Stopping,
}

/// `[worktree]` as it was read, before it is known what tasks share.
#[derive(Debug, Default)]
pub(crate) struct WorktreeDraft<'d> {
    pub(crate) plain: Worktree,
    pub(crate) setup: Option<Draft<'d>>,
}

impl<'d> Draft<'d> {
    pub(crate) fn new(kind: Kind, name: Text<'d>, scope: &Scope<'_, 'd>) -> Self {
        let origin = (kind != Kind::Service).then(|| scope.variants.origin(name.text)).flatten();
        Self {
            kind,
            variant_of: origin.map(str::to_owned),
            file: scope.file,
            project: scope.project.to_owned(),
            name,
            group: None,
            needs: Vec::new(),
            ports: Vec::new(),
            outputs: Outputs::default(),
            reports: None,
            gate: None,
            shared: Shared::default(),
            description: None,
            run: None,
            fix: None,
            finally: None,
            cwd: None,
        }
    }

    /// Whether it is a task with a command of its own, and so takes services from the defaults.
    pub(crate) fn is_run(&self) -> bool {
        self.kind == Kind::Runs || (self.kind == Kind::Aggregate && self.fix.is_some())
    }

    /// All that it is called by.
    pub(crate) fn called(&self) -> Called<'_> {
        Called {
            own: self.name.text,
            project: &self.project,
            group: self.group.as_ref().map(|group| group.text),
            variant_of: self.variant_of.as_deref(),
        }
    }

    /// Its name with its project, as messages show it.
    pub(crate) fn shown(&self) -> String {
        keys::shown(&naming::joined(&self.project, self.name.text))
    }

    /// The systems it runs on; empty: all.
    pub(crate) fn systems<'s>(&'s self, defaults: &'s Shared<'_>) -> &'s [String] {
        self.shared.os.as_ref().or(defaults.os.as_ref()).map_or(&[], Vec::as_slice)
    }

    /// The task, with what it takes from the defaults and settings.
    pub(crate) fn finish(self, links: Links, frame: &Frame<'_, 'd>) -> Task {
        let Frame { defaults, settings, source, lines } = frame;
        let own = self.shared;
        let has_command = matches!(self.kind, Kind::Runs | Kind::Service);
        let Declared { env, pass, secret } = if has_command || self.fix.is_some() {
            own.variables.over(&defaults.variables)
        } else {
            Declared::default()
        };
        let shell = own.shell.or_else(|| defaults.shell.clone()).unwrap_or_else(|| settings.shell.clone());
        let (line, column) = lines.place(self.name.span.start);
        let gate = self.gate.map(|gate| Box::new(gate.finish(source.name, lines)));
        let mut task = Task {
            name: naming::joined(&self.project, self.name.text),
            description: self.description,
            group: self.group.map(|group| group.text.to_owned()),
            variant_of: self.variant_of.map(|origin| naming::joined(&self.project, &origin)),
            project: self.project,
            run: self.run,
            fix: self.fix,
            finally: self.finally,
            shell,
            cwd: self.cwd.unwrap_or_else(|| source.base.clone()),
            inputs: gate.as_ref().map_or_else(Patterns::default, |gate| inputs(gate)),
            outputs: self.outputs.patterns,
            needs: links.needs,
            services: links.services,
            uses: links.uses,
            env,
            pass_env: pass,
            secret_env: secret,
            env_files: own.env_files.or_else(|| defaults.env_files.clone()).unwrap_or_default(),
            file_env: BTreeMap::new(),
            missing_file: None,
            tools: Vec::new(),
            timeout: None,
            slow_after: None,
            retries: 0,
            locks: Vec::new(),
            slots: std::num::NonZeroU32::MIN,
            os: Vec::new(),
            cache: true,
            sandbox: false,
            reports: self.reports.map(|reports| reports.list).unwrap_or_default(),
            gate,
            place: Place { file: source.name.to_owned(), line, column },
        };
        if has_command {
            task.inputs = own.inputs.or_else(|| defaults.inputs.clone()).unwrap_or_else(Patterns::whole);
            task.tools = common_keys::once(defaults.tools.iter().chain(&own.tools).map(String::as_str));
            task.timeout = own.timeout.or(defaults.timeout);
            task.slow_after = own.slow_after.or(defaults.slow_after);
            task.retries = own.retries.or(defaults.retries).unwrap_or(0);
            task.locks = own.locks.or_else(|| defaults.locks.clone()).unwrap_or_default();
            task.slots = own.slots.or(defaults.slots).unwrap_or(task.slots);
            task.os = own.os.or_else(|| defaults.os.clone()).unwrap_or_default();
            task.cache = own.cache.or(defaults.cache).unwrap_or(true);
            task.sandbox = own.sandbox.or(defaults.sandbox).unwrap_or(false);
        }
        task
    }
}

impl GateDraft<'_> {
    /// The gate of this file.
    pub(crate) fn finish(self, file: &str, lines: &Lines<'_>) -> Gate {
        let suppressions = self.suppressions.into_iter().map(|one| {
            let (line, column) = lines.place(one.at);
            one.placed(&Place { file: file.to_owned(), line, column })
        });
        let rules = Rules { suppressions: suppressions.collect(), ..self.rules };
        Gate { rules, baseline: self.baseline, base: self.base, by_name: self.by_name }
    }
}

/// The files that a gate reads besides reports: what a finding is known by is what stands in its file.
pub(crate) fn inputs(gate: &Gate) -> Patterns {
    let compares = gate.rules.findings.is_some_and(|rule| rule.new.is_some());
    if compares { Patterns::whole() } else { Patterns::default() }
}

impl<'d> ServiceDraft<'d> {
    /// The service, with what it takes from the defaults and settings.
    pub(crate) fn finish(self, links: Links, frame: &Frame<'_, 'd>) -> Service {
        // A service that says where it listens is ready once something does.
        let own = format!("localhost:{{{{ services.{}.port }}}}", self.draft.name.text);
        let probe = self.ready.or_else(|| self.port.map(|_| Probe::Tcp(own)));
        let defaults: Shared<'d> = frame.defaults.for_services();
        let frame = Frame { defaults: &defaults, ..*frame };
        let inputs = self.draft.shared.inputs.clone();
        let mut task = self.draft.finish(links, &frame);
        task.inputs = inputs.unwrap_or_else(Patterns::whole);
        let ready = Ready { probe, timeout: self.timeout.unwrap_or(READY) };
        Service { task, port: self.port, ready, stop: self.stop }
    }
}

impl<'d> WorktreeDraft<'d> {
    /// With what all commands of the file share.
    pub(crate) fn finish(self, frame: &Frame<'_, 'd>) -> Worktree {
        // What it writes is to stay, so it has no use for a sandbox, whatever the defaults say.
        let setup = self
            .setup
            .map(|draft| Box::new(Task { sandbox: false, ..draft.finish(Links::default(), frame) }));
        Worktree { setup, ..self.plain }
    }
}
