//! Results of a run, from what they say themselves to findings. It must not know JSON.

use std::collections::BTreeMap;

use serde::de::MapAccess;

use super::level::{Kind, Level, security_severity};
use super::overrides::Levels;
use super::raw::{self, ArtifactLocation};
use super::rules::{ComponentReference, Reference, Rules};
use crate::ParseError;
use crate::budget::Budget;
use crate::facts::{Finding, Severity, Spot};
use crate::json::{Cut, Object};
use crate::{text, uri};

/// A file's address as it is written.
#[derive(Default)]
struct Address {
    uri: String,
    base: String,
}

impl Address {
    fn of(raw: ArtifactLocation) -> Self {
        Self { uri: raw.uri.unwrap_or_default().0, base: raw.uri_base_id.unwrap_or_default().0 }
    }
}

/// What addresses refer to.
#[derive(Default)]
pub(super) struct Bases {
    named: BTreeMap<String, Address>,
    artifacts: Vec<Address>,
}

impl Bases {
    /// What reads `originalUriBaseIds`.
    pub(super) fn named<'b>(&'b mut self, budget: &'b Budget) -> NamedBases<'b> {
        NamedBases { bases: self, budget }
    }

    /// Adds a file that results refer to by its index.
    pub(super) fn artifact(&mut self, raw: raw::Artifact, budget: &Budget) -> Result<(), ParseError> {
        let address = Address::of(raw.location.unwrap_or_default());
        budget.store(size_of::<Address>() + address.uri.len() + address.base.len())?;
        self.artifacts.push(address);
        Ok(())
    }

    /// The path of a file. A base without an address, such as the root of a repository, leaves it
    /// relative.
    fn path(&self, address: &Address) -> String {
        let mut whole = address.uri.clone();
        let mut base = &address.base;
        // Bases may be below bases, but not in a circle.
        for _ in 0..10 {
            let Some(next) = self.named.get(base) else { break };
            whole = uri::join(&next.uri, &whole);
            base = &next.base;
        }
        uri::path_of(&whole)
    }
}

/// Reads `originalUriBaseIds`.
pub(super) struct NamedBases<'b> {
    bases: &'b mut Bases,
    budget: &'b Budget,
}

impl<'de> Object<'de> for NamedBases<'_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let address = Address::of(map.next_value::<Option<ArtifactLocation>>()?.unwrap_or_default());
        self.budget.keep(key.len() + address.uri.len()).map_err(|flaw| self.budget.stop(flaw))?;
        self.bases.named.insert(key.to_owned(), address);
        Ok(true)
    }
}

/// What results of a run are settled by, once it has ended.
pub(super) struct Run<'r> {
    pub(super) rules: &'r Rules,
    pub(super) levels: &'r Levels,
    pub(super) bases: &'r Bases,
}

/// A result whose rule and address are not known yet.
pub(super) struct Pending {
    rule: Reference,
    /// The call of the scanner that it comes from.
    call: Option<u32>,
    kind: Kind,
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
    /// What a result says; `None` if it tells of nothing that was found.
    pub(super) fn of(raw: raw::Result) -> Result<Option<Self>, ParseError> {
        let kind = raw.kind.map_or(Kind::Fail, |kind| Kind::of(&kind.0));
        if kind == Kind::Nothing || raw.baseline_state.is_some_and(|state| state.0 == "absent") {
            return Ok(None);
        }
        let physical = raw.locations.and_then(|first| first.0).and_then(|place| place.physical_location);
        let (location, region) =
            physical.map_or((None, None), |place| (place.artifact_location, place.region));
        let artifact = location.as_ref().and_then(|location| location.index);
        let address = location.map(Address::of).filter(|address| !address.uri.is_empty());
        let number =
            |line: Option<i64>| line.and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0);
        let lines = region.as_ref().map(|region| (number(region.start_line), number(region.end_line)));
        let (line, end_line) = lines.unwrap_or_default();
        Ok(Some(Self {
            rule: reference(raw.rule_id, raw.rule_index, raw.rule),
            call: raw.provenance.and_then(|from| u32::try_from(from.invocation_index?).ok()),
            kind,
            level: raw.level.map(|level| Level::of(&level.0)).transpose()?,
            severity: raw.properties.and_then(|properties| properties.severity).and_then(security_severity),
            message: raw.message.map(raw::Message::line).unwrap_or_default(),
            address,
            artifact: artifact.and_then(|index| usize::try_from(index).ok()),
            line,
            end_line: end_line.filter(|end| line.is_some_and(|line| *end > line)),
            content: region.and_then(|region| region.snippet?.text).map(|digest| digest.0),
            accepted: raw.suppressions.and_then(raw::Suppressions::accepted),
        }))
    }

    /// The bytes of its texts.
    pub(super) fn size(&self) -> usize {
        let address = self.address.as_ref().map_or(0, |address| address.uri.len() + address.base.len());
        self.rule.id.len() + self.message.len() + address + self.accepted.as_ref().map_or(0, String::len)
    }

    /// The finding, and whether it is a secret. Of a secret, only its rule says what it is: the
    /// scanner's message may repeat it.
    pub(super) fn settle(self, run: &Run<'_>, all_secrets: bool) -> (Finding, bool) {
        let Run { rules, levels, bases } = run;
        let place = rules.place(&self.rule);
        let rule = place.and_then(|place| rules.at(place));
        let secret = all_secrets || rule.is_some_and(|rule| rule.secret);
        let set = || levels.level(self.call, place, &self.rule.id);
        let level = self.level.or_else(set).or(rule.and_then(|rule| rule.level)).unwrap_or(Level::Warning);
        let number = self.severity.or(rule.and_then(|rule| rule.severity));
        let severity = match self.kind {
            Kind::Undecided => Severity::Note,
            _ => number.unwrap_or(level.severity()),
        };
        let id = match rule {
            Some(rule) if self.rule.id.is_empty() => rule.id.clone(),
            _ => self.rule.id,
        };
        let description = rule.map_or_else(|| id.clone(), |rule| rule.description.clone());
        let artifact = self.artifact.and_then(|index| bases.artifacts.get(index));
        let path = self.address.as_ref().or(artifact).map(|address| bases.path(address));
        let place = path.filter(|path| !path.is_empty()).map(|path| Spot {
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

fn reference(id: Option<Cut<500>>, index: Option<i64>, rule: Option<raw::RuleReference>) -> Reference {
    let (other_id, other_index, component) =
        rule.map_or((None, None, None), |rule| (rule.id, rule.index, rule.tool_component));
    Reference {
        id: id.or(other_id).map(|id| text::one_line(&id.0, 200)).unwrap_or_default(),
        index: other_index.or(index).and_then(|index| usize::try_from(index).ok()),
        component: component.map(ComponentReference::of),
    }
}
