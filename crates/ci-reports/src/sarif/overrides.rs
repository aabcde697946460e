//! What calls of a scanner set otherwise than its rules do by default. It must not know results beyond
//! the rule and the call that they name.

use std::collections::HashMap;

use serde::de::{Deserialize, DeserializeSeed as _, Deserializer, Error, SeqAccess};

use super::level::Level;
use super::raw::{ComponentReference as RawComponent, Configuration};
use super::rules::{ComponentReference, Reference, Rules};
use crate::json::{Array, Cut, Items};
use crate::{ParseError, text};

/// The most that one call may set otherwise.
const MOST: usize = 100_000;

/// What one call sets otherwise, as it is written.
#[derive(Default)]
pub(super) struct Overrides(Vec<Override>);

/// One of it.
struct Override {
    rule: Reference,
    /// The level, if it says one.
    level: Option<Cut<40>>,
}

#[derive(serde::Deserialize)]
struct RawOverride {
    descriptor: Descriptor,
    configuration: Option<Configuration>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: Option<Cut<500>>,
    index: Option<i64>,
    tool_component: Option<RawComponent>,
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
        if self.0.len() == MOST {
            return Err(A::Error::custom("an invocation has too many `ruleConfigurationOverrides`"));
        }
        let rule = Reference {
            id: descriptor.id.map(|id| text::one_line(&id.0, 200)).unwrap_or_default(),
            index: descriptor.index.and_then(|index| usize::try_from(index).ok()),
            component: descriptor.tool_component.map(ComponentReference::of),
        };
        self.0.push(Override { rule, level: configuration.and_then(|configuration| configuration.level) });
        Ok(true)
    }
}

impl Overrides {
    /// The bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.0.iter().map(|one| size_of::<Override>() + one.rule.id.len()).sum()
    }

    /// Whether nothing is set otherwise.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A rule: where it is, or its id where the scanner describes none of it.
#[derive(PartialEq, Eq, Hash)]
enum Of {
    Place((usize, usize)),
    Id(String),
}

/// What all calls of a run set otherwise.
#[derive(Default)]
pub(super) struct Levels {
    /// How many calls there were.
    calls: usize,
    /// By the call.
    set: HashMap<usize, HashMap<Of, Level>>,
}

impl Levels {
    /// Of the calls in their order: how many there are, and what those set that set anything.
    pub(super) fn of(calls: usize, set: Vec<(usize, Overrides)>, rules: &Rules) -> Result<Self, ParseError> {
        let mut levels = Self { calls, set: HashMap::new() };
        for (call, Overrides(overrides)) in set {
            let known = levels.set.entry(call).or_default();
            for Override { rule, level } in overrides {
                let place = rules.place(&rule);
                let own = place.and_then(|place| rules.at(place)).and_then(|rule| rule.level);
                let level = match level {
                    Some(level) => Level::of(&level.0)?,
                    // A configuration without a level has that of a warning; but it may set something
                    // else alone, which should make no error less grave.
                    None => own.unwrap_or(Level::Warning).max(Level::Warning),
                };
                let of = place.map_or_else(|| Of::Id(rule.id), Of::Place);
                let gravest = known.entry(of).or_insert(level);
                *gravest = level.max(*gravest);
            }
        }
        Ok(levels)
    }

    /// The level that a call set for a rule: the call that a result names, or the only one.
    pub(super) fn level(&self, call: Option<u32>, place: Option<(usize, usize)>, id: &str) -> Option<Level> {
        let call = match call {
            Some(call) => usize::try_from(call).ok()?,
            None if self.calls == 1 => 0,
            None => return None,
        };
        let set = self.set.get(&call)?;
        if let Some(place) = place {
            return set.get(&Of::Place(place)).copied();
        }
        // An id may be a case of a rule: `CA1000/1` is one of `CA1000`.
        let mut id = id;
        loop {
            if let Some(level) = set.get(&Of::Id(id.to_owned())) {
                return Some(*level);
            }
            id = id.rsplit_once('/')?.0;
        }
    }
}
