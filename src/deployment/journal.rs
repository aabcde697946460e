//! The journal of an environment: its history on a chain of commits, and the approvals of plans. It must not
//! decide whether a deploy may begin: what the target says beats what the journal says.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::config::deploy::JournalLocation;
use crate::deploy::lease::DeployId;
use crate::deploy::plan::Goal;
use crate::deploy::record::{Ending, Record, What};
use crate::deploy::release::ReleaseId;
use crate::git::Repository;
use crate::git::chain::{Appended, Chain, ChainError, Link, Signer, Signing};

/// By how much the clocks of two people may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(600);

/// The journal of an environment.
pub struct Journal<'r> {
    chain: Chain<'r>,
    environment: String,
}

/// One commit of a journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Entry {
    /// A record of a deploy or a freeze.
    Record(Record),
    /// A person approves a plan.
    Approval(Approval),
}

/// An approval of a plan. The commit that contains it is signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// The environment.
    pub environment: String,
    /// The id of the plan.
    pub approves: String,
    /// Who approves it, for people. What counts is the signature.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// An approval that counts for no deploy, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectedApproval {
    /// Who made it, as it says.
    pub by: String,
    /// Why it does not count.
    pub reason: &'static str,
}

/// What approvals of a plan count for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Approvals {
    /// The people whose approvals count, each once.
    pub valid: Vec<Signer>,
    /// The approvals that do not count.
    pub rejected: Vec<RejectedApproval>,
}

/// What makes an approval count.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalRules<'a> {
    /// The plan.
    pub plan: &'a str,
    /// The file of allowed signers.
    pub signers: &'a Path,
    /// How long an approval is valid.
    pub expires: Duration,
    /// The time.
    pub now: Timestamp,
    /// Who asks for the deploy. Nobody approves what they ask for.
    pub requester: Requester<'a>,
    /// The records of the last deploy on the target.
    pub target: &'a [Record],
}

/// Who asks for a deploy.
#[derive(Clone, Copy, Debug)]
pub enum Requester<'a> {
    /// The owner of this key.
    Signer(&'a Signer),
    /// Somebody of this name, as nobody has verified.
    Named(&'a str),
}

impl Requester<'_> {
    fn is(&self, signer: &Signer) -> bool {
        match self {
            Self::Signer(own) => own.principal == signer.principal || own.key == signer.key,
            Self::Named(name) => is_same_person(&signer.principal, name),
        }
    }
}

/// One deploy of the history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PastDeploy {
    /// Its id.
    pub deploy: DeployId,
    /// What it wanted.
    pub goal: Goal,
    /// What it deployed.
    pub release: ReleaseId,
    /// The release that was current before.
    pub previous: Option<ReleaseId>,
    /// The commit of the release.
    pub commit: String,
    /// Who asked for it.
    pub by: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, if it did.
    pub ended: Option<Timestamp>,
    /// How it ended, if it did.
    pub ending: Option<Ending>,
    /// Whether it was given up.
    pub is_aborted: bool,
    /// Why it ended so.
    pub reason: Option<String>,
    /// Why policy was overridden, if it was.
    pub overrides: Option<String>,
}

impl<'r> Journal<'r> {
    /// Opens the journal of an environment. Without this remote, it is kept locally.
    pub fn new(repository: &'r Repository, environment: &str, location: &JournalLocation) -> Self {
        let remote = match location {
            JournalLocation::Local => None,
            JournalLocation::Url(url) => Some(url.clone()),
            JournalLocation::Remote(name) => {
                repository.remotes().iter().any(|(known, _)| known == name).then(|| name.clone())
            }
        };
        let chain = Chain::new(repository, &format!("xtask-deploy/{environment}"), remote);
        Self { chain, environment: environment.to_owned() }
    }

    /// Appends a record. Returns why the remote does not have it yet, if so; it then gets it with the next one.
    ///
    /// # Errors
    /// The record can't be written.
    pub fn append(&self, record: &Record) -> Result<Option<ChainError>, ChainError> {
        let text = json(&Entry::Record(record.clone()));
        match self.chain.append(&self.summary(&record.what), &text, Signing::None)? {
            Appended::Shared(_) => Ok(None),
            Appended::Pending(_, error) => Ok(Some(error)),
        }
    }

    /// Appends a record that is signed by who asks for a deploy, and must get to the remote.
    ///
    /// # Errors
    /// It can't be signed, or the remote can't be used.
    pub fn append_signed(&self, record: &Record) -> Result<(), ChainError> {
        let text = json(&Entry::Record(record.clone()));
        self.chain.append(&self.summary(&record.what), &text, Signing::WithUserKey).map(drop)
    }

    /// Returns who signs with the key of git's configuration; `None`: it is not in the file of allowed signers.
    ///
    /// # Errors
    /// Nothing can be signed, or git can't be run.
    pub fn own_signer(&self, signers: &Path) -> Result<Option<Signer>, ChainError> {
        self.chain.own_signer(signers)
    }

    /// Appends a signed approval, which must get to the remote.
    ///
    /// # Errors
    /// It can't be signed, or the remote can't be used.
    pub fn approve(&self, plan: &str, by: &str, now: Timestamp) -> Result<(), ChainError> {
        let approval = Approval {
            environment: self.environment.clone(),
            approves: plan.to_owned(),
            by: by.to_owned(),
            at: now,
        };
        let summary = format!("{}: approve plan {}", self.environment, short(plan));
        self.chain.append(&summary, &json(&Entry::Approval(approval)), Signing::WithUserKey).map(drop)
    }

    /// Brings the commits of the remote here.
    ///
    /// # Errors
    /// The remote can't be used.
    pub fn fetch(&self) -> Result<(), ChainError> {
        self.chain.fetch()
    }

    /// Returns the deploys, the newest first, as far as this repository knows them.
    ///
    /// # Errors
    /// The commits can't be read.
    pub fn deploys(&self) -> Result<Vec<PastDeploy>, ChainError> {
        Ok(past_deploys(self.entries()?.into_iter().filter_map(|(_, entry)| match entry {
            Entry::Record(record) => Some(record),
            Entry::Approval(_) => None,
        })))
    }

    /// Returns which approvals of a plan count.
    ///
    /// # Errors
    /// The commits can't be read, or git can't be run.
    pub fn approvals(&self, rules: &ApprovalRules<'_>) -> Result<Approvals, ChainError> {
        let entries = self.entries()?;
        let mut signers = Vec::new();
        for (commit, entry) in &entries {
            let is_of_plan = match entry {
                Entry::Approval(approval) => approval.approves == rules.plan,
                Entry::Record(record) => starts(record, rules.plan),
            };
            signers.push(if is_of_plan { self.chain.signer(commit, rules.signers)? } else { None });
        }
        let entries: Vec<_> = entries.into_iter().map(|(_, entry)| entry).zip(signers).collect();
        Ok(count_approvals(&self.environment, &entries, rules))
    }

    /// Returns the entries, the oldest first. What another version has written is left out.
    fn entries(&self) -> Result<Vec<(String, Entry)>, ChainError> {
        let links = self.chain.links()?;
        let entry = |Link { commit, text }| Some((commit, serde_json::from_str(&text).ok()?));
        Ok(links.into_iter().filter_map(entry).collect())
    }

    fn summary(&self, what: &What) -> String {
        let environment = &self.environment;
        match what {
            What::Started { release, by, .. } => {
                format!("{environment}: start the deploy of {} by {by}", release.id)
            }
            What::Resumed { by } => format!("{environment}: resume by {by}"),
            What::Aborted { by } => format!("{environment}: abort by {by}"),
            What::Intent { step } | What::Outcome { step, .. } => format!("{environment}: {step}"),
            What::Ended { ending, reason, .. } => {
                format!("{environment}: {}: {reason}", ending_text(*ending))
            }
            What::Frozen { by, reason } => format!("{environment}: frozen by {by}: {reason}"),
            What::Unfrozen { by } => format!("{environment}: unfrozen by {by}"),
        }
    }
}

/// Returns what to do about a journal that can't be used.
pub fn hint(error: &ChainError) -> Option<String> {
    match error {
        ChainError::Unreachable { remote, .. } => Some(format!(
            "nothing is lost: the next deploy or `git fetch {remote}` that works brings the records there"
        )),
        ChainError::Refused { branch, .. } => Some(format!(
            "let deployers push to {branch}, or set `journal` in [deploy] to another repository"
        )),
        ChainError::StaleLock { .. } => Some("remove the lock file if no git process runs there".to_owned()),
        ChainError::Rewritten { .. } => {
            Some("find out who rewrote it; what was recorded here is still in refs/taskgate/".to_owned())
        }
        ChainError::Sign(message) if message.contains("auto-detect") || message.contains("empty ident") => {
            Some("git config user.name NAME && git config user.email ADDRESS".to_owned())
        }
        ChainError::Sign(_) => {
            Some("git config gpg.format ssh && git config user.signingkey ~/.ssh/id_ed25519.pub".to_owned())
        }
        ChainError::Busy { .. } | ChainError::Git(_) => None,
    }
}

/// Returns how a deploy ended, in a word.
fn ending_text(ending: Ending) -> &'static str {
    match ending {
        Ending::Succeeded => "succeeded",
        Ending::RolledBack => "went back",
        Ending::Unchanged => "failed before anything changed",
        Ending::NeedsAttention => "needs attention",
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn json(entry: &Entry) -> String {
    // A JSON value of these types always exists: all keys are texts.
    format!("{:#}\n", serde_json::json!(entry))
}

/// Puts records together to deploys, the newest first.
pub fn past_deploys(records: impl Iterator<Item = Record>) -> Vec<PastDeploy> {
    let mut deploys: Vec<PastDeploy> = Vec::new();
    for Record { deploy, at, what, .. } in records {
        match what {
            What::Started { goal, release, previous, by, overrides, .. } => deploys.push(PastDeploy {
                deploy,
                goal,
                release: release.id,
                previous,
                commit: release.commit,
                by,
                started: at,
                ended: None,
                ending: None,
                is_aborted: false,
                reason: None,
                overrides,
            }),
            What::Ended { ending, reason, .. } => {
                if let Some(past) = deploys.iter_mut().rev().find(|past| past.deploy == deploy) {
                    past.ended = Some(at);
                    past.ending = Some(ending);
                    past.reason = Some(reason);
                }
            }
            What::Aborted { .. } => {
                if let Some(past) = deploys.iter_mut().rev().find(|past| past.deploy == deploy) {
                    past.is_aborted = true;
                }
            }
            _ => {}
        }
    }
    deploys.reverse();
    deploys
}

/// Returns whether a record is the start of a plan.
fn starts(record: &Record, plan: &str) -> bool {
    matches!(&record.what, What::Started { plan: started, .. } if started.id == plan)
}

/// Decides which approvals count. Each entry comes with its valid signature, if it is about the plan.
fn count_approvals(
    environment: &str,
    entries: &[(Entry, Option<Signer>)],
    rules: &ApprovalRules<'_>,
) -> Approvals {
    let mut approvals = Approvals::default();
    for (position, (entry, signer)) in entries.iter().enumerate() {
        let Entry::Approval(approval) = entry else { continue };
        if approval.approves != rules.plan || approval.environment != environment {
            continue;
        }
        let is_of_plan = |record: &Record| starts(record, rules.plan);
        // Records that were made offline get their place late, so those of long ago do not count.
        let uses = |record: &Record| is_of_plan(record) && record.at.age(approval.at) <= CLOCKS_DIFFER;
        // A signed start is in its place at once, whatever the clock of its machine says.
        let signed = entries[position..].iter().filter(|(_, signer)| signer.is_some());
        let is_in_place = signed.filter_map(|(entry, _)| record_of(entry)).any(is_of_plan);
        let later = entries[position..].iter().filter_map(|(entry, _)| record_of(entry));
        let is_known = |deploy: &DeployId| {
            entries.iter().filter_map(|(entry, _)| record_of(entry)).any(|known| known.deploy == *deploy)
        };
        let missing = rules.target.iter().filter(|record| !is_known(&record.deploy));
        let is_used = is_in_place || later.chain(missing).any(uses);
        let reason = match signer {
            None => Some("it is not signed by an allowed signer"),
            Some(_) if is_used => Some("it was used already"),
            Some(_) if approval.at.age(rules.now) >= rules.expires => Some("it has expired"),
            Some(signer) if rules.requester.is(signer) => Some("nobody can approve what they ask for"),
            Some(_) => None,
        };
        match (reason, signer) {
            (None, Some(signer)) => {
                let is_same = |known: &Signer| known.principal == signer.principal || known.key == signer.key;
                if !approvals.valid.iter().any(is_same) {
                    approvals.valid.push(signer.clone());
                }
            }
            (reason, _) => approvals.rejected.push(RejectedApproval {
                by: approval.by.clone(),
                reason: reason.unwrap_or("it is not signed by an allowed signer"),
            }),
        }
    }
    approvals
}

fn record_of(entry: &Entry) -> Option<&Record> {
    match entry {
        Entry::Record(record) => Some(record),
        Entry::Approval(_) => None,
    }
}

/// Returns whether a signer is the requester: by the whole text, or the mail address in `Name <address>`.
fn is_same_person(principal: &str, requester: &str) -> bool {
    let address =
        requester.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address);
    principal == requester || Some(principal) == address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::plan::Plan;
    use crate::deploy::release::Release;
    use std::collections::BTreeMap;

    const HOUR: Duration = Duration::from_secs(3600);

    fn approval(plan: &str, signer: Option<&str>, at: u64) -> (Entry, Option<Signer>) {
        let approval = Approval {
            environment: "production".to_owned(),
            approves: plan.to_owned(),
            by: "Bob <bob@example.com>".to_owned(),
            at: Timestamp(at),
        };
        let signer = signer.map(|name| Signer { principal: name.to_owned(), key: format!("SHA256:{name}") });
        (Entry::Approval(approval), signer)
    }

    fn started(plan: &str, deploy: &str) -> Record {
        let release = Release {
            id: ReleaseId("1-0a".to_owned()),
            number: 1,
            commit: "c".to_owned(),
            tree: "t".to_owned(),
            artifacts: BTreeMap::new(),
            digest: "0a".to_owned(),
            roles: Vec::new(),
            migrations: None,
            pending: Vec::new(),
            contracts: false,
            previous: None,
            created: Timestamp(0),
            by: "ann".to_owned(),
        };
        let plan = Plan {
            id: plan.to_owned(),
            goal: Goal::Deploy,
            release: release.id.clone(),
            previous: None,
            groups: Vec::new(),
            undo: Vec::new(),
            schema_left: None,
            notes: Vec::new(),
        };
        let what = What::Started {
            goal: Goal::Deploy,
            release: Box::new(release),
            previous: None,
            plan: Box::new(plan),
            by: "ann".to_owned(),
            overrides: None,
        };
        Record { deploy: deploy.to_owned(), token: 1, at: Timestamp(5), what }
    }

    fn count(entries: &[(Entry, Option<Signer>)]) -> Approvals {
        let rules = ApprovalRules {
            plan: "p1",
            signers: Path::new("signers"),
            expires: HOUR,
            now: Timestamp(3_600_000),
            requester: Requester::Named("Ann <ann@example.com>"),
            target: &[],
        };
        count_approvals("production", entries, &rules)
    }

    #[test]
    fn approval_counts_once_a_person() {
        let bob = approval("p1", Some("bob@example.com"), 1);
        let carol = approval("p1", Some("carol@example.com"), 1);
        let counted = count(&[bob.clone(), bob, carol]);
        let names: Vec<_> = counted.valid.iter().map(|signer| &*signer.principal).collect();
        assert_eq!(names, ["bob@example.com", "carol@example.com"]);
        assert!(counted.rejected.is_empty());
    }

    #[test]
    fn approval_of_a_stranger_or_the_requester_or_an_expired_or_used_one_does_not_count() {
        let used = Entry::Record(started("p1", "d1"));
        let reasons = |entries: &[_]| {
            let counted = count(entries);
            assert!(counted.valid.is_empty());
            counted.rejected.iter().map(|rejected| rejected.reason).collect::<Vec<_>>()
        };
        assert_eq!(reasons(&[approval("p1", None, 1)]), ["it is not signed by an allowed signer"]);
        assert_eq!(
            reasons(&[approval("p1", Some("ann@example.com"), 1)]),
            ["nobody can approve what they ask for"]
        );
        assert_eq!(reasons(&[approval("p1", Some("bob@example.com"), 0)]), ["it has expired"]);
        assert_eq!(
            reasons(&[approval("p1", Some("bob@example.com"), 1), (used, None)]),
            ["it was used already"]
        );
        assert!(reasons(&[approval("p2", Some("bob@example.com"), 1)]).is_empty());
        // The clock of the machine that deployed was an hour slow.
        let slow = Record { at: Timestamp(0), ..started("p1", "d1") };
        let ann = Signer { principal: "ann@example.com".to_owned(), key: "SHA256:ann".to_owned() };
        assert_eq!(
            reasons(&[approval("p1", Some("bob@example.com"), 3_599_999), (Entry::Record(slow), Some(ann))]),
            ["it was used already"]
        );
    }

    #[test]
    fn approval_that_only_the_target_knows_to_be_used_does_not_count() {
        let bob = approval("p1", Some("bob@example.com"), 1);
        let used = [started("p1", "d1")];
        let count = |entries: &[_]| {
            let rules = ApprovalRules {
                plan: "p1",
                signers: Path::new("signers"),
                expires: HOUR,
                now: Timestamp(1000),
                requester: Requester::Named("Ann <ann@example.com>"),
                target: &used,
            };
            count_approvals("production", entries, &rules).valid.len()
        };
        assert_eq!(count(std::slice::from_ref(&bob)), 0);
        // The journal knows that the approval came after it.
        assert_eq!(count(&[(Entry::Record(started("p1", "d1")), None), bob]), 1);
    }

    #[test]
    fn requester_is_known_by_the_key_too() {
        let signer =
            |principal: &str, key: &str| Signer { principal: principal.to_owned(), key: key.to_owned() };
        let ann = signer("ann@example.com", "SHA256:a");
        let requester = Requester::Signer(&ann);
        assert!(requester.is(&signer("ann@example.com", "SHA256:b")));
        assert!(requester.is(&signer("ann@home.example", "SHA256:a")));
        assert!(!requester.is(&signer("bob@example.com", "SHA256:b")));
    }

    #[test]
    fn approval_after_a_use_counts_again() {
        let used = (Entry::Record(started("p1", "d1")), None);
        assert_eq!(count(&[used, approval("p1", Some("bob@example.com"), 1)]).valid.len(), 1);
    }

    #[test]
    fn old_deploy_that_was_offline_does_not_use_an_approval() {
        let used = (Entry::Record(started("p1", "d1")), None);
        let late = approval("p1", Some("bob@example.com"), 700_000);
        assert_eq!(count(&[late, used]).valid.len(), 1);
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        for entry in [Entry::Record(started("p1", "d1")), approval("p1", None, 1).0] {
            assert_eq!(serde_json::from_str::<Entry>(&json(&entry)).unwrap(), entry);
        }
    }

    #[test]
    fn deploys_are_listed_from_the_newest() {
        let end = Record {
            what: What::Ended { ending: Ending::Succeeded, serving: None, reason: "good".to_owned() },
            at: Timestamp(9),
            ..started("p1", "d1")
        };
        let deploys = past_deploys([started("p1", "d1"), end, started("p2", "d2")].into_iter());
        assert_eq!(deploys.iter().map(|past| &*past.deploy).collect::<Vec<_>>(), ["d2", "d1"]);
        assert_eq!((deploys[0].ending, deploys[1].ending), (None, Some(Ending::Succeeded)));
    }
}
