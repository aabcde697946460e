//! The part of `xtask log` that is about deploys: prints their records again. It must not know what a deploy
//! would do today.

use serde_json::json;

use crate::cli::ci::service;
use crate::cli::failure::Failure;
use crate::cli::reporters::Format;
use crate::cli::session::Session;
use crate::deploy::event::{Command, DeployEvent, DeployNews, VERSION};
use crate::deploy::record::Ending;
use crate::history::deploys::DeployHead;
use crate::history::runs::RunsError;
use crate::reporter::deploy::DeployReporter;
use crate::reporter::deploy::ci::DeployCi;
use crate::reporter::deploy::json::DeployJson;
use crate::reporter::deploy::lines::DeployLines;
use crate::reporter::deploy::text::{Shows, ending_text, millis};
use crate::reporter::style::{Paint, Tone};

/// Returns what a deploy printed.
///
/// # Errors
/// The operating system has no random bytes, or the record is of a newer version.
pub fn replay(
    session: &Session,
    format: Format,
    ci: service::CiChoice,
    id: &str,
    events: &[DeployEvent],
) -> Result<String, Failure> {
    if let Some(DeployNews::CommandStarted { version, .. }) = events.first().map(|event| &event.what)
        && *version > VERSION
    {
        return Err(RunsError::Newer(id.to_owned()).into());
    }
    let mut text = Vec::new();
    let is_json = format == Format::Json;
    {
        let mut reporter: Box<dyn DeployReporter + '_> = if is_json {
            Box::new(DeployJson::new(&mut text))
        } else if let Some(ci) = ci.output(session, is_json)? {
            let dialect = ci.deploy_dialect()?;
            Box::new(DeployCi::new(&mut text, session.paint_out(), Shows::Record, dialect))
        } else {
            Box::new(DeployLines::new(&mut text, session.paint_out(), Shows::Record))
        };
        events
            .iter()
            .try_for_each(|event| reporter.event(event))
            .map_err(|source| Failure::System { attempt: "draw the deploy".to_owned(), source })?;
    }
    let mut text = String::from_utf8_lossy(&text).into_owned();
    let has_ended = events.last().is_some_and(|event| is_end(&event.what));
    if !has_ended && !is_json {
        text.push_str("the record ends here: the deploy was killed, or is still running\n");
    }
    Ok(text)
}

/// Returns whether a deploy did not succeed, or has no end.
pub fn has_failed(head: &DeployHead) -> bool {
    !matches!(head.ended, Some(DeployNews::Ended { status: 0, .. } | DeployNews::Unchanged { .. }))
}

/// Returns the row of a list, as JSON.
pub fn row(head: &DeployHead) -> String {
    let DeployHead { id, started, begun, ended } = head;
    format!("{}\n", json!({ "deploy": id, "started": started, "begun": begun, "ended": ended }))
}

/// Returns the line of a list.
pub fn line(head: &DeployHead, paint: Paint) -> String {
    let DeployNews::CommandStarted { command, environment, .. } = &head.started else {
        return String::new();
    };
    let release = match &head.begun {
        Some(DeployNews::Begun { release, .. } | DeployNews::TakenOver { release, .. }) => {
            format!(" {release}")
        }
        _ => String::new(),
    };
    let verb = match command {
        Command::Deploy | Command::Plan | Command::Prepare => "deploy",
        Command::Resume => "resume",
        Command::Abort => "abort",
        Command::Rollback => "roll back to",
    };
    let what = if release.is_empty() && *command == Command::Rollback { "roll back" } else { verb };
    let (word, tone, took, reason) = match &head.ended {
        Some(DeployNews::Ended { ending, status, took, reason, .. }) => {
            let (_, tone, word) = ending_text(*ending, *status);
            let reason = (*ending != Ending::Succeeded).then(|| reason.clone());
            (word, tone, millis(*took), reason)
        }
        Some(DeployNews::Unchanged { .. }) => ("unchanged", Tone::Good, String::new(), None),
        Some(DeployNews::Refused { reason, .. }) => {
            ("refused", Tone::Bad, String::new(), Some(reason.clone()))
        }
        Some(DeployNews::Left { .. }) => ("left", Tone::Bad, String::new(), None),
        _ => {
            return format!(
                "{}  {}  {environment}: {what}{release}\n",
                head.id,
                paint.tone(Tone::Odd, "no end on record")
            );
        }
    };
    let word = paint.tone(tone, &format!("{word:<11}"));
    let reason = reason.and_then(|reason| reason.lines().next().map(|line| format!(" · {line}")));
    format!("{}  {word}  {took:>8}  {environment}: {what}{release}{}\n", head.id, reason.unwrap_or_default())
}

fn is_end(news: &DeployNews) -> bool {
    matches!(
        news,
        DeployNews::Ended { .. }
            | DeployNews::Unchanged { .. }
            | DeployNews::Left { .. }
            | DeployNews::Refused { .. }
    )
}
