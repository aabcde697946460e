//! What tasks.toml says about deploying: `[artifacts]`, `[deploy]` and `[environments]`. It must not know how
//! a release gets to a host.
//!
//! Texts may contain placeholders: `{{ slot }}`, `{{ host }}`, `{{ port }}`, `{{ release }}`, `{{ url }}`, `{{ path }}`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::path::RepoPath;
use crate::config::ids::{SourceLocation, TaskId};

/// `[artifacts.NAME]`: what a deploy takes from a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name.
    pub name: String,
    /// The task whose outputs it is, or which pushes the image.
    pub task: TaskId,
    /// What it is.
    pub content: ArtifactContent,
    /// Where it is defined.
    pub location: SourceLocation,
}

/// What an artifact is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArtifactContent {
    /// The declared outputs of the task, packed.
    Outputs,
    /// An OCI image of this name, without tag and digest. The task prints or writes its digest.
    Image(String),
}

/// `[deploy]`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeploySettings {
    /// Where packed artifacts are kept.
    pub store: StoreLocation,
    /// Where the history of an environment is kept.
    pub journal: JournalLocation,
    /// The branch whose tip says who may deploy what, where and when; `None`: the deployed revision says it.
    pub policy_branch: Option<String>,
}

/// Where packed artifacts are kept.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum StoreLocation {
    /// A folder in the state directory.
    #[default]
    StateDir,
    /// A folder on this machine, absolute or relative to the repository.
    Folder(String),
    /// A folder on another machine: `ssh://[user@]host[:port]/path`.
    Ssh {
        /// The destination as `ssh` takes it.
        destination: SshDestination,
        /// The absolute path of the folder.
        path: String,
    },
    /// A repository of an OCI registry: `oci://registry/repository`.
    Oci {
        /// The host of the registry, with its port if it has one.
        registry: String,
        /// The name of the repository.
        repository: String,
    },
}

/// Where the history of an environment is kept, besides the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalLocation {
    /// In a remote of the repository, by its name.
    Remote(String),
    /// In the repository at this URL.
    Url(String),
    /// In this repository only.
    Local,
}

impl Default for JournalLocation {
    fn default() -> Self {
        Self::Remote("origin".to_owned())
    }
}

/// A machine as `ssh` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SshDestination {
    /// `host` or `user@host`; the host may be an alias of the user's ssh configuration.
    pub host: String,
    /// The port, if it is not the one of the ssh configuration.
    pub port: Option<u16>,
}

/// How commands get to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Connection {
    /// This machine.
    Local,
    /// The system's `ssh`.
    Ssh(SshDestination),
}

/// `[environments.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// The tasks, groups and gates that must have passed for the tree.
    pub gate: Vec<String>,
    /// What may be deployed, where and when.
    pub policy: Policy,
    /// The variables of all processes.
    pub variables: Variables,
    /// The address of the environment. Smoke tasks get it as `URL` if the new slot has none of its own.
    pub url: Option<String>,
    /// The tasks that test the staged release. They get its address as `URL`, and `RELEASE`.
    pub smoke: Vec<TaskId>,
    /// How many succeeded releases stay whole on the target. At least 2.
    pub keep: NonZeroU32,
    /// How long one step may take on one host.
    pub timeout: Duration,
    /// After which time without a sign of life another deploy may take over.
    pub lease: Duration,
    /// How many hosts are worked on at once.
    pub max_parallel: NonZeroU32,
    /// The folder on each host that belongs to taskgate; it may contain `{{ host }}`. It is absolute, or relative to
    /// the repository if all hosts are this machine. Empty: a folder
    /// in the state directory of this machine, which is the only host.
    pub path: String,
    /// The kinds of processes. They are deployed in this order.
    pub roles: Vec<Role>,
    /// The changes of the database.
    pub migrations: Option<Migrations>,
    /// Where it is defined.
    pub location: SourceLocation,
}

impl Environment {
    /// Makes paths absolute that are relative to the repository, whose work tree is `root`.
    pub fn make_absolute(&mut self, root: &Path) {
        let make = |path: &mut String| {
            if !path.is_empty() && !path.starts_with('/') {
                *path = root.join(&*path).to_string_lossy().into_owned();
            }
        };
        make(&mut self.path);
        for traffic in self.roles.iter_mut().filter_map(|role| role.traffic.as_mut()) {
            match &mut traffic.router {
                Router::Haproxy { socket: path, .. } | Router::Nginx { include: path, .. } => make(path),
                Router::Command { .. } | Router::Driver => {}
            }
        }
    }
}

/// Who may deploy what to an environment, and when. It comes from the policy branch.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Patterns of branches that must contain the commit; with `tags` empty too: any commit.
    pub branches: Vec<String>,
    /// Patterns of tags that must point to the commit.
    pub tags: Vec<String>,
    /// The environment in which the same artifacts must have succeeded.
    pub promote_from: Option<String>,
    /// When a deploy may start and shift traffic; empty: always.
    pub windows: Vec<DeployWindow>,
    /// Who must approve a plan; `None`: nobody.
    pub approval: Option<Approval>,
}

/// A time of the week in which deploys are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployWindow {
    /// The days on which it starts, Monday first.
    pub days: [bool; 7],
    /// The minute of the day at which it starts.
    pub from: u16,
    /// The minute of the day at which it ends; it ends on the next day if it is not after `from`.
    pub to: u16,
    /// The IANA name of the time zone.
    pub zone: String,
}

/// Signed approvals of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// A file of the policy branch in the format of `ssh-keygen`'s allowed signers.
    pub signers: RepoPath,
    /// How many different people must approve.
    pub count: NonZeroU32,
    /// How long an approval is valid.
    pub expires: Duration,
}

/// Variables of processes on the target.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Variables {
    /// Variables with their values.
    pub env: BTreeMap<String, String>,
    /// Files of variables on the machine that deploys, relative to the repository; `?PATH` may be missing.
    /// Their values are secret.
    pub env_files: Vec<String>,
    /// Variables that are taken from the environment of the deploying process. Their values are secret.
    pub secret_env: Vec<String>,
}

/// A kind of process in an environment. It is kept with a release, so that a rollback can start it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name; that of an environment with one unnamed role is `app`.
    pub name: String,
    /// The artifacts that it needs, by their names in `[artifacts]`.
    pub artifacts: Vec<String>,
    /// Its machines.
    pub hosts: Vec<Host>,
    /// How its processes are started and stopped.
    pub runs: Runs,
    /// The ports of its two slots, if it listens on any.
    pub ports: Option<Ports>,
    /// Its variables, besides those of the environment.
    pub variables: Variables,
    /// How to know that it works, and which release answers.
    pub health_check: Option<HealthCheck>,
    /// How requests are moved from one slot to the other; `None`: the old one stops before the new one
    /// starts.
    pub traffic: Option<Traffic>,
    /// How long the old slot runs on after a successful deploy.
    pub standby: Duration,
}

/// A machine of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name in messages and `{{ host }}`; by default the host of the ssh destination, or `localhost`.
    pub name: String,
    /// How commands get there.
    pub connection: Connection,
    /// Its variables, besides those of the role.
    pub env: BTreeMap<String, String>,
}

/// How the processes of a role are started and stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Runs {
    /// By shell lines on the host.
    Lines {
        /// Starts the processes of a slot, and returns.
        start: String,
        /// Stops them, and returns when they have ended; `None`: derived from `systemctl start UNIT`.
        stop: Option<String>,
        /// Exits with 0 if they run; `None`: derived from `systemctl start UNIT`, else unknown.
        status: Option<String>,
    },
    /// By `docker compose` on the host.
    Compose {
        /// The compose file, in the deployed tree. Its text gets `SLOT`, `PORT` and `RELEASE` as variables.
        file: String,
        /// The services that have slots. All other services are shared by both slots.
        services: Vec<String>,
        /// The artifact that is the image of a service, by the name of the service.
        images: BTreeMap<String, String>,
    },
    /// By commands on this machine that get JSON and print JSON.
    External {
        /// Prints what runs.
        observe: String,
        /// Brings a release into a slot.
        stage: String,
        /// Prints the id of the release that answers in a slot.
        check: String,
        /// Sets the weights of the slots.
        shift: String,
        /// Removes old releases.
        cleanup: Option<String>,
    },
}

/// The ports of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Of the slot `blue`.
    pub blue: u16,
    /// Of the slot `green`.
    pub green: u16,
}

/// How to know that a release works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: HealthProbe,
    /// Where the answer contains the id of the release; `None`: it does not identify itself.
    pub release: Option<ReleaseSelector>,
    /// How long it may take until it succeeds.
    pub timeout: Duration,
    /// The time between two attempts.
    pub interval: Duration,
    /// Where the check is made.
    pub from: CheckFrom,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthProbe {
    /// A GET of this URL must be answered with a status below 400.
    Http(String),
    /// This shell line must exit with 0 on the host; its output is the answer.
    Command(String),
}

/// Where in an answer the id of the release is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseSelector {
    /// A JSON pointer into the body: `/release`.
    Pointer(String),
    /// The header of this name: `header:X-Release`.
    Header(String),
    /// The first group of this regular expression in the body: `pattern:release=(\S+)`.
    Pattern(String),
}

/// Where a health check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CheckFrom {
    /// On the machine that deploys.
    #[default]
    Here,
    /// On the host, with `curl`.
    Host,
}

/// How requests are moved from the old slot to the new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The shares of the new slot in percent, rising, the last 100.
    pub steps: Vec<u8>,
    /// How long each step but the last is measured.
    pub every: Duration,
    /// How long the new slot has all traffic before the deploy has succeeded.
    pub bake: Duration,
    /// What distributes the requests.
    pub router: Router,
    /// The machine of the router.
    pub on: Connection,
    /// How long requests of the old slot may take to end.
    pub drain: Duration,
    /// How the traffic is judged; `None`: not at all.
    pub analysis: Option<Analysis>,
    /// What the router does if the machine that deploys disappears.
    pub on_lost: OnLost,
}

/// What distributes requests over slots and hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Router {
    /// HAProxy, by its runtime socket.
    Haproxy {
        /// The path of the socket, absolute, or relative to the repository on this machine.
        socket: String,
        /// The backend. Its servers are named `ROLE-HOST-SLOT`, or as `server` says.
        backend: String,
        /// The name of a server, with placeholders.
        server: String,
        /// The path of its server-state file, which is written after each shift, so that a restarted HAProxy
        /// has the same weights.
        #[serde(default)]
        state_file: Option<String>,
    },
    /// nginx, by an include file.
    Nginx {
        /// The path of the file that is written, absolute, or relative to the repository on this machine.
        include: String,
        /// The name of the upstream that the file defines.
        upstream: String,
        /// A URL through the proxy whose answer contains the id of the release, to read back what is served.
        url: Option<String>,
        /// Makes nginx read the file.
        reload: String,
    },
    /// Shell lines on the machine of the router.
    Command {
        /// Sets the weights, which are in `WEIGHT_BLUE` and `WEIGHT_GREEN`.
        shift: String,
        /// Prints `blue=N green=N`.
        read: String,
    },
    /// The driver itself, by its command `shift`.
    Driver,
}

/// What happens at the router if the machine that deploys disappears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnLost {
    /// The weights stay as they are.
    #[default]
    Hold,
    /// The weights of before the deploy come back.
    Revert,
}

/// How the traffic of the new slot is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// The share of failed requests that is still good, in percent.
    pub error_rate: Option<f64>,
    /// The 95th percentile of the time of a request that is still good.
    pub p95: Option<Duration>,
    /// The mean time of a request that is still good.
    pub mean: Option<Duration>,
    /// How many requests a measurement needs.
    pub min_requests: u64,
    /// Where the figures come from.
    pub source: AnalysisSource,
    /// What to do if nothing is known at the deadline.
    pub inconclusive: Inconclusive,
}

impl Eq for Analysis {}

/// Where the figures of an analysis come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnalysisSource {
    /// The counters of the router.
    Router,
    /// Prometheus. The queries may contain `{{ slot }}`, `{{ release }}` and `{{ window }}`.
    Prometheus {
        /// The URL of the server.
        url: String,
        /// The number of requests in the window.
        requests: String,
        /// The number of failed requests in the window.
        errors: Option<String>,
        /// The 95th percentile in seconds.
        p95: Option<String>,
    },
    /// A shell line that prints JSON: `{"requests": 100, "errors": 1, "p95": 0.2}`.
    Command(String),
}

/// What to do if an analysis knows nothing at its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Inconclusive {
    /// The old release gets all traffic again.
    #[default]
    Rollback,
    /// The deploy goes on.
    Continue,
}

/// `[environments.NAME.migrations]`: the changes of the database. The texts are shell lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrations {
    /// Where they run.
    pub run_on: RunOn,
    /// Prints a line for each migration that is pending, and changes nothing.
    pub pending: String,
    /// Makes the changes that the old release can live with.
    pub expand: String,
    /// Makes the changes that only the new release can live with.
    pub contract: Option<String>,
    /// Undoes `expand`.
    pub revert: Option<String>,
    /// Whether there is no way back, which needs an approval.
    pub irreversible: bool,
    /// How they are tried before the real database is touched.
    pub rehearsal: Option<Rehearsal>,
}

/// Where migrations run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RunOn {
    /// On the first host of the first role.
    #[default]
    FirstHost,
    /// On the machine that deploys.
    Here,
}

/// How migrations are tried before the real database is touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// The service of tasks.toml that is the scratch database.
    pub service: String,
    /// A shell line. With `load`, it prints the schema of the target; else it brings it into the scratch database.
    pub schema: String,
    /// A shell line that reads what `schema` prints and brings it into the scratch database.
    #[serde(default)]
    pub load: Option<String>,
    /// A shell line that starts the old release against the scratch database. It stays in the foreground until it
    /// is stopped, or it exits with 0 if the release works.
    pub start: Option<String>,
}
