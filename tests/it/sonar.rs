//! `xtask sonar`, tested with a server that gives recorded answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use crate::project::{CommandOutput, Project};

/// The server's answer about an analysis that is in progress. The next ones are about one that has ended.
const IN_PROGRESS: &str = r#"{"task":{"id":"AZ1","type":"REPORT","componentKey":"shop","status":"IN_PROGRESS","submittedAt":"2026-11-20T10:00:00+0000"}}"#;
const SUCCESS: &str = r#"{"task":{"id":"AZ1","type":"REPORT","componentKey":"shop","analysisId":"AZ-2_x","status":"SUCCESS","submittedAt":"2026-11-20T10:00:00+0000"}}"#;
const FAILED: &str = r#"{"task":{"id":"AZ1","status":"FAILED","errorMessage":"Not enough rights"}}"#;
const STATUS: &str = r#"{"projectStatus":{"status":"ERROR","conditions":[{"status":"ERROR","metricKey":"new_coverage","comparator":"LT","errorThreshold":"80","actualValue":"61.2"}],"periods":[],"ignoredConditions":false}}"#;

/// A server that gives recorded answers, one after the other, and records the requests.
struct Server {
    address: String,
    asked: Receiver<String>,
    thread: JoinHandle<()>,
}

impl Server {
    fn start(answers: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, asked) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            for (status, body) in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                tell.send(head.join("\n")).unwrap();
                let mut stream = stream;
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        Self { address, asked, thread }
    }

    fn project(&self) -> Project {
        let project = Project::new("[tasks.a]\nrun = 'true'\n");
        let Self { address, .. } = self;
        project.write(
            ".scannerwork/report-task.txt",
            format!(
                "projectKey=shop\nserverUrl=http://{address}\nceTaskUrl=http://{address}/api/ce/task?id=AZ1\n"
            ),
        );
        project
    }

    fn requests(self) -> Vec<String> {
        self.thread.join().unwrap();
        self.asked.iter().collect()
    }
}

#[test]
fn status_is_printed_after_the_analysis() {
    let server = Server::start(&[("200 OK", IN_PROGRESS), ("200 OK", SUCCESS), ("200 OK", STATUS)]);
    let project = server.project();
    let ran = ask(&project, &[("SONAR_TOKEN", "squ_1")]);
    assert_eq!((ran.status, ran.out.trim_end()), (0, STATUS), "{}", ran.err);
    let asked = server.requests();
    let paths: Vec<&str> = asked.iter().map(|head| head.split(' ').nth(1).unwrap()).collect();
    assert_eq!(
        paths,
        ["/api/ce/task?id=AZ1", "/api/ce/task?id=AZ1", "/api/qualitygates/project_status?analysisId=AZ-2_x"]
    );
    assert!(asked.iter().all(|head| head.to_lowercase().contains("authorization: bearer squ_1")));
}

#[test]
fn error_of_the_server_is_reported() {
    let cases: [(&'static [(&str, &str)], &str); 4] = [
        (&[("401 Unauthorized", "")], "rejects the token"),
        (&[("200 OK", FAILED)], "its task is FAILED (Not enough rights)"),
        (&[("200 OK", "<html>")], "gave an unexpected response"),
        (&[("200 OK", SUCCESS), ("200 OK", "{}")], "it has no `projectStatus`"),
    ];
    for (answers, expected) in cases {
        let server = Server::start(answers);
        let ran = ask(&server.project(), &[]);
        assert_eq!((ran.status, &*ran.out), (5, ""), "{expected}");
        assert!(ran.err.contains(expected), "{}", ran.err);
        server.requests();
    }
}

#[test]
fn missing_file_of_the_scanner_is_an_error() {
    let project = Project::new("[tasks.a]\nrun = 'true'\n");
    let ran = project.xtask(&["sonar"]);
    assert_eq!(ran.status, 2);
    project.write(".scannerwork/report-task.txt", "projectKey=shop\n");
    let ran = project.xtask(&["sonar"]);
    assert_eq!(ran.status, 5);
    assert_screens!();
}

/// Runs `xtask sonar` with these variables.
fn ask(project: &Project, vars: &[(&str, &str)]) -> CommandOutput {
    let mut command = project.xtask_command(&["sonar"]);
    command.envs(vars.iter().copied());
    CommandOutput::from_output(command.output().unwrap())
}
