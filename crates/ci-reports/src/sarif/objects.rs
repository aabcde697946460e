//! The structure of SARIF's objects, with the fields that are read.

use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::json::{Array, Cut, Digested, First, Items, Keys, Object};
use crate::text;

/// A result.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawResult {
    pub(super) rule_id: Option<Cut<500>>,
    pub(super) rule_index: Option<i64>,
    pub(super) rule: Option<RawRuleReference>,
    pub(super) kind: Option<Cut<40>>,
    pub(super) level: Option<Cut<40>>,
    pub(super) message: Option<Message>,
    pub(super) locations: Option<First<RawLocation>>,
    pub(super) suppressions: Option<Suppressions>,
    pub(super) baseline_state: Option<Cut<40>>,
    pub(super) provenance: Option<RawProvenance>,
    pub(super) properties: Option<Properties>,
}

/// The origin of a result.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawProvenance {
    pub(super) invocation_index: Option<i64>,
}

/// A reference to a rule.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawRuleReference {
    pub(super) id: Option<Cut<500>>,
    pub(super) index: Option<i64>,
    pub(super) tool_component: Option<RawComponentReference>,
}

/// A reference to a part of a tool.
#[derive(serde::Deserialize)]
pub(super) struct RawComponentReference {
    pub(super) name: Option<Cut<200>>,
    pub(super) index: Option<i64>,
    pub(super) guid: Option<Cut<80>>,
}

/// A message.
#[derive(serde::Deserialize)]
pub(super) struct Message {
    text: Option<Cut<1_200>>,
    markdown: Option<Cut<1_200>>,
}

impl Message {
    /// Returns the text in one line; empty if there is none.
    pub(super) fn line(self) -> String {
        let text = self.text.or(self.markdown).unwrap_or_default();
        text::one_line(&text.0, 300)
    }
}

/// A location.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawLocation {
    pub(super) physical_location: Option<RawPhysicalLocation>,
}

/// A location in a file.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawPhysicalLocation {
    pub(super) artifact_location: Option<RawArtifactLocation>,
    pub(super) region: Option<RawRegion>,
}

/// The address of a file.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawArtifactLocation {
    pub(super) uri: Option<Cut<4_000>>,
    pub(super) uri_base_id: Option<Cut<200>>,
    pub(super) index: Option<i64>,
}

/// A region of a file.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawRegion {
    pub(super) start_line: Option<i64>,
    pub(super) end_line: Option<i64>,
    pub(super) snippet: Option<RawSnippet>,
}

/// The content of a region.
#[derive(serde::Deserialize)]
pub(super) struct RawSnippet {
    pub(super) text: Option<Digested>,
}

/// A file that was scanned.
#[derive(serde::Deserialize)]
pub(super) struct RawArtifact {
    pub(super) location: Option<RawArtifactLocation>,
}

/// A rule.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawRule {
    pub(super) id: Option<Cut<500>>,
    pub(super) name: Option<Cut<300>>,
    pub(super) short_description: Option<Message>,
    pub(super) full_description: Option<Message>,
    pub(super) default_configuration: Option<RawConfiguration>,
    pub(super) properties: Option<Properties>,
}

/// The configuration of a rule.
#[derive(serde::Deserialize)]
pub(super) struct RawConfiguration {
    pub(super) level: Option<Cut<40>>,
}

/// The properties that a tool may add. They may contain anything, so an unexpected value is not an
/// error.
#[derive(Default)]
pub(super) struct Properties {
    /// The value of `security-severity`.
    pub(super) severity: Option<f64>,
    /// Whether a tag says that it is about secrets.
    pub(super) secret: bool,
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bag(Properties);
        impl<'de> Object<'de> for Bag {
            fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
                match key {
                    "security-severity" => self.0.severity = map.next_value::<Loose>()?.number,
                    "tags" => self.0.secret |= map.next_value::<Loose>()?.secret,
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
        let mut bag = Bag(Self::default());
        Keys(&mut bag).deserialize(deserializer)?;
        Ok(bag.0)
    }
}

/// Any value: the number that it is or contains as text, and whether it is or contains `secret`.
#[derive(Default)]
struct Loose {
    number: Option<f64>,
    secret: bool,
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl Anything {
    #[expect(clippy::unnecessary_wraps, reason = "visitors return results")]
    fn number<E>(number: f64) -> Result<Loose, E> {
        Ok(Loose { number: Some(number), secret: false })
    }
}

impl<'de> Visitor<'de> for Anything {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Loose, E> {
        let secret = value.eq_ignore_ascii_case("secret") || value.eq_ignore_ascii_case("secrets");
        Ok(Loose { number: value.trim().parse().ok(), secret })
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Loose, E> {
        Self::number(value)
    }

    #[expect(clippy::cast_precision_loss, reason = "a severity is a small number")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Loose, E> {
        Self::number(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "a severity is a small number")]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Loose, E> {
        Self::number(value as f64)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Loose, E> {
        Ok(Loose::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Loose, A::Error> {
        let mut secret = false;
        while let Some(item) = seq.next_element::<Loose>()? {
            secret |= item.secret;
        }
        Ok(Loose { number: None, secret })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::default())
    }
}

/// The suppressions of a result. A result with a suppression that is under review or was rejected is
/// not accepted.
#[derive(Default)]
pub(super) struct Suppressions {
    reason: Option<String>,
    disputed: bool,
}

impl Suppressions {
    /// Returns why the result is accepted, if it is.
    pub(super) fn accepted(self) -> Option<String> {
        self.reason.filter(|_| !self.disputed)
    }
}

/// One suppression.
#[derive(serde::Deserialize)]
struct Suppression {
    kind: Option<Cut<40>>,
    status: Option<Cut<40>>,
    justification: Option<Cut<1_200>>,
}

impl<'de> Deserialize<'de> for Suppressions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Self::default();
        Items(&mut all).deserialize(deserializer)?;
        Ok(all)
    }
}

impl<'de> Array<'de> for Suppressions {
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let Some(Suppression { kind, status, justification }) = seq.next_element()? else {
            return Ok(false);
        };
        if status.is_some_and(|status| status.0 != "accepted") {
            self.disputed = true;
        }
        let reason =
            justification.map(|reason| text::one_line(&reason.0, 300)).filter(|reason| !reason.is_empty());
        let in_source = kind.is_some_and(|kind| kind.0 == "inSource");
        let place = if in_source { "in the source" } else { "outside of the source" };
        self.reason
            .get_or_insert_with(|| reason.unwrap_or_else(|| format!("suppressed {place}, without a reason")));
        Ok(true)
    }
}
