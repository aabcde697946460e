//! Whether a scanner succeeded, and which errors it reported.

use serde::de::{Deserialize, DeserializeSeed as _, Deserializer, IgnoredAny, SeqAccess};

use super::objects::{Message, RawLocation};
use super::rules::Overrides;
use crate::json::{Array, Cut, First, Items};
use crate::text;

/// An invocation of the scanner.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invocation {
    execution_successful: Option<bool>,
    exit_code: Option<i64>,
    exit_code_description: Option<Cut<400>>,
    exit_signal_name: Option<Cut<400>>,
    exit_signal_number: Option<i64>,
    process_start_failure_message: Option<Cut<400>>,
    #[serde(default)]
    tool_execution_notifications: Errors,
    #[serde(default)]
    tool_configuration_notifications: Errors,
    #[serde(default)]
    rule_configuration_overrides: Overrides,
}

impl Invocation {
    /// Removes and returns the settings that override those of the rules.
    pub(super) fn overrides(&mut self) -> Overrides {
        std::mem::take(&mut self.rule_configuration_overrides)
    }

    /// Returns why the scanner failed, if it did, and which errors it reported. If it failed
    /// because of errors that it reports, such as a file that it could not parse, it examined
    /// everything else. If it was killed or did not start, it did not.
    pub(super) fn outcome(self) -> (Option<String>, Errors) {
        let errors = self.tool_execution_notifications.join(self.tool_configuration_notifications);
        if self.execution_successful != Some(false) {
            return (None, errors);
        }
        let errors = errors.with_unrated();
        let was_ended = self.exit_signal_name.is_some() || self.exit_signal_number.is_some_and(|n| n != 0);
        if errors.count > 0 && !was_ended && self.process_start_failure_message.is_none() {
            return (None, errors);
        }
        let description =
            self.exit_code_description.or(self.process_start_failure_message).or(self.exit_signal_name);
        let description = description
            .map(|description| text::one_line(&description.0, 200))
            .filter(|description| !description.is_empty());
        let failure = match (description, self.exit_code) {
            (Some(description), _) => description,
            (None, Some(code)) => format!("exit status {code}"),
            (None, None) => "`executionSuccessful` is false".to_owned(),
        };
        (Some(failure), errors)
    }
}

/// The errors that a scanner reported: its results may be wrong or incomplete. Only the first is kept,
/// the others are counted.
#[derive(Default)]
pub(super) struct Errors {
    first: Option<Notification>,
    count: u64,
    /// The first notification that may be an error: it has no level, or it has an exception. PMD
    /// writes its errors in this way.
    first_unrated: Option<Notification>,
    unrated: u64,
}

impl Errors {
    /// Joins two sets of errors.
    pub(super) fn join(self, others: Self) -> Self {
        Self {
            first: self.first.or(others.first),
            count: self.count + others.count,
            first_unrated: self.first_unrated.or(others.first_unrated),
            unrated: self.unrated + others.unrated,
        }
    }

    /// Counts all notifications that may be errors, for an invocation that failed.
    fn with_unrated(self) -> Self {
        let first = self.first.or(self.first_unrated);
        Self { first, count: self.count + self.unrated, ..Self::default() }
    }

    /// Returns a description of the errors, if there are any. Messages are left out if they may
    /// quote a secret.
    pub(super) fn describe(self, may_quote: bool) -> Option<String> {
        let Notification { descriptor, message, locations, .. } = self.first?;
        let id = descriptor.and_then(|descriptor| descriptor.id);
        let id = id.map(|id| text::one_line(&id.0, 100)).filter(|id| !id.is_empty());
        let message = message.map(Message::line).filter(|line| may_quote && !line.is_empty());
        let mut words = match (message, id) {
            (Some(message), _) => message,
            (None, Some(id)) => format!("error `{id}`"),
            (None, None) => "an error".to_owned(),
        };
        let physical = locations.and_then(|first| first.0).and_then(|place| place.physical_location);
        let uri = physical.and_then(|place| place.artifact_location).and_then(|location| location.uri);
        if let Some(uri) = uri.map(|uri| text::one_line(&uri.0, 200)).filter(|uri| !words.contains(uri)) {
            words = format!("{words} ({uri})");
        }
        Some(match self.count {
            1 => words,
            2 => format!("{words}, and 1 more error"),
            count => format!("{words}, and {} more errors", count - 1),
        })
    }
}

/// A notification.
#[derive(serde::Deserialize)]
struct Notification {
    level: Option<Cut<40>>,
    descriptor: Option<Descriptor>,
    message: Option<Message>,
    locations: Option<First<RawLocation>>,
    exception: Option<IgnoredAny>,
}

impl Notification {
    /// Returns whether it is an error. Without a level, it is a warning. An unknown level counts as
    /// an error.
    fn is_error(&self) -> bool {
        self.level.as_ref().is_some_and(|level| !matches!(&*level.0, "none" | "note" | "warning"))
    }
}

/// The descriptor of a notification.
#[derive(serde::Deserialize)]
struct Descriptor {
    id: Option<Cut<500>>,
}

impl<'de> Deserialize<'de> for Errors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut errors = Self::default();
        Items(&mut errors).deserialize(deserializer)?;
        Ok(errors)
    }
}

impl<'de> Array<'de> for Errors {
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let Some(notification) = seq.next_element::<Notification>()? else { return Ok(false) };
        if notification.is_error() {
            self.first.get_or_insert(notification);
            self.count += 1;
        } else if notification.level.is_none() || notification.exception.is_some() {
            self.first_unrated.get_or_insert(notification);
            self.unrated += 1;
        }
        Ok(true)
    }
}
