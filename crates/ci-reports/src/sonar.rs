//! Reads the response of `SonarQube`'s `api/qualitygates/project_status`.

use super::facts::{Facts, SonarStatus};
use super::source::Source;
use super::{ParseError, ReportKind, json, text};

/// The maximum size of a response in bytes.
const MAX_SIZE: u64 = 16 << 20;

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    project_status: Option<Status>,
    errors: Option<Vec<ApiError>>,
}

#[derive(serde::Deserialize)]
struct Status {
    status: String,
    #[serde(default)]
    conditions: Option<Vec<Condition>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    status: String,
    metric_key: String,
    comparator: Option<String>,
    error_threshold: Option<String>,
    actual_value: Option<String>,
}

/// An error from the server.
#[derive(serde::Deserialize)]
struct ApiError {
    msg: String,
}

/// Reads a response.
pub(crate) fn read(source: Source<'_>) -> Result<Facts, ParseError> {
    let answer: Response = json::read_small(source, ReportKind::Sonar.format(), MAX_SIZE)?;
    if let Some(refusal) = answer.errors.iter().flatten().next() {
        return Err(ParseError::ToolFailed { what: text::one_line(&refusal.msg, 300) });
    }
    let malformed = |what: String| Err(ParseError::malformed(ReportKind::Sonar.format(), what));
    let Some(Status { status, conditions }) = answer.project_status else {
        return malformed("it has no `projectStatus`".to_owned());
    };
    match &*status {
        "OK" | "WARN" | "ERROR" => {}
        "NONE" => {
            return Err(ParseError::nothing_examined("the project has no analysis with a quality gate"));
        }
        other => return malformed(format!("unknown status `{}`", text::one_line(other, 40))),
    }
    let judged: Vec<&Condition> = conditions
        .iter()
        .flatten()
        .filter(|condition| !matches!(&*condition.status, "NO_VALUE" | "NONE"))
        .collect();
    // A gate passes everything if it has no conditions, or if the analysis has no values for them.
    // The latter is so for the first analysis of a project whose gate is only about new code.
    if status == "OK" && judged.is_empty() {
        return Err(ParseError::nothing_examined(
            "the quality gate has no conditions, so its `OK` means nothing",
        ));
    }
    let broken = judged.into_iter().filter(|condition| condition.status != "OK");
    let broken: Vec<String> = broken.map(Condition::describe).collect();
    // Servers report ignored conditions as met, so no server sends this response.
    if let Some(first) = broken.first().filter(|_| status == "OK") {
        return malformed(format!("its status is `OK`, but a condition is not met: {first}"));
    }
    Ok(Facts { sonar: Some(SonarStatus { status, broken }), ..Facts::default() })
}

impl Condition {
    fn describe(&self) -> String {
        let word = |text: &Option<String>| text::one_line(text.as_deref().unwrap_or("unknown"), 60);
        let comparator = match self.comparator.as_deref() {
            Some("LT") => "less than",
            Some("GT") => "greater than",
            Some("EQ") => "equal to",
            Some("NE") => "other than",
            _ => "against",
        };
        let metric = text::one_line(&self.metric_key, 100);
        format!("{metric} is {}, {comparator} {}", word(&self.actual_value), word(&self.error_threshold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SonarStatus, String> {
        let facts = crate::read(ReportKind::Sonar, &mut text.as_bytes());
        facts.map(|facts| facts.sonar.unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn failed_conditions_are_reported() {
        let answer = r#"{"projectStatus": {"status": "ERROR", "ignoredConditions": false, "conditions": [
            {"status": "OK", "metricKey": "new_bugs", "comparator": "GT", "errorThreshold": "0", "actualValue": "0"},
            {"status": "ERROR", "metricKey": "new_coverage", "comparator": "LT", "errorThreshold": "80", "actualValue": "76.2"},
            {"status": "ERROR", "metricKey": "new_violations", "comparator": "GT", "errorThreshold": "0", "actualValue": "3"}
        ]}}"#;
        let sonar = read(answer).unwrap();
        assert_eq!(sonar.status, "ERROR");
        assert_eq!(
            sonar.broken,
            ["new_coverage is 76.2, less than 80", "new_violations is 3, greater than 0"]
        );
        // The server reports a condition as met if it is ignored for a small change.
        let passed = r#"{"projectStatus": {"status": "OK", "ignoredConditions": true, "conditions": [
            {"status": "OK", "metricKey": "new_coverage", "comparator": "LT", "errorThreshold": "80", "actualValue": "12.0"},
            {"status": "NO_VALUE", "metricKey": "new_bugs", "comparator": "GT", "errorThreshold": "0"}
        ]}}"#;
        let passed = read(passed).unwrap();
        assert_eq!((passed.status.as_str(), passed.broken.len()), ("OK", 0));
        let failed = read(r#"{"projectStatus": {"status": "ERROR"}}"#).unwrap();
        assert_eq!((failed.status.as_str(), failed.broken.len()), ("ERROR", 0));
    }

    #[test]
    fn missing_verdict_is_an_error() {
        let cases = [
            (
                r#"{"projectStatus": {"status": "NONE", "conditions": []}}"#,
                "nothing was examined: the project has no",
            ),
            (
                r#"{"projectStatus": {"status": "OK"}}"#,
                "nothing was examined: the quality gate has no conditions",
            ),
            (
                r#"{"projectStatus": {"status": "OK", "conditions": [], "ignoredConditions": false}}"#,
                "nothing was examined: the quality gate has no conditions",
            ),
            (
                r#"{"projectStatus": {"status": "OK", "conditions": [{"status": "NO_VALUE", "metricKey": "new_bugs"}]}}"#,
                "nothing was examined: the quality gate has no conditions",
            ),
            (
                r#"{"projectStatus": {"status": "OK", "conditions": [{"status": "OK", "metricKey": "a"},
                    {"status": "ERROR", "metricKey": "new_bugs", "comparator": "GT", "errorThreshold": "0", "actualValue": "3"}]}}"#,
                "its status is `OK`, but a condition is not met: new_bugs is 3, greater than 0",
            ),
            (r#"{"projectStatus": {"status": "FINE"}}"#, "unknown status `FINE`"),
            (
                r#"{"errors": [{"msg": "Insufficient privileges"}]}"#,
                "the tool failed: Insufficient privileges",
            ),
            (r#"{"component": {}}"#, "it has no `projectStatus`"),
            (r#"{"projectStatus": {}}"#, "missing field `status`"),
        ];
        for (text, message) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
