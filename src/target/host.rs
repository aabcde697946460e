//! Calls the program `host.sh` on a host. It must not know the steps of a deploy.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::config::deploy::Connection;
use crate::deploy::lease::{Lease, LeaseRequest, Order};
use crate::deploy::record::{Record, What};
use crate::deploy::release::{ArtifactDigest, Release, ReleaseId, Slot};
use crate::deploy::step::StepOutcome;
use crate::deploy::target::TargetError;
use crate::target::connection::{Call, ConnectionError, Connector, Reply};
use crate::target::variables::quote;

/// The program.
const PROGRAM: &str = include_str!("host.sh");
/// The exit status of an order that is too old.
const SUPERSEDED: i32 = 71;
/// The exit status of a request for a lease that another deploy has.
const HELD: i32 = 72;
/// How many digits of an artifact's digest name its folder.
const DIGITS: usize = 16;
/// How long a call may take that only reads or writes the state.
const SHORT: Duration = Duration::from_secs(60);

/// Why a host did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The host can't be reached, so nobody knows whether it was done.
    #[error("{host}: can't be reached: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// The error, one line.
        reason: String,
    },
    /// Another deploy has the lease.
    #[error("{} is deploying since {}", .0.holder, .0.granted.rfc3339())]
    Held(Box<Lease>),
    /// The order has an old token.
    #[error("another deploy has taken over")]
    Superseded {
        /// The deploy that has the lease now, if it is known.
        by: Option<String>,
    },
    /// The deploy was asked to stop meanwhile.
    #[error("{host}: stopped")]
    Interrupted {
        /// The host.
        host: String,
    },
    /// It failed.
    #[error("{host}: {reason}")]
    Failed {
        /// The host.
        host: String,
        /// The error, one line.
        reason: String,
    },
}

impl From<HostError> for TargetError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Unreachable { host, reason } => Self::Unreachable { host, reason },
            HostError::Held(lease) => Self::Held(lease),
            HostError::Superseded { by } => Self::Superseded { by },
            HostError::Interrupted { host } => Self::Failed { host, reason: "stopped".to_owned() },
            HostError::Failed { host, reason } => Self::Failed { host, reason },
        }
    }
}

impl From<HostError> for StepOutcome {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Unreachable { host, reason } => Self::Unreachable { host, reason },
            HostError::Held(lease) => Self::Superseded { by: Some(lease.deploy) },
            HostError::Superseded { by } => Self::Superseded { by },
            HostError::Interrupted { .. } => Self::Interrupted,
            HostError::Failed { .. } => Self::Failed { reason: error.to_string() },
        }
    }
}

/// How long a call may take, and whether it is to be stopped.
#[derive(Clone, Copy)]
pub struct CallLimits<'a> {
    /// How long its work may take. It may wait as long for an earlier order to end.
    pub timeout: Duration,
    /// Whether it is to be stopped.
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
}

impl CallLimits<'static> {
    /// Returns the limits of a call that only reads or writes the state.
    pub fn short() -> Self {
        Self { timeout: SHORT, is_stopped: &|| false }
    }
}

/// What is known on a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostReport {
    /// Its clock.
    pub now: Timestamp,
    /// The highest token that it knows.
    pub token: u64,
    /// The lease, also if it has expired.
    pub lease: Option<Lease>,
    /// The release that is current.
    pub current: Option<ReleaseId>,
    /// The number of the last release, succeeded or not; 0 if there is none.
    pub last_number: u32,
    /// Who stopped deploys, and why.
    pub frozen: Option<(String, String)>,
    /// The releases that succeeded.
    pub releases: Vec<Release>,
    /// The records of the last deploy.
    pub records: Vec<Record>,
    /// The names of the artifacts' folders.
    pub artifacts: Vec<String>,
    /// The slots of which something is known.
    pub slots: Vec<SlotReport>,
    /// The deploy that has begun and not ended, also if its records were lost.
    pub begun: Option<String>,
    /// The files of the state that were cut off.
    pub damaged: Vec<String>,
    /// The roles whose weights nobody would bring back although somebody should.
    pub unguarded: Vec<String>,
}

/// What is known of a slot on a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotReport {
    /// The role.
    pub role: String,
    /// The slot.
    pub slot: Slot,
    /// The release that it contains.
    pub release: Option<ReleaseId>,
    /// Whether its processes run, if that is known.
    pub running: Option<bool>,
}

/// A slot that may be in use although no deploy has filled it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnmanagedSlot {
    /// The role.
    pub role: String,
    /// The slot.
    pub slot: Slot,
    /// Its port, if it has one.
    pub port: Option<u16>,
    /// The line that exits with 0 if its processes run.
    pub status: String,
}

/// What a slot is to contain. It contains secrets, so it does not implement `Debug`.
pub struct Staging<'a> {
    /// The role.
    pub role: &'a str,
    /// The slot.
    pub slot: Slot,
    /// The release.
    pub release: &'a ReleaseId,
    /// Its artifacts, with their names. One is the folder of the slot; several are folders in it.
    pub artifacts: Vec<(&'a str, &'a ArtifactDigest)>,
    /// The variables of its processes, as the text of a file.
    pub variables: String,
    /// The line that stops its processes.
    pub stop: String,
    /// The line that exits with 0 if they run, or nothing.
    pub status: String,
}

/// How the processes of a slot are started. It contains secrets, so it does not implement `Debug`.
pub struct Starting<'a> {
    /// The role.
    pub role: &'a str,
    /// The slot.
    pub slot: Slot,
    /// The release that the slot contains.
    pub release: &'a ReleaseId,
    /// The line that starts them.
    pub line: &'a str,
    /// Their variables, as the text of a file.
    pub variables: &'a str,
}

/// A line that is run on a host. It contains secrets, so it does not implement `Debug`.
pub struct HostLine<'a> {
    /// Where it runs.
    pub folder: LineFolder<'a>,
    /// The line.
    pub line: &'a str,
    /// The text of a file of variables.
    pub variables: &'a str,
    /// Whether it changes something.
    pub kind: LineKind,
}

/// The folder in which a line runs.
pub enum LineFolder<'a> {
    /// That of the environment.
    Environment,
    /// That of an artifact, which is on the host.
    Artifact(&'a ArtifactDigest),
    /// A temporary one with the content of this packed artifact.
    Packed(&'a ArtifactDigest, Box<dyn Read + Send>),
}

/// Whether a line changes something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// It only reads. What it prints on its standard output is returned.
    Question,
    /// It changes something: a lost connection does not end it. All that it prints is returned.
    Change,
}

/// The folder of an environment on a machine.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    connection: Connection,
    path: String,
    connector: Arc<Connector>,
}

/// Returns the name of an artifact's folder.
pub fn folder_name(digest: &ArtifactDigest) -> &str {
    let hex = digest.hex();
    hex.get(..DIGITS).unwrap_or(hex)
}

impl Host {
    /// Uses `path`, an absolute path, on a machine.
    pub fn new(name: String, connection: Connection, path: String, connector: Arc<Connector>) -> Self {
        Self { name, connection, path, connector }
    }

    /// Returns its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the folder of the environment on it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns how commands get there.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns whether it is the same folder on the same machine.
    pub fn is_same(&self, other: &Self) -> bool {
        self.connection == other.connection && self.path == other.path
    }

    /// Takes the lease. Its token is higher than `floor`.
    ///
    /// # Errors
    /// Another deploy has it, or the host can't be reached.
    pub fn acquire(&self, request: &LeaseRequest, floor: u64) -> Result<Lease, HostError> {
        let call = HostCall::new("acquire")
            .set("deploy", &one_line(&request.deploy))
            .set("nonce", &one_line(&request.nonce))
            .set("holder", &one_line(&request.holder))
            .set("takes_over", &one_line(request.takes_over.as_deref().unwrap_or_default()))
            .set("duration", &request.duration.as_secs().to_string())
            .set("floor", &floor.to_string())
            .set("wait", "30");
        let reply = self.call(call, CallLimits::short())?;
        self.lease(&reply)
    }

    /// Renews the lease.
    ///
    /// # Errors
    /// Another deploy has taken over, or the host can't be reached.
    pub fn renew(&self, order: &Order) -> Result<(), HostError> {
        self.call(HostCall::new("renew").order(order), CallLimits::short()).map(drop)
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// Another deploy has taken over, or the host can't be reached.
    pub fn release(&self, order: &Order) -> Result<(), HostError> {
        self.call(HostCall::new("release").order(order), CallLimits::short()).map(drop)
    }

    /// Makes the host refuse all older orders, and waits until one that is being carried out has ended.
    ///
    /// # Errors
    /// Another deploy has taken over, the old order does not end, or the host can't be reached.
    pub fn fence(&self, order: &Order) -> Result<(), HostError> {
        self.call(HostCall::new("fence").order(order).set("wait", "30"), CallLimits::short()).map(drop)
    }

    /// Returns what is known on the host; of an authority, with the history. Of the slots that no deploy has
    /// filled, only these are looked at.
    ///
    /// # Errors
    /// The host can't be reached, or its answer can't be understood.
    pub fn observe(&self, is_authority: bool, unmanaged: &[UnmanagedSlot]) -> Result<HostReport, HostError> {
        let mut unknown = String::new();
        for UnmanagedSlot { role, slot, port, status } in unmanaged {
            let port = port.map(|port| port.to_string()).unwrap_or_default();
            unknown.push_str(&format!(
                "unmanaged {} {slot} {} {}\n",
                quote(role),
                quote(&port),
                quote(status)
            ));
        }
        let call = HostCall::new("observe").set("authority", if is_authority { "1" } else { "0" });
        let call = call.set("unknown", &unknown);
        let reply = self.call(call, CallLimits::short())?;
        HostReport::parse(&String::from_utf8_lossy(&reply)).map_err(|reason| self.failed(reason))
    }

    /// Appends to the history.
    ///
    /// # Errors
    /// Another deploy has taken over, the disk is full, or the host can't be reached.
    pub fn record(&self, order: &Order, what: &What) -> Result<(), HostError> {
        let json = |value: serde_json::Result<String>| value.map_err(|error| self.failed(error.to_string()));
        let head = format!(
            "{{\"deploy\":{},\"token\":{},\"at\":",
            json(serde_json::to_string(&order.deploy))?,
            order.token
        );
        let rest = json(serde_json::to_string(what))?.split_off(1);
        let call = match what {
            What::Frozen { by, reason } => {
                HostCall::new("freeze").set("who", &json(serde_json::to_string(&(by, reason)))?)
            }
            What::Unfrozen { .. } => HostCall::new("unfreeze"),
            What::Started { release, .. } => {
                HostCall::new("record").set("number", &release.number.to_string())
            }
            _ => HostCall::new("record").set("number", ""),
        };
        let phase = match what {
            What::Started { .. } | What::Resumed { .. } | What::Aborted { .. } => "begun",
            What::Ended { .. } => "ended",
            _ => "",
        };
        let call = call.order(order).set("head", &head).set("phase", phase).text(&rest);
        self.call(call, CallLimits::short()).map(drop)
    }

    /// Returns which of the artifacts are not on the host.
    ///
    /// # Errors
    /// The host can't be reached.
    pub fn missing<'a>(
        &self,
        artifacts: &[&'a ArtifactDigest],
    ) -> Result<Vec<&'a ArtifactDigest>, HostError> {
        let names: Vec<_> = artifacts.iter().map(|digest| folder_name(digest)).collect();
        let reply =
            self.call(HostCall::new("missing").set("names", &names.join(" ")), CallLimits::short())?;
        let reply = String::from_utf8_lossy(&reply);
        let is_missing = |digest: &&&ArtifactDigest| reply.lines().any(|line| line == folder_name(digest));
        Ok(artifacts.iter().filter(is_missing).copied().collect())
    }

    /// Brings a packed artifact to the host and verifies its digest there.
    ///
    /// # Errors
    /// The artifact is damaged or can't be read, there is no space, another deploy has taken over, or the host
    /// can't be reached.
    pub fn deliver(
        &self,
        order: &Order,
        digest: &ArtifactDigest,
        size: Option<u64>,
        packed: Box<dyn Read + Send>,
        limits: CallLimits<'_>,
    ) -> Result<(), HostError> {
        // The archive, and what it contains; what is sent is smaller.
        let need = size.unwrap_or_default() / 1024 * 2 + 1024;
        let call = HostCall::new("deliver")
            .order(order)
            .set("digest", digest.hex())
            .set("name", folder_name(digest))
            .set("need", &need.to_string());
        self.call(HostCall { input: packed, ..call }, limits).map(drop)
    }

    /// Makes a slot contain a release.
    ///
    /// # Errors
    /// An artifact is missing, another deploy has taken over, or the host can't be reached.
    pub fn stage(
        &self,
        order: &Order,
        staging: &Staging<'_>,
        limits: CallLimits<'_>,
    ) -> Result<(), HostError> {
        let artifacts = staging.artifacts.iter();
        let artifacts: Vec<_> =
            artifacts.map(|(name, digest)| format!("{name} {}", folder_name(digest))).collect();
        let call = HostCall::new("stage")
            .order(order)
            .slot(staging.role, staging.slot)
            .set("release", &staging.release.0)
            .set("artifacts", &artifacts.join("\n"))
            .set("stop_line", &staging.stop)
            .set("status_line", &staging.status)
            .text(&staging.variables);
        self.call(call.waiting(limits), limits).map(drop)
    }

    /// Starts the processes of a slot. What runs already stays, unless it was started with other variables.
    ///
    /// # Errors
    /// The line fails or takes too long, the slot contains another release, another deploy has taken over, or
    /// the host can't be reached.
    pub fn start(
        &self,
        order: &Order,
        starting: &Starting<'_>,
        limits: CallLimits<'_>,
    ) -> Result<(), HostError> {
        let Starting { role, slot, release, line, variables } = *starting;
        let call = HostCall::new("start").order(order).slot(role, slot);
        let call = call.set("release", &release.0).set("line", line).waiting(limits);
        self.call(call.text(variables), limits).map(drop)
    }

    /// Stops the processes of a slot with the line that was staged with it.
    ///
    /// # Errors
    /// The line fails or takes too long, another deploy has taken over, or the host can't be reached.
    pub fn stop(
        &self,
        order: &Order,
        role: &str,
        slot: Slot,
        limits: CallLimits<'_>,
    ) -> Result<(), HostError> {
        self.call(HostCall::new("stop").order(order).slot(role, slot).waiting(limits), limits).map(drop)
    }

    /// Makes a release current, at the authority.
    ///
    /// # Errors
    /// Another deploy has taken over, the disk is full, or the host can't be reached.
    pub fn commit(&self, order: &Order, release: &Release, limits: CallLimits<'_>) -> Result<(), HostError> {
        let json = serde_json::to_string(release).map_err(|error| self.failed(error.to_string()))?;
        let call = HostCall::new("commit").order(order).set("release", &release.id.0);
        self.call(call.text(&json).waiting(limits), limits).map(drop)
    }

    /// Makes the slot that contains a release the one that starts after a reboot.
    ///
    /// # Errors
    /// No slot contains it, another deploy has taken over, or the host can't be reached.
    pub fn point(
        &self,
        order: &Order,
        role: &str,
        release: &ReleaseId,
        limits: CallLimits<'_>,
    ) -> Result<(), HostError> {
        let call = HostCall::new("point").order(order).set("role", role).set("release", &release.0);
        self.call(call.waiting(limits), limits).map(drop)
    }

    /// Removes all but these releases from the list of those that succeeded, at the authority.
    ///
    /// # Errors
    /// Another deploy has taken over, or the host can't be reached.
    pub fn prune(&self, order: &Order, keep: &[ReleaseId], limits: CallLimits<'_>) -> Result<(), HostError> {
        let keep: Vec<_> = keep.iter().map(|id| id.0.as_str()).collect();
        let call = HostCall::new("prune").order(order).set("keep", &keep.join(" "));
        self.call(call.waiting(limits), limits).map(drop)
    }

    /// Removes all artifacts but these and those that a slot contains.
    ///
    /// # Errors
    /// Another deploy has taken over, or the host can't be reached.
    pub fn clean(
        &self,
        order: &Order,
        keep: &[&ArtifactDigest],
        limits: CallLimits<'_>,
    ) -> Result<(), HostError> {
        let keep: Vec<_> = keep.iter().map(|digest| folder_name(digest)).collect();
        let call = HostCall::new("clean").order(order).set("names", &keep.join(" "));
        self.call(call.waiting(limits), limits).map(drop)
    }

    /// Runs a line, and returns what it prints. Without an order, it must not change anything below the folder of
    /// the environment.
    ///
    /// # Errors
    /// The line fails or takes too long, another deploy has taken over, or the host can't be reached.
    pub fn run_line(
        &self,
        order: Option<&Order>,
        line: HostLine<'_>,
        limits: CallLimits<'_>,
    ) -> Result<Vec<u8>, HostError> {
        let HostLine { folder, line, variables, kind } = line;
        let set = |call: HostCall<'static>| {
            let call = call.set("line", line).waiting(limits);
            call.set("lasting", if kind == LineKind::Change { "1" } else { "0" })
        };
        let folder = match folder {
            LineFolder::Environment => ".".to_owned(),
            LineFolder::Artifact(digest) => format!("releases/{}", folder_name(digest)),
            LineFolder::Packed(digest, packed) => {
                let call = set(HostCall::new("run_packed")).set("digest", digest.hex());
                return self.call(call.set("variables", variables).input(packed), limits);
            }
        };
        let call = HostCall::new("run");
        let call = order.map_or(HostCall::new("run").set("token", ""), |order| call.order(order));
        self.call(set(call).set("folder", &folder).text(variables), limits)
    }

    /// Returns what an artifact on the host contains, as a gzipped archive.
    ///
    /// # Errors
    /// The artifact is missing, or the host can't be reached.
    pub fn pack(&self, artifact: &ArtifactDigest, limits: CallLimits<'_>) -> Result<Vec<u8>, HostError> {
        let folder = format!("releases/{}", folder_name(artifact));
        self.call(HostCall::new("pack").set("folder", &folder), limits)
    }

    /// Runs a shell text that changes something, as an order: under the lock, and only if the token is the
    /// newest. Returns what it prints.
    ///
    /// # Errors
    /// It fails or takes too long, another deploy has taken over, or the host can't be reached.
    pub fn order(
        &self,
        order: &Order,
        script: &str,
        input: Box<dyn Read + Send>,
        limits: CallLimits<'_>,
    ) -> Result<Vec<u8>, HostError> {
        let call = HostCall { action: script, input, ..HostCall::new("order") };
        self.call(call.order(order).waiting(limits), limits)
    }

    /// Runs a shell text that only reads, and returns what it prints.
    ///
    /// # Errors
    /// It fails or takes too long, or the host can't be reached.
    pub fn query(
        &self,
        script: &str,
        input: Box<dyn Read + Send>,
        limits: CallLimits<'_>,
    ) -> Result<Vec<u8>, HostError> {
        self.call(HostCall { action: script, input, ..HostCall::new("query") }, limits)
    }

    /// Returns an error of this host.
    pub fn failed(&self, reason: impl Into<String>) -> HostError {
        HostError::Failed { host: self.name.clone(), reason: reason.into() }
    }

    /// Returns the text of a program that waits until the deploy of an order ends or its lease expires, and then
    /// carries out `script`, which brings the weights of a role back.
    pub fn guard_program(&self, order: &Order, role: &str, script: &str) -> String {
        let call = HostCall { action: script, ..HostCall::new("guard") };
        self.program(&call.order(order).set("role", role).set("wait", "3600"))
    }

    fn program(&self, call: &HostCall<'_>) -> String {
        let mut program = format!("path={}\n{}{PROGRAM}\n", quote(&self.path), call.assignments);
        if !call.action.is_empty() {
            // Writing to a string can't fail.
            let _ = writeln!(program, "action() {{\n{}\n}}", call.action);
        }
        program.push_str(call.command);
        program
    }

    fn call(&self, call: HostCall<'_>, limits: CallLimits<'_>) -> Result<Vec<u8>, HostError> {
        let program = self.program(&call);
        // It may wait for an earlier order first, and the host ends what takes too long itself.
        let timeout = limits.timeout * 2 + Duration::from_secs(30);
        let call = Call { program: &program, input: call.input, timeout, is_stopped: limits.is_stopped };
        let host = || self.name.clone();
        match self.connector.run(&self.connection, call) {
            Ok(Reply { status: 0, stdout, .. }) => Ok(stdout),
            Ok(Reply { status: SUPERSEDED, stdout, .. }) => {
                let by = String::from_utf8_lossy(&stdout).trim().to_owned();
                Err(HostError::Superseded { by: Some(by).filter(|by| !by.is_empty()) })
            }
            Ok(Reply { status: HELD, stdout, .. }) => Err(HostError::Held(Box::new(self.lease(&stdout)?))),
            Ok(Reply { status, stderr, .. }) => Err(self.failed(reason(status, &stderr))),
            Err(ConnectionError::Stopped) => Err(HostError::Interrupted { host: host() }),
            Err(error @ (ConnectionError::Unreachable(_) | ConnectionError::TimedOut(_))) => {
                Err(HostError::Unreachable { host: host(), reason: error.to_string() })
            }
            Err(ConnectionError::Input(error)) => {
                Err(self.failed(format!("can't read what is sent: {error}")))
            }
            Err(error @ ConnectionError::NotStarted(_)) => Err(self.failed(error.to_string())),
        }
    }

    fn lease(&self, reply: &[u8]) -> Result<Lease, HostError> {
        let report = HostReport::parse(&format!("now 0\n{}", String::from_utf8_lossy(reply)));
        let report = report.map_err(|reason| self.failed(reason))?;
        report.lease.ok_or_else(|| self.failed("the answer contains no lease"))
    }
}

/// A command of the program with its variables.
struct HostCall<'a> {
    command: &'static str,
    assignments: String,
    action: &'a str,
    input: Box<dyn Read + Send>,
}

impl HostCall<'_> {
    fn new(command: &'static str) -> Self {
        Self { command, assignments: String::new(), action: "", input: Box::new(io::empty()) }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.assignments.push_str(&format!("{name}={}\n", quote(value)));
        self
    }

    fn order(self, order: &Order) -> Self {
        let call = self.set("token", &order.token.to_string());
        call.set("nonce", &one_line(&order.nonce)).set("deploy", &one_line(&order.deploy))
    }

    fn slot(self, role: &str, slot: Slot) -> Self {
        self.set("role", role).set("slot", slot.name())
    }

    /// Sets how long it waits for an earlier order, and how long a line may take.
    fn waiting(self, limits: CallLimits<'_>) -> Self {
        let seconds = limits.timeout.as_secs().max(1).to_string();
        self.set("wait", &seconds).set("limit", &seconds)
    }

    /// Sends a text with a mark at its end, without which a host refuses it.
    fn text(self, text: &str) -> Self {
        let text = format!("{}\nend-of-input\n", text.trim_end_matches('\n'));
        self.input(io::Cursor::new(text.into_bytes()))
    }

    fn input(self, input: impl Read + Send + 'static) -> Self {
        Self { input: Box::new(input), ..self }
    }
}

impl HostReport {
    /// Parses what `observe` prints. Lines of the history that a power failure has cut off are left out.
    fn parse(text: &str) -> Result<Self, String> {
        let mut report = Self {
            now: Timestamp(0),
            token: 0,
            lease: None,
            current: None,
            last_number: 0,
            frozen: None,
            releases: Vec::new(),
            records: Vec::new(),
            artifacts: Vec::new(),
            slots: Vec::new(),
            begun: None,
            damaged: Vec::new(),
            unguarded: Vec::new(),
        };
        let mut has_time = false;
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let invalid = || format!("the answer contains an invalid line: {line}");
            match key {
                "now" => {
                    report.now = seconds(value).ok_or_else(invalid)?;
                    has_time = true;
                }
                "lease" => {
                    let mut words = value.split(' ');
                    let token = words.next().and_then(|word| word.parse().ok()).ok_or_else(invalid)?;
                    let granted = words.next().and_then(seconds).ok_or_else(invalid)?;
                    let expires = words.next().and_then(seconds).ok_or_else(invalid)?;
                    let (deploy, holder) = (String::new(), String::new());
                    report.lease = Some(Lease { token, deploy, holder, granted, expires });
                }
                "lease-deploy" => value.clone_into(&mut report.lease.as_mut().ok_or_else(invalid)?.deploy),
                "lease-holder" => value.clone_into(&mut report.lease.as_mut().ok_or_else(invalid)?.holder),
                "current" => report.current = Some(ReleaseId(value.to_owned())),
                "token" => report.token = value.parse().map_err(|_| invalid())?,
                "number" => report.last_number = value.parse().map_err(|_| invalid())?,
                "frozen" => {
                    let lost = || ("somebody".to_owned(), "the reason was lost".to_owned());
                    report.frozen = Some(serde_json::from_str(value).unwrap_or_else(|_| lost()));
                }
                "begun" => report.begun = Some(value.to_owned()),
                "damaged" => report.damaged.push(value.to_owned()),
                "unguarded" => report.unguarded.push(value.to_owned()),
                "release" => report.releases.extend(serde_json::from_str::<Release>(value)),
                "record" => report.records.extend(serde_json::from_str::<Record>(value)),
                "artifact" => report.artifacts.push(value.to_owned()),
                "slot" => report.slots.push(SlotReport::parse(value).ok_or_else(invalid)?),
                // A login script of the host may print.
                _ => {}
            }
        }
        report.releases.sort_by_key(|release| release.number);
        if has_time { Ok(report) } else { Err("the answer is incomplete".to_owned()) }
    }
}

impl SlotReport {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let role = words.next()?.to_owned();
        let slot = words.next()?;
        let slot = Slot::ALL.into_iter().find(|known| known.name() == slot)?;
        let release = words.next().filter(|word| *word != "-").map(|word| ReleaseId(word.to_owned()));
        let running = match words.next()? {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
        Some(Self { role, slot, release, running })
    }
}

fn seconds(text: &str) -> Option<Timestamp> {
    text.parse::<u64>().ok().map(|seconds| Timestamp(seconds.saturating_mul(1000)))
}

/// Returns a text that is written as a line of a file.
fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Returns why a call failed, in one line. The last line says it; those before it are what led to it.
fn reason(status: i32, stderr: &str) -> String {
    const LINES: usize = 5;
    let lines: Vec<_> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let Some((last, before)) = lines.split_last() else { return format!("exit status {status}") };
    let before = &before[before.len().saturating_sub(LINES)..];
    if before.is_empty() { (*last).to_owned() } else { format!("{last}: {}", before.join("; ")) }
}
