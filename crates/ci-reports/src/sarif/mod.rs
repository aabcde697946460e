//! Reads SARIF 2.1.0, the format for the findings of scanners.
//!
//! The file is streamed, and only what becomes a finding is kept. Rules, base URIs and the name of the
//! scanner may come after the results, so results are resolved at the end of their run.
//!
//! A run in which nothing was scanned is rejected: its results are `null` or missing, or an invocation
//! failed without reporting an error. All runs of a file must be valid. A run that reports an error may be
//! incomplete; [`Completeness`] says whether that is accepted.
//!
//! Read [`objects`] for the shapes of SARIF's objects, [`rules`] for rules and severities, and
//! [`invocation`] for whether the scanner succeeded.

mod invocation;
mod objects;
mod rules;

use std::collections::BTreeMap;

use serde::de::{Error, MapAccess, SeqAccess};

use self::invocation::{Errors, Invocation};
use self::objects::{Message, RawArtifact, RawArtifactLocation, RawResult, RawRuleReference, Suppressions};
use self::rules::{
    Component, ComponentReference, Level, Levels, Overrides, ResultKind, RuleReference, Rules,
    security_severity,
};
use super::budget::Budget;
use super::facts::{Finding, Location, Severity};
use super::json::{self, Array, Cut, Each, Items, Keys, Object};
use super::source::Source;
use super::{Completeness, Facts, ParseError, ReportKind, text, uri};

/// How the results of a report are used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ResultUse {
    /// Findings, or secrets if a scanner for secrets found them.
    Findings,
    /// Secrets.
    Secrets,
}

/// Reads a report.
pub(super) fn read(source: Source<'_>, of: ResultUse, extent: Completeness) -> Result<Facts, ParseError> {
    let budget = Budget::new();
    let found = CollectedResults::default();
    let mut log = Log { of, extent, budget: &budget, version: None, has_runs: false, found };
    json::read(source, ReportKind::Sarif.format(), &budget, &mut log)?;
    log.end()
}

/// The results of the runs so far.
#[derive(Default)]
struct CollectedResults {
    runs: u64,
    findings: Option<Vec<Finding>>,
    secrets: Option<Vec<Finding>>,
}

/// The whole file, while it is read.
struct Log<'b> {
    of: ResultUse,
    extent: Completeness,
    budget: &'b Budget,
    version: Option<String>,
    has_runs: bool,
    found: CollectedResults,
}

impl<'de> Object<'de> for Log<'_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "version" => self.version = Some(map.next_value::<Cut<40>>()?.0),
            "runs" => {
                let (of, extent, budget) = (self.of, self.extent, self.budget);
                let mut runs = Runs { of, extent, budget, found: &mut self.found };
                self.has_runs |= map.next_value_seed(Items(&mut runs))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Log<'_> {
    fn end(self) -> Result<Facts, ParseError> {
        let malformed = |what: String| Err(ParseError::malformed(ReportKind::Sarif.format(), what));
        match self.version {
            Some(version) if version.starts_with("2.1.0") => {}
            Some(version) => return malformed(format!("its version is `{version}`")),
            None => return malformed("it has no `version`".to_owned()),
        }
        if !self.has_runs || self.found.runs == 0 {
            return Err(ParseError::nothing_examined("it has no runs"));
        }
        Ok(Facts { findings: self.found.findings, secrets: self.found.secrets, ..Facts::default() })
    }
}

/// The runs of a file.
struct Runs<'b, 'f> {
    of: ResultUse,
    extent: Completeness,
    budget: &'b Budget,
    found: &'f mut CollectedResults,
}

impl<'de> Array<'de> for Runs<'_, '_> {
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut run = Run::new(self.budget);
        let Some(there) = seq.next_element_seed(Keys(&mut run))? else {
            return Ok(false);
        };
        if !there {
            return Err(A::Error::custom("a run is `null`"));
        }
        run.end(self.of, self.extent, self.found).map_err(|error| self.budget.stop(error))?;
        Ok(true)
    }
}

/// One run while it is read.
struct Run<'b> {
    budget: &'b Budget,
    driver: Component,
    extensions: Vec<Component>,
    bases: Bases,
    has_results: bool,
    results: Vec<Pending>,
    failure: Option<String>,
    errors: Errors,
    /// The number of invocations.
    calls: usize,
    /// The overrides of the invocations that have any, with the indices of the invocations.
    overrides: Vec<(usize, Overrides)>,
}

impl<'b> Run<'b> {
    fn new(budget: &'b Budget) -> Self {
        Self {
            budget,
            driver: Component::default(),
            extensions: Vec::new(),
            bases: Bases::default(),
            has_results: false,
            results: Vec::new(),
            failure: None,
            errors: Errors::default(),
            calls: 0,
            overrides: Vec::new(),
        }
    }

    fn end(
        self,
        of: ResultUse,
        extent: Completeness,
        found: &mut CollectedResults,
    ) -> Result<(), ParseError> {
        let rules = Rules::new(self.driver, self.extensions);
        let tool = if rules.tool().is_empty() { "the scanner" } else { rules.tool() };
        if let Some(what) = self.failure {
            return Err(ParseError::ToolFailed { what: format!("{tool}: {what}") });
        }
        if !self.has_results {
            let what = format!("{tool}: its run has no list of `results`, and an empty one is required");
            return Err(ParseError::nothing_examined(what));
        }
        found.runs += 1;
        let all_secrets = of == ResultUse::Secrets || rules.scans_for_secrets_alone();
        let left_out = self.errors.describe(!all_secrets && !rules.scans_for_secrets());
        if let Some(what) = left_out.filter(|_| extent == Completeness::Full) {
            return Err(ParseError::Incomplete { what: format!("{tool}: {what}") });
        }
        if all_secrets || rules.scans_for_secrets() {
            found.secrets.get_or_insert_default();
        }
        if !all_secrets {
            found.findings.get_or_insert_default();
        }
        let levels = Levels::resolve(self.calls, self.overrides, &rules)?;
        let run = RunContext { rules: &rules, levels: &levels, bases: &self.bases };
        for pending in self.results {
            let (finding, secret) = pending.resolve(&run, all_secrets);
            self.budget.store(finding.tool.len())?;
            let list = if secret { &mut found.secrets } else { &mut found.findings };
            list.get_or_insert_default().push(finding);
        }
        Ok(())
    }
}

impl<'de> Object<'de> for Run<'_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let budget = self.budget;
        match key {
            "tool" => {
                let mut tool = Tool { budget, driver: &mut self.driver, extensions: &mut self.extensions };
                map.next_value_seed(Keys(&mut tool))?;
            }
            "results" => {
                let results = &mut self.results;
                let mut each = Each::new(budget, |raw: RawResult| {
                    if let Some(pending) = Pending::from_raw(raw)? {
                        budget.keep(pending.size())?;
                        results.push(pending);
                    }
                    Ok(())
                });
                self.has_results |= map.next_value_seed(Items(&mut each))?;
            }
            "originalUriBaseIds" => {
                map.next_value_seed(Keys(&mut self.bases.named(budget)))?;
            }
            "artifacts" => {
                let bases = &mut self.bases;
                let mut each = Each::new(budget, |artifact: RawArtifact| bases.artifact(artifact, budget));
                map.next_value_seed(Items(&mut each))?;
            }
            "invocations" => {
                let (failure, errors) = (&mut self.failure, &mut self.errors);
                let (calls, all) = (&mut self.calls, &mut self.overrides);
                let mut each = Each::new(budget, |mut invocation: Invocation| {
                    let overrides = invocation.overrides();
                    if !overrides.is_empty() {
                        budget.keep(overrides.size())?;
                        all.push((*calls, overrides));
                    }
                    *calls += 1;
                    let (failed, noted) = invocation.outcome();
                    *failure = failure.take().or(failed);
                    *errors = std::mem::take(errors).join(noted);
                    Ok(())
                });
                map.next_value_seed(Items(&mut each))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The scanner of a run.
struct Tool<'b, 'c> {
    budget: &'b Budget,
    driver: &'c mut Component,
    extensions: &'c mut Vec<Component>,
}

impl<'de> Object<'de> for Tool<'_, '_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "driver" => {
                map.next_value_seed(Keys(&mut self.driver.reader(self.budget)))?;
            }
            "extensions" => {
                let mut extensions = Extensions { budget: self.budget, extensions: self.extensions };
                map.next_value_seed(Items(&mut extensions))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

struct Extensions<'b, 'c> {
    budget: &'b Budget,
    extensions: &'c mut Vec<Component>,
}

impl<'de> Array<'de> for Extensions<'_, '_> {
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut component = Component::default();
        if seq.next_element_seed(Keys(&mut component.reader(self.budget)))?.is_none() {
            return Ok(false);
        }
        self.budget.keep(0).map_err(|error| self.budget.stop(error))?;
        self.extensions.push(component);
        Ok(true)
    }
}

/// The address of a file, as it is written in the report.
#[derive(Default)]
struct Address {
    uri: String,
    base: String,
}

impl Address {
    fn from_raw(raw: RawArtifactLocation) -> Self {
        Self { uri: raw.uri.unwrap_or_default().0, base: raw.uri_base_id.unwrap_or_default().0 }
    }
}

/// The base URIs and artifacts that addresses refer to.
#[derive(Default)]
struct Bases {
    named: BTreeMap<String, Address>,
    artifacts: Vec<Address>,
}

impl Bases {
    /// Returns the reader of `originalUriBaseIds`.
    fn named<'b>(&'b mut self, budget: &'b Budget) -> NamedBases<'b> {
        NamedBases { bases: self, budget }
    }

    /// Adds a file that results refer to by index.
    fn artifact(&mut self, raw: RawArtifact, budget: &Budget) -> Result<(), ParseError> {
        let address = Address::from_raw(raw.location.unwrap_or_default());
        budget.store(size_of::<Address>() + address.uri.len() + address.base.len())?;
        self.artifacts.push(address);
        Ok(())
    }

    /// Returns the path of a file. It stays relative if its base has no address, as the root of a
    /// repository may have none.
    fn path(&self, address: &Address) -> String {
        let mut whole = address.uri.clone();
        let mut base = &address.base;
        // A base may be relative to another base. The limit ends a cycle.
        for _ in 0..10 {
            let Some(next) = self.named.get(base) else { break };
            whole = uri::join(&next.uri, &whole);
            base = &next.base;
        }
        uri::to_path(&whole)
    }
}

/// Reads `originalUriBaseIds`.
struct NamedBases<'b> {
    bases: &'b mut Bases,
    budget: &'b Budget,
}

impl<'de> Object<'de> for NamedBases<'_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let address = Address::from_raw(map.next_value::<Option<RawArtifactLocation>>()?.unwrap_or_default());
        self.budget.keep(key.len() + address.uri.len()).map_err(|error| self.budget.stop(error))?;
        self.bases.named.insert(key.to_owned(), address);
        Ok(true)
    }
}

/// What is needed to resolve the results of a run, at its end.
struct RunContext<'r> {
    rules: &'r Rules,
    levels: &'r Levels,
    bases: &'r Bases,
}

/// A result whose rule and address are not resolved yet.
struct Pending {
    rule: RuleReference,
    /// The index of the invocation that produced it.
    call: Option<u32>,
    kind: ResultKind,
    level: Option<Level>,
    severity: Option<Severity>,
    message: String,
    address: Option<Address>,
    artifact: Option<usize>,
    line: Option<u32>,
    end_line: Option<u32>,
    content: Option<String>,
    accepted: Option<String>,
}

impl Pending {
    /// Converts a result. Returns `None` if it does not report a problem.
    fn from_raw(raw: RawResult) -> Result<Option<Self>, ParseError> {
        let kind = raw.kind.map_or(ResultKind::Fail, |kind| ResultKind::parse(&kind.0));
        if kind == ResultKind::Nothing || raw.baseline_state.is_some_and(|state| state.0 == "absent") {
            return Ok(None);
        }
        let physical = raw.locations.and_then(|first| first.0).and_then(|place| place.physical_location);
        let (location, region) =
            physical.map_or((None, None), |place| (place.artifact_location, place.region));
        let artifact = location.as_ref().and_then(|location| location.index);
        let address = location.map(Address::from_raw).filter(|address| !address.uri.is_empty());
        let number =
            |line: Option<i64>| line.and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0);
        let lines = region.as_ref().map(|region| (number(region.start_line), number(region.end_line)));
        let (line, end_line) = lines.unwrap_or_default();
        Ok(Some(Self {
            rule: reference(raw.rule_id, raw.rule_index, raw.rule),
            call: raw.provenance.and_then(|from| u32::try_from(from.invocation_index?).ok()),
            kind,
            level: raw.level.map(|level| Level::parse(&level.0)).transpose()?,
            severity: raw.properties.and_then(|properties| properties.severity).and_then(security_severity),
            message: raw.message.map(Message::line).unwrap_or_default(),
            address,
            artifact: artifact.and_then(|index| usize::try_from(index).ok()),
            line,
            end_line: end_line.filter(|end| line.is_some_and(|line| *end > line)),
            content: region.and_then(|region| region.snippet?.text).map(|digest| digest.0),
            accepted: raw.suppressions.and_then(Suppressions::accepted),
        }))
    }

    /// Returns the number of bytes of its texts.
    fn size(&self) -> usize {
        let address = self.address.as_ref().map_or(0, |address| address.uri.len() + address.base.len());
        self.rule.id.len() + self.message.len() + address + self.accepted.as_ref().map_or(0, String::len)
    }

    /// Returns the finding, and whether it is a secret. The message of a secret is replaced by the
    /// description of its rule, because it may contain the secret.
    fn resolve(self, run: &RunContext<'_>, all_secrets: bool) -> (Finding, bool) {
        let RunContext { rules, levels, bases } = run;
        let place = rules.place(&self.rule);
        let rule = place.and_then(|place| rules.get(place));
        let secret = all_secrets || rule.is_some_and(|rule| rule.secret);
        let set = || levels.level(self.call, place, &self.rule.id);
        let level = self.level.or_else(set).or(rule.and_then(|rule| rule.level)).unwrap_or(Level::Warning);
        let number = self.severity.or(rule.and_then(|rule| rule.severity));
        let severity = match self.kind {
            ResultKind::Undecided => Severity::Note,
            _ => number.unwrap_or(level.severity()),
        };
        let id = match rule {
            Some(rule) if self.rule.id.is_empty() => rule.id.clone(),
            _ => self.rule.id,
        };
        let description = rule.map_or_else(|| id.clone(), |rule| rule.description.clone());
        let artifact = self.artifact.and_then(|index| bases.artifacts.get(index));
        let path = self.address.as_ref().or(artifact).map(|address| bases.path(address));
        let place = path.filter(|path| !path.is_empty()).map(|path| Location {
            path: text::one_line(&path, 1_000),
            line: self.line,
            end_line: self.end_line,
        });
        let finding = Finding {
            severity,
            tool: rules.tool().to_owned(),
            rule: id,
            message: if secret || self.message.is_empty() { description } else { self.message },
            place,
            content: self.content,
            accepted: self.accepted,
        };
        (finding, secret)
    }
}

fn reference(id: Option<Cut<500>>, index: Option<i64>, rule: Option<RawRuleReference>) -> RuleReference {
    let (other_id, other_index, component) =
        rule.map_or((None, None, None), |rule| (rule.id, rule.index, rule.tool_component));
    RuleReference {
        id: id.or(other_id).map(|id| text::one_line(&id.0, 200)).unwrap_or_default(),
        index: other_index.or(index).and_then(|index| usize::try_from(index).ok()),
        component: component.map(ComponentReference::from_raw),
    }
}

#[cfg(test)]
mod tests;
