//! Who may deploy what, and when: `branches`, `tags`, `promote-from`, `deploy-windows` and `approval` of an environment.
//! It must not know who asks.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::base::path::RepoPath;
use crate::config::deploy::{Approval, DeployWindow, Policy};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::values;
use crate::config::syntax::document::{Entry, Syntax, Text};
use crate::config::wording;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// The minutes of a day.
const DAY: u16 = 24 * 60;
/// How long an approval is valid, by default.
const EXPIRES: Duration = Duration::from_secs(24 * 3600);

/// Reads the policy of an environment.
pub(crate) fn read(
    fields: &Fields<'_>,
    base: &RepoPath,
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> Policy {
    let [branches, tags] = ["branches", "tags"].map(|key| patterns(fields, key, sink));
    let windows = fields.entry("deploy-windows").map(|entry| windows(entry, syntax, sink));
    let approval = fields.entry("approval").and_then(|entry| approval(entry, base, syntax, sink));
    let promote_from = fields.word("promote-from", sink).map(|text| text.text.to_owned());
    Policy { branches, tags, promote_from, windows: windows.unwrap_or_default(), approval }
}

/// Reads patterns of branches or tags.
fn patterns(fields: &Fields<'_>, key: &str, sink: &mut DiagnosticSink) -> Vec<String> {
    let texts = fields.texts(key, sink);
    for text in &texts {
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        let is_name = !text.text.is_empty() && !text.text.contains(is_odd) && !text.text.starts_with('-');
        if !is_name || fast_glob::validate(text.text).is_err() {
            let message = format!("`{}` is not a pattern of {key}", wording::escape_name(text.text));
            let hint = if key == "tags" {
                "write it such as \"v*\""
            } else {
                "write it such as \"main\" or \"release/*\""
            };
            sink.add(Diagnostic::new(text.span.clone(), message).label("not a name in git").hint(hint));
        }
    }
    texts.into_iter().map(|text| text.text.to_owned()).collect()
}

fn approval(
    entry: &Entry<'_>,
    base: &RepoPath,
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> Option<Approval> {
    let hint = "write it as { signers = \"ops/allowed_signers\", count = 1, expires = \"24h\" }";
    let fields = Fields::read(&entry.key, entry.value, &tables::APPROVAL, "`approval`", hint, syntax, sink)?;
    fields.require(&["signers"], "add `signers` with a file of allowed signers", sink);
    let count = fields.count("count", 1, sink).unwrap_or(NonZeroU32::MIN);
    let expires = fields.duration("expires", "24h", sink).unwrap_or(EXPIRES);
    let signers = fields.value("signers")?.text("a file", sink)?;
    let signers = values::file(&signers, base, "ops/allowed_signers", sink)?;
    Some(Approval { signers, count, expires })
}

fn windows(entry: &Entry<'_>, syntax: Syntax, sink: &mut DiagnosticSink) -> Vec<DeployWindow> {
    let hint =
        "write it as [{ days = \"Mon-Thu\", from = \"09:00\", to = \"16:00\", zone = \"Europe/Berlin\" }]";
    let Some(elements) = entry.value.elements() else {
        sink.add(entry.value.mismatch("an array of tables").hint(hint));
        return Vec::new();
    };
    let elements: Vec<_> = elements.collect();
    if elements.is_empty() {
        let message = "`deploy-windows` is empty, so nobody could deploy";
        let hint = "remove it to allow deploys always; `xtask freeze` stops them";
        sink.add(Diagnostic::new(entry.value.span(), message).label("no window").hint(hint));
    }
    let mut windows = Vec::with_capacity(elements.len());
    for element in elements {
        let place = Text { text: "", span: element.span() };
        let keys = &tables::DEPLOY_WINDOW;
        let Some(fields) = Fields::read(&place, element, keys, "a deploy window", hint, syntax, sink) else {
            continue;
        };
        let days = fields.word("days", sink).and_then(|text| {
            let days = parse_days(text.text);
            if days.is_none() {
                let message = format!("`{}` names no days", wording::escape_name(text.text));
                let hint = "write days of three letters, such as \"Mon-Thu\" or \"Mon,Wed\"";
                sink.add(Diagnostic::new(text.span, message).label("not understood").hint(hint));
            }
            days
        });
        windows.push(DeployWindow {
            days: days.unwrap_or([true; 7]),
            from: minute(&fields, "from", DAY - 1, sink).unwrap_or(0),
            to: minute(&fields, "to", DAY, sink).unwrap_or(DAY),
            zone: zone(&fields, sink).unwrap_or_else(|| "UTC".to_owned()),
        });
    }
    windows
}

/// Parses days and ranges of days, such as `Mon-Thu,Sat`. A range may go over Sunday.
fn parse_days(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| name.trim().eq_ignore_ascii_case(day));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        days[at] = true;
        while at != last {
            at = (at + 1) % 7;
            days[at] = true;
        }
    }
    Some(days)
}

/// Reads a time of the day as its minute.
fn minute(fields: &Fields<'_>, key: &str, most: u16, sink: &mut DiagnosticSink) -> Option<u16> {
    let text = fields.value(key)?.text("a time of the day such as \"09:00\"", sink)?;
    let minute = parse_minute(text.text).filter(|minute| *minute <= most);
    if minute.is_none() {
        let message = format!("`{}` is not a time of the day", wording::escape_name(text.text));
        let hint = "write hours and minutes with two digits each, such as \"09:00\"";
        sink.add(Diagnostic::new(text.span, message).label("not understood").hint(hint));
    }
    minute
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<u16>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes)
}

fn zone(fields: &Fields<'_>, sink: &mut DiagnosticSink) -> Option<String> {
    let text = fields.word("zone", sink)?;
    match TimeZone::get(text.text) {
        Ok(zone) => Some(zone.iana_name().unwrap_or(text.text).to_owned()),
        Err(_) => {
            let message = format!("`{}` is not a time zone", wording::escape_name(text.text));
            let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            let hint = match crate::base::name::nearest(text.text, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write its IANA name, such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
            };
            sink.add(Diagnostic::new(text.span, message).label("unknown time zone").hint(hint));
            None
        }
    }
}
