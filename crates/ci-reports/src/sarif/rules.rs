//! The rules of a scanner, and which of them a result is of. It must not know what results say.

use std::collections::HashMap;

use serde::de::MapAccess;

use super::level::{Level, security_severity};
use super::raw;
use crate::ParseError;
use crate::budget::Budget;
use crate::facts::Severity;
use crate::json::{Cut, Each, Items, Object};
use crate::text;

/// Scanners all of whose results are secrets, as far as their names go.
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
    /// What it looks for; its id if it doesn't say.
    pub(super) description: String,
    pub(super) level: Option<Level>,
    pub(super) severity: Option<Severity>,
    pub(super) secret: bool,
}

impl Rule {
    fn of(raw: raw::Rule) -> Result<Self, ParseError> {
        let id = raw.id.map(|id| text::one_line(&id.0, 200)).unwrap_or_default();
        let level = raw.default_configuration.and_then(|configuration| configuration.level);
        let properties = raw.properties.unwrap_or_default();
        let texts = [raw.short_description, raw.full_description];
        let description = texts
            .into_iter()
            .flatten()
            .map(raw::Message::line)
            .chain(raw.name.map(|name| text::one_line(&name.0, 200)))
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| id.clone());
        Ok(Self {
            id,
            description,
            level: level.map(|level| Level::of(&level.0)).transpose()?,
            severity: properties.severity.and_then(security_severity),
            secret: properties.secret,
        })
    }
}

/// A scanner, or a part that extends one.
#[derive(Default)]
pub(super) struct Component {
    pub(super) name: String,
    guid: String,
    rules: Vec<Rule>,
}

impl Component {
    /// What reads it.
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
                let mut each = Each::new(budget, |raw: raw::Rule| {
                    let rule = Rule::of(raw)?;
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

/// Which rule a result is of, as it says.
pub(super) struct Reference {
    pub(super) id: String,
    pub(super) index: Option<usize>,
    pub(super) component: Option<ComponentReference>,
}

/// Which part of the scanner has the rule.
pub(super) struct ComponentReference {
    name: String,
    index: Option<usize>,
    guid: String,
}

impl ComponentReference {
    /// The reference that a report writes.
    pub(super) fn of(raw: raw::ComponentReference) -> Self {
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
    /// Of each component, where the rule of an id is.
    places: Vec<HashMap<String, usize>>,
}

impl Rules {
    /// The rules of a scanner and its extensions.
    pub(super) fn new(driver: Component, extensions: Vec<Component>) -> Self {
        let components: Vec<_> = std::iter::once(driver).chain(extensions).collect();
        let place = |component: &Component| {
            component.rules.iter().enumerate().rev().map(|(place, rule)| (rule.id.clone(), place)).collect()
        };
        Self { places: components.iter().map(place).collect(), components }
    }

    /// The scanner's name.
    pub(super) fn tool(&self) -> &str {
        &self.components[0].name
    }

    /// Whether all that it finds are secrets.
    pub(super) fn scans_for_secrets_alone(&self) -> bool {
        let name: String =
            self.tool().to_lowercase().chars().filter(|character| character.is_alphanumeric()).collect();
        SECRET_SCANNERS.iter().any(|scanner| name.contains(scanner))
    }

    /// Whether it has a rule for secrets.
    pub(super) fn scans_for_secrets(&self) -> bool {
        self.components.iter().flat_map(|component| &component.rules).any(|rule| rule.secret)
    }

    /// The rule at a place: that of its component, and its own there.
    pub(super) fn at(&self, (component, index): (usize, usize)) -> Option<&Rule> {
        self.components.get(component)?.rules.get(index)
    }

    /// The place of the rule that a result refers to: by its index if that has the id that is named, or by its id,
    /// in the component that is named, or in all.
    pub(super) fn place(&self, reference: &Reference) -> Option<(usize, usize)> {
        let named = reference.component.as_ref().and_then(|component| self.component(component));
        let first = named.unwrap_or(0);
        if let Some(index) = reference.index
            && let Some(rule) = self.at((first, index))
            && (reference.id.is_empty() || fits(&reference.id, &rule.id))
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

    /// The rule of an id, or of an id that this one is a case of: `CA1000/1` is one of `CA1000`.
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

/// Whether an id is that of a rule, or a case of it.
fn fits(id: &str, rule: &str) -> bool {
    rule.is_empty() || id.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
