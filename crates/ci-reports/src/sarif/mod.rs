//! SARIF 2.1.0: what scanners found, run by run. It must not know what is demanded of findings.
//!
//! The file is read as it comes and only what becomes a finding is kept. Rules, bases of addresses and
//! the scanner's name may stand behind the results, so what depends on them is settled when their run
//! ends.
//!
//! A run in which nothing was scanned is no evidence: its results are `null` or absent, or an
//! invocation says that it did not succeed, and notes no error for which. Each run of a file must have
//! been one. One that notes an error may have left something out; whether that will do is asked by
//! [`Completeness`].

mod invocation;
mod level;
mod overrides;
mod raw;
mod rules;
mod settle;

use serde::de::{Error, MapAccess, SeqAccess};

use self::invocation::{Errors, Invocation};
use self::overrides::{Levels, Overrides};
use self::raw::{Artifact, Result as RawResult};
use self::rules::Component;
use self::settle::{Bases, Pending, Run as Ended};
use super::budget::Budget;
use super::facts::Finding;
use super::json::{self, Array, Cut, Each, Items, Keys, Object};
use super::source::Source;
use super::{Completeness, Facts, Kind, ParseError};

/// What the results of a report are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Findings, or secrets where a scanner for secrets found them.
    Findings,
    /// Secrets, all of them.
    Secrets,
}

/// Reads a report.
pub(super) fn read(source: Source<'_>, of: Of, extent: Completeness) -> Result<Facts, ParseError> {
    let budget = Budget::new();
    let found = Found::default();
    let mut log = Log { of, extent, budget: &budget, version: None, has_runs: false, found };
    json::read(source, Kind::Sarif.format(), &budget, &mut log)?;
    log.end()
}

/// What all runs so far found.
#[derive(Default)]
struct Found {
    runs: u64,
    findings: Option<Vec<Finding>>,
    secrets: Option<Vec<Finding>>,
}

/// The whole file.
struct Log<'b> {
    of: Of,
    extent: Completeness,
    budget: &'b Budget,
    version: Option<String>,
    has_runs: bool,
    found: Found,
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
        let malformed = |what: String| Err(ParseError::malformed(Kind::Sarif.format(), what));
        match self.version {
            Some(version) if version.starts_with("2.1.0") => {}
            Some(version) => return malformed(format!("its version is `{version}`")),
            None => return malformed("it has no `version`".to_owned()),
        }
        if !self.has_runs || self.found.runs == 0 {
            return Err(ParseError::nothing("it has no runs"));
        }
        Ok(Facts { findings: self.found.findings, secrets: self.found.secrets, ..Facts::default() })
    }
}

/// The runs of a file.
struct Runs<'b, 'f> {
    of: Of,
    extent: Completeness,
    budget: &'b Budget,
    found: &'f mut Found,
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
        run.end(self.of, self.extent, self.found).map_err(|flaw| self.budget.stop(flaw))?;
        Ok(true)
    }
}

/// One run so far.
struct Run<'b> {
    budget: &'b Budget,
    driver: Component,
    extensions: Vec<Component>,
    bases: Bases,
    has_results: bool,
    results: Vec<Pending>,
    failure: Option<String>,
    errors: Errors,
    /// How many invocations there are.
    calls: usize,
    /// What those set otherwise that set anything.
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

    fn end(self, of: Of, extent: Completeness, found: &mut Found) -> Result<(), ParseError> {
        let rules = rules::Rules::new(self.driver, self.extensions);
        let tool = if rules.tool().is_empty() { "the scanner" } else { rules.tool() };
        if let Some(what) = self.failure {
            return Err(ParseError::ToolFailed { what: format!("{tool}: {what}") });
        }
        if !self.has_results {
            let what = format!("{tool}: its run has no `results`, not even an empty list of them");
            return Err(ParseError::nothing(what));
        }
        found.runs += 1;
        let all_secrets = of == Of::Secrets || rules.scans_for_secrets_alone();
        let left_out = self.errors.words(!all_secrets && !rules.scans_for_secrets());
        if let Some(what) = left_out.filter(|_| extent == Completeness::Full) {
            return Err(ParseError::Incomplete { what: format!("{tool}: {what}") });
        }
        if all_secrets || rules.scans_for_secrets() {
            found.secrets.get_or_insert_default();
        }
        if !all_secrets {
            found.findings.get_or_insert_default();
        }
        let levels = Levels::of(self.calls, self.overrides, &rules)?;
        let run = Ended { rules: &rules, levels: &levels, bases: &self.bases };
        for pending in self.results {
            let (finding, secret) = pending.settle(&run, all_secrets);
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
                    if let Some(pending) = Pending::of(raw)? {
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
                let mut each = Each::new(budget, |artifact: Artifact| bases.artifact(artifact, budget));
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
                    *errors = std::mem::take(errors).and(noted);
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
        self.budget.keep(0).map_err(|flaw| self.budget.stop(flaw))?;
        self.extensions.push(component);
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
