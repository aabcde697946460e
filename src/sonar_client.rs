//! Requests the quality gate status of a `SonarQube` analysis that a scanner has just sent to its
//! server, through the server's web API. This module must not know where the response is stored,
//! nor what it means.
//!
//! A scanner writes a `report-task.txt` with the address of the background task in which the server
//! processes the analysis. When that task has finished, it contains the id of the analysis. With
//! that id, the status can be requested.

use std::time::Duration;

use serde::Deserialize;

use crate::base::clock::Clock;

/// The environment variable that contains the token, as in the scanners of `SonarQube`.
pub const TOKEN: &str = "SONAR_TOKEN";

/// The timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The delay between two requests.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum size of a response in bytes.
const MAX_RESPONSE: u64 = 10 << 20;

/// Why the status is not available.
#[derive(Debug, thiserror::Error)]
pub enum SonarError {
    /// The file of the scanner is invalid.
    #[error("{file} does not say where the server is: it has no `{key}`")]
    ReportTask {
        /// The path of the file.
        file: String,
        /// The key that is missing.
        key: &'static str,
    },
    /// The server denies access.
    #[error("{url} rejects the token")]
    AccessDenied {
        /// The URL that was requested.
        url: String,
    },
    /// The server can't be reached, or its response is invalid.
    #[error("{url} gave an unexpected response: {what}")]
    InvalidResponse {
        /// The URL that was requested.
        url: String,
        /// What was received instead.
        what: String,
    },
    /// The server could not process the analysis.
    #[error("the server did not complete the analysis: its task is {status}{}", .why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default())]
    Analysis {
        /// The status of the background task.
        status: String,
        /// The error message of the server.
        why: Option<String>,
    },
    /// The server did not process the analysis in time.
    #[error("the server has not completed the analysis after {}", crate::base::units::duration(*.0))]
    TooLong(Duration),
}

/// The addresses from the file that a scanner writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTask {
    server: String,
    task: String,
}

impl ReportTask {
    /// Parses a `report-task.txt`, which consists of lines of the form `key=value`.
    ///
    /// # Errors
    /// The file does not contain the server or the task.
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

/// The settings for requests to a server.
pub struct Server<'a> {
    /// The token, if there is one.
    pub token: Option<&'a str>,
    /// The clock.
    pub clock: &'a Clock,
    /// The maximum time for the server to process the analysis.
    pub timeout: Duration,
}

#[derive(Deserialize)]
struct TaskResponse {
    task: BackgroundTask,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackgroundTask {
    status: String,
    analysis_id: Option<String>,
    error_message: Option<String>,
}

impl Server<'_> {
    /// Returns the response of `api/qualitygates/project_status` after the analysis is processed.
    ///
    /// # Errors
    /// The server can't be reached or denies access, or the analysis failed.
    pub fn status(&self, of: &ReportTask) -> Result<String, SonarError> {
        let analysis = self.analysis(of)?;
        let url = format!("{}/api/qualitygates/project_status?analysisId={analysis}", of.server);
        let text = self.get(&url)?;
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(answer) if answer["projectStatus"]["status"].is_string() => Ok(text),
            _ => Err(SonarError::InvalidResponse { url, what: "it has no `projectStatus`".to_owned() }),
        }
    }

    fn analysis(&self, of: &ReportTask) -> Result<String, SonarError> {
        let end = self.clock.elapsed() + self.timeout;
        loop {
            let text = self.get(&of.task)?;
            let no = |what: String| SonarError::InvalidResponse { url: of.task.clone(), what };
            let TaskResponse { task } = serde_json::from_str(&text).map_err(|error| no(error.to_string()))?;
            match &*task.status {
                "PENDING" | "IN_PROGRESS" if self.clock.elapsed() < end => std::thread::sleep(POLL_INTERVAL),
                "PENDING" | "IN_PROGRESS" => return Err(SonarError::TooLong(self.timeout)),
                "SUCCESS" => {
                    let id = task.analysis_id.ok_or_else(|| no("it names no analysis".to_owned()))?;
                    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
                    return if id.chars().all(is_plain) {
                        Ok(id)
                    } else {
                        Err(no("an invalid id".to_owned()))
                    };
                }
                _ => return Err(SonarError::Analysis { status: task.status, why: task.error_message }),
            }
        }
    }

    fn get(&self, url: &str) -> Result<String, SonarError> {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(REQUEST_TIMEOUT)).max_redirects(3).build();
        let mut request = ureq::Agent::new_with_config(config).get(url);
        if let Some(token) = self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let no = |what: String| SonarError::InvalidResponse { url: url.to_owned(), what };
        match request.call() {
            Ok(mut answer) => answer
                .body_mut()
                .with_config()
                .limit(MAX_RESPONSE)
                .read_to_string()
                .map_err(|error| no(error.to_string())),
            Err(ureq::Error::StatusCode(401 | 403)) => Err(SonarError::AccessDenied { url: url.to_owned() }),
            Err(error) => Err(no(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_task_file_names_server_and_task() {
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
