//! The rules of a scanner: which rule a result refers to, and how severe the result is.

use std::collections::HashMap;

use serde::de::{Deserialize, DeserializeSeed as _, Deserializer, Error, MapAccess, SeqAccess};

use super::objects::{Message, RawComponentReference, RawConfiguration, RawRule};
use crate::budget::Budget;
use crate::facts::Severity;
use crate::json::{Array, Cut, Each, Items, Object};
use crate::{ParseError, ReportKind, text};

/// The names of scanners that only find secrets.
const SECRET_SCANNERS: [&str; 9] = [
    "gitleaks",
    "trufflehog",
    "secretlint",
    "detectsecrets",
    "kingfisher",
    "noseyparker",
    "titus",
    "ggshield",
    "gitguardian",
];

/// A rule.
pub(super) struct Rule {
    pub(super) id: String,
    /// The description of the rule, or its id.
    pub(super) description: String,
    pub(super) level: Option<Level>,
    pub(super) severity: Option<Severity>,
    pub(super) secret: bool,
}

impl Rule {
    fn from_raw(raw: RawRule) -> Result<Self, ParseError> {
        let id = raw.id.map(|id| text::one_line(&id.0, 200)).unwrap_or_default();
        let level = raw.default_configuration.and_then(|configuration| configuration.level);
        let properties = raw.properties.unwrap_or_default();
        let texts = [raw.short_description, raw.full_description];
        let description = texts
            .into_iter()
            .flatten()
            .map(Message::line)
            .chain(raw.name.map(|name| text::one_line(&name.0, 200)))
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| id.clone());
        Ok(Self {
            id,
            description,
            level: level.map(|level| Level::parse(&level.0)).transpose()?,
            severity: properties.severity.and_then(security_severity),
            secret: properties.secret,
        })
    }
}

/// A scanner or one of its extensions.
#[derive(Default)]
pub(super) struct Component {
    pub(super) name: String,
    guid: String,
    rules: Vec<Rule>,
}

impl Component {
    /// Returns the reader of the component.
    pub(super) fn reader<'c>(&'c mut self, budget: &'c Budget) -> ComponentReader<'c> {
        ComponentReader { component: self, budget }
    }
}

/// Reads a component.
pub(super) struct ComponentReader<'c> {
    component: &'c mut Component,
    budget: &'c Budget,
}

impl<'de> Object<'de> for ComponentReader<'_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let budget = self.budget;
        match key {
            "name" => {
                let name = map.next_value::<Option<Cut<200>>>()?.unwrap_or_default();
                self.component.name = text::one_line(&name.0, 100);
            }
            "guid" => self.component.guid = map.next_value::<Option<Cut<80>>>()?.unwrap_or_default().0,
            "rules" => {
                let rules = &mut self.component.rules;
                let mut each = Each::new(budget, |raw: RawRule| {
                    let rule = Rule::from_raw(raw)?;
                    budget.keep(rule.id.len() + rule.description.len())?;
                    rules.push(rule);
                    Ok(())
                });
                map.next_value_seed(Items(&mut each))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A reference to the rule of a result.
pub(super) struct RuleReference {
    pub(super) id: String,
    pub(super) index: Option<usize>,
    pub(super) component: Option<ComponentReference>,
}

/// A reference to a component.
pub(super) struct ComponentReference {
    name: String,
    index: Option<usize>,
    guid: String,
}

impl ComponentReference {
    /// Converts a reference.
    pub(super) fn from_raw(raw: RawComponentReference) -> Self {
        Self {
            name: raw.name.map(|name| text::one_line(&name.0, 100)).unwrap_or_default(),
            index: raw.index.and_then(|index| usize::try_from(index).ok()),
            guid: raw.guid.unwrap_or_default().0,
        }
    }

    fn names(&self, component: &Component) -> bool {
        let same = |own: &str, other: &str| !own.is_empty() && own == other;
        same(&self.guid, &component.guid) || (self.guid.is_empty() && same(&self.name, &component.name))
    }
}

/// All rules of a run.
pub(super) struct Rules {
    /// The scanner itself, and then its extensions.
    components: Vec<Component>,
    /// For each component, the index of each rule by its id.
    places: Vec<HashMap<String, usize>>,
}

impl Rules {
    /// Collects the rules of a scanner and its extensions.
    pub(super) fn new(driver: Component, extensions: Vec<Component>) -> Self {
        let components: Vec<_> = std::iter::once(driver).chain(extensions).collect();
        let place = |component: &Component| {
            component.rules.iter().enumerate().rev().map(|(place, rule)| (rule.id.clone(), place)).collect()
        };
        Self { places: components.iter().map(place).collect(), components }
    }

    /// Returns the name of the scanner.
    pub(super) fn tool(&self) -> &str {
        &self.components[0].name
    }

    /// Returns whether the scanner only finds secrets.
    pub(super) fn scans_for_secrets_alone(&self) -> bool {
        let name: String =
            self.tool().to_lowercase().chars().filter(|character| character.is_alphanumeric()).collect();
        SECRET_SCANNERS.iter().any(|scanner| name.contains(scanner))
    }

    /// Returns whether the scanner has a rule for secrets.
    pub(super) fn scans_for_secrets(&self) -> bool {
        self.components.iter().flat_map(|component| &component.rules).any(|rule| rule.secret)
    }

    /// Returns the rule with this index of a component and of the rule in it.
    pub(super) fn get(&self, (component, index): (usize, usize)) -> Option<&Rule> {
        self.components.get(component)?.rules.get(index)
    }

    /// Returns the indices of the rule that a result refers to. An index is used if the rule there
    /// has the id that the result names. Otherwise the id is searched in the named component, or in
    /// all components.
    pub(super) fn place(&self, reference: &RuleReference) -> Option<(usize, usize)> {
        let named = reference.component.as_ref().and_then(|component| self.component(component));
        let first = named.unwrap_or(0);
        if let Some(index) = reference.index
            && let Some(rule) = self.get((first, index))
            && (reference.id.is_empty() || is_case_of(&reference.id, &rule.id))
        {
            return Some((first, index));
        }
        if reference.id.is_empty() {
            return None;
        }
        let all = 0..self.components.len();
        std::iter::once(first).chain(all).find_map(|component| self.by_id(component, &reference.id))
    }

    fn component(&self, reference: &ComponentReference) -> Option<usize> {
        let by_index = reference
            .index
            .map(|index| index.saturating_add(1))
            .filter(|place| *place < self.components.len());
        by_index.or_else(|| self.components.iter().position(|component| reference.names(component)))
    }

    /// Finds a rule by its id or a prefix of it: `CA1000/1` is a case of `CA1000`.
    fn by_id(&self, component: usize, id: &str) -> Option<(usize, usize)> {
        let places = &self.places[component];
        let mut id = id;
        loop {
            if let Some(place) = places.get(id) {
                return Some((component, *place));
            }
            id = id.rsplit_once('/')?.0;
        }
    }
}

/// Returns whether an id is that of a rule or of one of its cases.
fn is_case_of(id: &str, rule: &str) -> bool {
    rule.is_empty() || id.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// SARIF's `level`, in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Level {
    None,
    Note,
    Warning,
    Error,
}

impl Level {
    /// Parses a level.
    pub(super) fn parse(name: &str) -> Result<Self, ParseError> {
        match name {
            "none" => Ok(Self::None),
            "note" => Ok(Self::Note),
            "warning" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            other => {
                let other = text::one_line(other, 40);
                let what = format!("unknown level `{other}`; the levels are none, note, warning and error");
                Err(ParseError::malformed(ReportKind::Sarif.format(), what))
            }
        }
    }

    /// Returns the severity of results without a `security-severity`.
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::None | Self::Note => Severity::Note,
            Self::Warning => Severity::Medium,
            Self::Error => Severity::High,
        }
    }
}

/// SARIF's `kind`: whether a problem was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ResultKind {
    /// A problem was found.
    Fail,
    /// It is undecided: `review` or `open`. SARIF gives it no level, so it counts as a note.
    Undecided,
    /// No problem was found: `pass`, `notApplicable`, `informational`.
    Nothing,
}

impl ResultKind {
    /// Parses a kind. An unknown one counts as a problem.
    pub(super) fn parse(name: &str) -> Self {
        match name {
            "pass" | "notApplicable" | "informational" => Self::Nothing,
            "open" | "review" => Self::Undecided,
            _ => Self::Fail,
        }
    }
}

/// Returns the severity for GitHub's `security-severity`; `None` if the number is 0 or out of range.
pub(super) fn security_severity(number: f64) -> Option<Severity> {
    match number {
        number if (9.0..=10.0).contains(&number) => Some(Severity::Critical),
        number if (7.0..9.0).contains(&number) => Some(Severity::High),
        number if (4.0..7.0).contains(&number) => Some(Severity::Medium),
        number if number > 0.0 && number < 4.0 => Some(Severity::Low),
        _ => None,
    }
}

/// The maximum number of overrides of one invocation.
const MAX_OVERRIDES: usize = 100_000;

/// The overrides of one invocation.
#[derive(Default)]
pub(super) struct Overrides(Vec<Override>);

/// One override.
struct Override {
    rule: RuleReference,
    /// The level that it sets, if it does.
    level: Option<Cut<40>>,
}

#[derive(serde::Deserialize)]
struct RawOverride {
    descriptor: Descriptor,
    configuration: Option<RawConfiguration>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: Option<Cut<500>>,
    index: Option<i64>,
    tool_component: Option<RawComponentReference>,
}

impl<'de> Deserialize<'de> for Overrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut overrides = Self::default();
        Items(&mut overrides).deserialize(deserializer)?;
        Ok(overrides)
    }
}

impl<'de> Array<'de> for Overrides {
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let Some(RawOverride { descriptor, configuration }) = seq.next_element()? else {
            return Ok(false);
        };
        if self.0.len() == MAX_OVERRIDES {
            return Err(A::Error::custom("an invocation has too many `ruleConfigurationOverrides`"));
        }
        let rule = RuleReference {
            id: descriptor.id.map(|id| text::one_line(&id.0, 200)).unwrap_or_default(),
            index: descriptor.index.and_then(|index| usize::try_from(index).ok()),
            component: descriptor.tool_component.map(ComponentReference::from_raw),
        };
        self.0.push(Override { rule, level: configuration.and_then(|configuration| configuration.level) });
        Ok(true)
    }
}

impl Overrides {
    /// Returns the number of bytes that they take.
    pub(super) fn size(&self) -> usize {
        self.0.iter().map(|one| size_of::<Override>() + one.rule.id.len()).sum()
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A rule, by its indices, or by its id if the scanner does not describe it.
#[derive(PartialEq, Eq, Hash)]
enum RuleKey {
    Place((usize, usize)),
    Id(String),
}

/// The levels of rules that the invocations of a run override.
#[derive(Default)]
pub(super) struct Levels {
    /// The number of invocations.
    calls: usize,
    /// The levels of rules by the index of the invocation.
    set: HashMap<usize, HashMap<RuleKey, Level>>,
}

impl Levels {
    /// Resolves the overrides of all invocations.
    pub(super) fn resolve(
        calls: usize,
        set: Vec<(usize, Overrides)>,
        rules: &Rules,
    ) -> Result<Self, ParseError> {
        let mut levels = Self { calls, set: HashMap::new() };
        for (call, Overrides(overrides)) in set {
            let known = levels.set.entry(call).or_default();
            for Override { rule, level } in overrides {
                let place = rules.place(&rule);
                let own = place.and_then(|place| rules.get(place)).and_then(|rule| rule.level);
                let level = match level {
                    Some(level) => Level::parse(&level.0)?,
                    // A configuration without a level has the level of a warning. But it may only
                    // set something else, so it must not lower the level of an error.
                    None => own.unwrap_or(Level::Warning).max(Level::Warning),
                };
                let of = place.map_or_else(|| RuleKey::Id(rule.id), RuleKey::Place);
                let gravest = known.entry(of).or_insert(level);
                *gravest = level.max(*gravest);
            }
        }
        Ok(levels)
    }

    /// Returns the level that an invocation sets for a rule. The result names the invocation,
    /// unless there is only one.
    pub(super) fn level(&self, call: Option<u32>, place: Option<(usize, usize)>, id: &str) -> Option<Level> {
        let call = match call {
            Some(call) => usize::try_from(call).ok()?,
            None if self.calls == 1 => 0,
            None => return None,
        };
        let set = self.set.get(&call)?;
        if let Some(place) = place {
            return set.get(&RuleKey::Place(place)).copied();
        }
        // An id may be a case of a rule: `CA1000/1` is a case of `CA1000`.
        let mut id = id;
        loop {
            if let Some(level) = set.get(&RuleKey::Id(id.to_owned())) {
                return Some(*level);
            }
            id = id.rsplit_once('/')?.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_mapped_to_severities() {
        let cases = [
            (10.0, Some(Severity::Critical)),
            (9.0, Some(Severity::Critical)),
            (8.9, Some(Severity::High)),
            (7.0, Some(Severity::High)),
            (6.9, Some(Severity::Medium)),
            (4.0, Some(Severity::Medium)),
            (3.9, Some(Severity::Low)),
            (0.1, Some(Severity::Low)),
            (0.0, None),
            (-1.0, None),
            (10.1, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ];
        for (number, severity) in cases {
            assert_eq!(security_severity(number), severity, "{number}");
        }
    }
}
