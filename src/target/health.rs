//! Health checks: whether a started release works, and which release answers. It must not know who started it.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use regex::Regex;

use crate::base::clock::Clock;
use crate::config::deploy::{CheckFrom, HealthCheck, HealthProbe, ReleaseSelector};
use crate::deploy::release::{ReleaseId, Slot};
use crate::target::host::{CallLimits, Host, HostError};
use crate::target::variables::{fill, quote};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// For how long nothing must have run in a slot until it counts as ended: some programs write their pid late.
const ENDED: Duration = Duration::from_secs(1);
/// How much of a body is read.
const MOST: u64 = 1 << 20;
/// The longest time between two looks whether the check is to be stopped.
const SLICE: Duration = Duration::from_millis(50);
/// How much of an unexpected value is shown.
const SHOWN: usize = 80;

/// Why a health check did not succeed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HealthError {
    /// Its time is over.
    #[error("health check failed after {}: {reason}", humantime::format_duration(*.after))]
    Failed {
        /// How long it was tried.
        after: Duration,
        /// Why the last attempt failed.
        reason: String,
    },
    /// What it asks has ended.
    #[error("health check failed: nothing runs in the slot any more: {reason}{}{log}", if log.is_empty() { "" } else { "; it printed: " })]
    Ended {
        /// Why the last attempt failed.
        reason: String,
        /// The end of what was printed at the start.
        log: String,
    },
    /// It can't succeed: tasks.toml is wrong.
    #[error("health check: {0}")]
    Invalid(String),
    /// It was stopped.
    #[error("health check: stopped")]
    Stopped,
}

/// What is checked.
pub struct Checked<'a> {
    /// The host.
    pub host: &'a Host,
    /// The role.
    pub role: &'a str,
    /// The slot.
    pub slot: Slot,
    /// The release that has to answer.
    pub release: &'a ReleaseId,
    /// The values of placeholders.
    pub placeholders: &'a [(&'a str, &'a str)],
}

/// The answer to a probe.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct HealthAnswer {
    headers: Vec<(String, String)>,
    body: String,
}

/// Repeats a health check until it succeeds, its time is over, or nothing runs in the slot any more.
///
/// # Errors
/// It did not succeed; the reason is that of the last attempt.
pub fn wait_until_healthy(
    check: &HealthCheck,
    checked: &Checked<'_>,
    is_stopped: &(dyn Fn() -> bool + Sync),
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), HealthError> {
    let pattern = match &check.release {
        Some(ReleaseSelector::Pattern(pattern)) => {
            Some(Regex::new(pattern).map_err(|error| HealthError::Invalid(error.to_string()))?)
        }
        _ => None,
    };
    let clock = Clock::system();
    let mut shown = String::new();
    let mut ended_at = None;
    loop {
        let left = check.timeout.saturating_sub(clock.elapsed());
        let limits = CallLimits { timeout: ATTEMPT.min(left).max(Duration::from_secs(1)), is_stopped };
        let result = attempt(check, checked, limits).and_then(|answer| match &check.release {
            Some(selector) => compare(checked.release, &select(selector, pattern.as_ref(), &answer)?),
            None => Ok(()),
        });
        if is_stopped() {
            return Err(HealthError::Stopped);
        }
        let Err(reason) = result else { return Ok(()) };
        if clock.elapsed() + check.interval >= check.timeout {
            return Err(HealthError::Failed { after: check.timeout, reason });
        }
        ended_at = match (log_if_ended(checked, is_stopped), ended_at) {
            (Some(log), Some(at)) if clock.elapsed().saturating_sub(at) >= ENDED => {
                return Err(HealthError::Ended { reason, log });
            }
            (Some(_), at) => at.or_else(|| Some(clock.elapsed())),
            (None, _) => None,
        };
        if reason != shown {
            progress(&format!("waiting for the health check: {reason}"));
            shown = reason;
        }
        pause(check.interval, is_stopped);
    }
}

/// Returns the end of what was printed at the start, if nothing runs in the slot, as its line `status` says.
fn log_if_ended(checked: &Checked<'_>, is_stopped: &(dyn Fn() -> bool + Sync)) -> Option<String> {
    let script = format!("role={} slot={}\nended", quote(checked.role), checked.slot);
    let limits = CallLimits { timeout: ATTEMPT, is_stopped };
    let answer = query(checked.host, &script, limits).ok()?;
    answer.strip_prefix("ended ").map(|log| log.trim().to_owned())
}

/// Waits, but not longer than until it is stopped.
pub(super) fn pause(time: Duration, is_stopped: &(dyn Fn() -> bool + Sync)) {
    let clock = Clock::system();
    while !is_stopped() {
        let left = time.saturating_sub(clock.elapsed());
        if left.is_zero() {
            break;
        }
        thread::sleep(left.min(SLICE));
    }
}

fn attempt(
    check: &HealthCheck,
    checked: &Checked<'_>,
    limits: CallLimits<'_>,
) -> Result<HealthAnswer, String> {
    match (&check.probe, check.from) {
        (HealthProbe::Http(url), CheckFrom::Here) => get(&fill(url, checked.placeholders), limits.timeout),
        (HealthProbe::Http(url), CheckFrom::Host) => {
            let url = fill(url, checked.placeholders);
            let seconds = limits.timeout.as_secs().max(1);
            let script = format!(
                "command -v curl >/dev/null || fail 'curl is missing on the host'\n\
                 curl -sS -i --noproxy '*' --max-time {seconds} --max-filesize {MOST} --url {}",
                quote(&url)
            );
            let output = query(checked.host, &script, limits)?;
            parse_response(&url, &output)
        }
        (HealthProbe::Command(line), _) => {
            let line = fill(line, checked.placeholders);
            let seconds = limits.timeout.as_secs().max(1);
            let script = format!(
                "role={} slot={} limit={seconds}\nin_slot {} </dev/null || fail \"exit status $?\"",
                quote(checked.role),
                checked.slot,
                quote(&line)
            );
            let body =
                query(checked.host, &script, limits).map_err(|reason| format!("`{line}`: {reason}"))?;
            Ok(HealthAnswer { headers: Vec::new(), body })
        }
    }
}

fn query(host: &Host, script: &str, limits: CallLimits<'_>) -> Result<String, String> {
    match host.query(script, Box::new(std::io::empty()), limits) {
        Ok(output) => Ok(String::from_utf8_lossy(&output).into_owned()),
        // The host is named by whoever reports the step.
        Err(HostError::Failed { reason, .. }) => Err(reason),
        Err(error) => Err(error.to_string()),
    }
}

fn get(url: &str, timeout: Duration) -> Result<HealthAnswer, String> {
    let config =
        ureq::Agent::config_builder().timeout_global(Some(timeout)).max_redirects(0).proxy(None).build();
    let mut response = ureq::Agent::new_with_config(config)
        .get(url)
        .call()
        .map_err(|error| format!("GET {url}: {}", http_reason(&error)))?;
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut body = Vec::new();
    let read = response.body_mut().as_reader().take(MOST).read_to_end(&mut body);
    read.map_err(|error| format!("GET {url}: {error}"))?;
    Ok(HealthAnswer { headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Returns whether an answer contains a text, in its headers or its body.
pub(super) fn answer_contains(url: &str, text: &str, timeout: Duration) -> Result<bool, String> {
    let answer = get(url, timeout)?;
    Ok(answer.body.contains(text) || answer.headers.iter().any(|(_, value)| value.contains(text)))
}

fn http_reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(status) => format!("status {status}"),
        error => error.to_string(),
    }
}

/// Parses the headers and the body that `curl -i` prints.
fn parse_response(url: &str, text: &str) -> Result<HealthAnswer, String> {
    let invalid = || format!("GET {url}: the answer is not HTTP");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(invalid)?;
    let mut lines = head.lines();
    let status = lines.next().filter(|line| line.starts_with("HTTP/"));
    let status = status.and_then(|line| line.split(' ').nth(1)?.parse::<u16>().ok()).ok_or_else(invalid)?;
    if status >= 400 {
        return Err(format!("GET {url}: status {status}"));
    }
    let header =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    Ok(HealthAnswer { headers: lines.filter_map(header).collect(), body: body.to_owned() })
}

/// Returns the id of the release that an answer contains.
fn select(
    selector: &ReleaseSelector,
    pattern: Option<&Regex>,
    answer: &HealthAnswer,
) -> Result<String, String> {
    match selector {
        ReleaseSelector::Pointer(pointer) => {
            let json: serde_json::Value =
                serde_json::from_str(&answer.body).map_err(|_| "the answer is not JSON".to_owned())?;
            match json.pointer(pointer) {
                Some(serde_json::Value::String(text)) => Ok(text.clone()),
                Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => {
                    Ok(value.to_string())
                }
                _ => Err(format!("the answer has no text at {pointer}")),
            }
        }
        ReleaseSelector::Header(name) => {
            let header = answer.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            header.map(|(_, value)| value.clone()).ok_or_else(|| format!("the answer has no header {name}"))
        }
        ReleaseSelector::Pattern(text) => {
            let found = pattern.and_then(|pattern| pattern.captures(&answer.body));
            let found = found.and_then(|found| found.get(1).or_else(|| found.get(0)));
            found
                .map(|found| found.as_str().to_owned())
                .ok_or_else(|| format!("the answer does not match {text}"))
        }
    }
}

/// An answer of another release is no success: it comes from a process that was there before.
fn compare(expected: &ReleaseId, found: &str) -> Result<(), String> {
    let found = found.trim();
    if found == expected.0 {
        return Ok(());
    }
    let shown: String = found.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    Err(format!("release {shown} answered, not {expected}: another process serves there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> HealthAnswer {
        HealthAnswer { headers: vec![("X-Release".to_owned(), "7-aaaa".to_owned())], body: body.to_owned() }
    }

    #[test]
    fn release_is_selected_by_pointer_header_or_pattern() {
        let pattern = Regex::new(r"release=(\S+)").unwrap();
        let pointer = ReleaseSelector::Pointer("/app/release".to_owned());
        let cases = [
            (pointer.clone(), r#"{"app": {"release": "7-aaaa"}}"#, Ok("7-aaaa")),
            (pointer.clone(), r#"{"app": {"release": 7}}"#, Ok("7")),
            (pointer.clone(), r#"{"app": {}}"#, Err("the answer has no text at /app/release")),
            (pointer, "<html>", Err("the answer is not JSON")),
            (ReleaseSelector::Header("x-release".to_owned()), "", Ok("7-aaaa")),
            (ReleaseSelector::Header("x-other".to_owned()), "", Err("the answer has no header x-other")),
            (ReleaseSelector::Pattern("p".to_owned()), "up release=7-aaaa ok", Ok("7-aaaa")),
            (ReleaseSelector::Pattern("p".to_owned()), "up", Err("the answer does not match p")),
        ];
        for (selector, body, expected) in cases {
            let found = select(&selector, Some(&pattern), &answer(body));
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{selector:?} {body}");
        }
    }

    #[test]
    fn answer_of_another_release_is_no_success() {
        let id = ReleaseId("8-bbbb".to_owned());
        assert_eq!(compare(&id, "8-bbbb\n"), Ok(()));
        let error = compare(&id, "7-aaaa").unwrap_err();
        assert_eq!(error, "release 7-aaaa answered, not 8-bbbb: another process serves there");
        assert!(compare(&id, "8-bbbb2").is_err());
    }

    #[test]
    fn output_of_curl_is_parsed() {
        let text = "HTTP/1.1 200 OK\r\nX-Release: 7-aaaa\r\n\r\n{\"a\": 1}\r\n\r\n";
        let parsed = parse_response("u", text).unwrap();
        assert_eq!(parsed.headers, [("X-Release".to_owned(), "7-aaaa".to_owned())]);
        assert_eq!(parsed.body, "{\"a\": 1}\r\n\r\n");
        assert_eq!(parse_response("u", "HTTP/2 503 \r\n\r\n").unwrap_err(), "GET u: status 503");
        assert!(parse_response("u", "nothing").is_err());
    }
}
