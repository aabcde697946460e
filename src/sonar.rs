//! `SonarQube`: the status of its quality gate for an analysis that a scanner has just sent it, over
//! its web API. It must not know where the answer goes, nor what it means.
//!
//! A scanner leaves a `report-task.txt` with the address of the task by which the server works the
//! analysis off. When that task is done it names the analysis, and of that the server tells the
//! status.

use std::time::Duration;

use serde::Deserialize;

use crate::base::clock::Clock;

/// The variable with the token, as the scanners call it.
pub const TOKEN: &str = "SONAR_TOKEN";

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long to wait between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of an answer that are read.
const MOST: u64 = 10 << 20;

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum SonarError {
    /// The scanner's file is not one.
    #[error("{file} does not say where the server is: it has no `{key}`")]
    ReportTask {
        /// The file.
        file: String,
        /// What it lacks.
        key: &'static str,
    },
    /// The server refuses.
    #[error("{url} asks for another token")]
    Refused {
        /// What was asked.
        url: String,
    },
    /// The server can't be reached, or gives no good answer.
    #[error("{url} gives no good answer: {what}")]
    Answer {
        /// What was asked.
        url: String,
        /// What came.
        what: String,
    },
    /// The server could not work the analysis off.
    #[error("the server did not work the analysis off: its task is {status}{}", .why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default())]
    Analysis {
        /// The task's status.
        status: String,
        /// What the server says of it.
        why: Option<String>,
    },
    /// It takes too long.
    #[error("the server has not worked the analysis off after {}", crate::base::units::duration(*.0))]
    TooLong(Duration),
}

/// What a scanner left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTask {
    server: String,
    task: String,
}

impl ReportTask {
    /// Reads a `report-task.txt`, lines of `key=value`.
    ///
    /// # Errors
    /// It does not name the server or the task.
    pub fn parse(file: &str, text: &str) -> Result<Self, SonarError> {
        let value = |key: &'static str| {
            let values = text.lines().filter_map(|line| line.trim().split_once('='));
            let found = values.into_iter().find(|(name, value)| *name == key && !value.is_empty());
            let found = found.map(|(_, value)| value.trim_end_matches('/').to_owned());
            found.ok_or_else(|| SonarError::ReportTask { file: file.to_owned(), key })
        };
        Ok(Self { server: value("serverUrl")?, task: value("ceTaskUrl")? })
    }
}

/// A server that is asked.
pub struct Server<'a> {
    /// The token, if there is one.
    pub token: Option<&'a str>,
    /// The time.
    pub clock: &'a Clock,
    /// How long the server may take to work the analysis off.
    pub patience: Duration,
}

#[derive(Deserialize)]
struct Task {
    task: Work,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Work {
    status: String,
    analysis_id: Option<String>,
    error_message: Option<String>,
}

impl Server<'_> {
    /// The answer of `api/qualitygates/project_status`, once the analysis is worked off.
    ///
    /// # Errors
    /// The server can't be reached or refuses, or the analysis failed.
    pub fn status(&self, of: &ReportTask) -> Result<String, SonarError> {
        let analysis = self.analysis(of)?;
        let url = format!("{}/api/qualitygates/project_status?analysisId={analysis}", of.server);
        let text = self.get(&url)?;
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(answer) if answer["projectStatus"]["status"].is_string() => Ok(text),
            _ => Err(SonarError::Answer { url, what: "it holds no `projectStatus`".to_owned() }),
        }
    }

    fn analysis(&self, of: &ReportTask) -> Result<String, SonarError> {
        let end = self.clock.elapsed() + self.patience;
        loop {
            let text = self.get(&of.task)?;
            let no = |what: String| SonarError::Answer { url: of.task.clone(), what };
            let Task { task } = serde_json::from_str(&text).map_err(|error| no(error.to_string()))?;
            match &*task.status {
                "PENDING" | "IN_PROGRESS" if self.clock.elapsed() < end => std::thread::sleep(PAUSE),
                "PENDING" | "IN_PROGRESS" => return Err(SonarError::TooLong(self.patience)),
                "SUCCESS" => {
                    let id = task.analysis_id.ok_or_else(|| no("it names no analysis".to_owned()))?;
                    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
                    return if id.chars().all(is_plain) {
                        Ok(id)
                    } else {
                        Err(no("a strange id".to_owned()))
                    };
                }
                _ => return Err(SonarError::Analysis { status: task.status, why: task.error_message }),
            }
        }
    }

    fn get(&self, url: &str) -> Result<String, SonarError> {
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER)).max_redirects(3).build();
        let mut request = ureq::Agent::new_with_config(config).get(url);
        if let Some(token) = self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let no = |what: String| SonarError::Answer { url: url.to_owned(), what };
        match request.call() {
            Ok(mut answer) => answer
                .body_mut()
                .with_config()
                .limit(MOST)
                .read_to_string()
                .map_err(|error| no(error.to_string())),
            Err(ureq::Error::StatusCode(401 | 403)) => Err(SonarError::Refused { url: url.to_owned() }),
            Err(error) => Err(no(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_task_names_server_and_task() {
        let text = "projectKey=shop\nserverUrl=https://sonar.example/\nceTaskId=AY1\nceTaskUrl=https://sonar.example/api/ce/task?id=AY1\n";
        let expected = ReportTask {
            server: "https://sonar.example".to_owned(),
            task: "https://sonar.example/api/ce/task?id=AY1".to_owned(),
        };
        assert_eq!(ReportTask::parse("report-task.txt", text).unwrap(), expected);
        for text in ["", "serverUrl=x\nceTaskUrl=\n", "serverUrl https://x"] {
            let error = ReportTask::parse("report-task.txt", text).unwrap_err();
            assert!(error.to_string().starts_with("report-task.txt does not say where the server is"));
        }
    }
}
