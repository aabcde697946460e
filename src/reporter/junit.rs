//! The `JUnit` reporter: writes an XML file for CI systems with a test case for each task. A hit is a passed
//! case that says that it was cached.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use quick_junit::{
    NonSuccessKind, NonSuccessReruns, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use crate::base::file::{self, Durability};
use crate::event::{Ended, Event, ServiceEnd, Status, TaskFinished, What};
use crate::quality::evidence::LISTED;
use crate::reporter::Reporter;
use crate::reporter::gate_table;
use crate::reporter::text::{Keep, safe};

/// Collects results and writes the file at the end of the run.
pub struct Junit {
    path: PathBuf,
    tasks: Vec<TaskFinished>,
    /// The output of failed services, by name.
    services: BTreeMap<String, String>,
}

impl Junit {
    /// Creates a reporter that writes to `path`, whose folder exists.
    pub fn new(path: PathBuf) -> Self {
        Self { path, tasks: Vec::new(), services: BTreeMap::new() }
    }

    fn write(&self, took: u64) -> io::Result<()> {
        let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
        for task in &self.tasks {
            let name = task.group.as_deref().unwrap_or("tasks");
            suites.entry(name).or_insert_with(|| TestSuite::new(name)).add_test_case(self.case(task));
        }
        let mut report = Report::new("taskgate");
        report.set_time(Duration::from_millis(took));
        report.add_test_suites(suites.into_values());
        let xml = report.to_string().map_err(io::Error::other)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
        file::write(&self.path, xml.as_bytes(), folder, Durability::Relaxed).map_err(io::Error::other)
    }
}

impl Reporter for Junit {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.what {
            What::TaskFinished(task) => self.tasks.push(task.clone()),
            What::ServiceEnded { service, end, log } if *end != ServiceEnd::Stopped => {
                self.services.insert(service.clone(), log.text.clone());
            }
            What::RunFinished(summary) => self.write(summary.took)?,
            _ => {}
        }
        Ok(())
    }
}

impl Junit {
    /// Returns the test case of a task. If a service made the task fail, it contains the service's output.
    fn case(&self, task: &TaskFinished) -> TestCase {
        let mut case = case(task);
        if let Status::Failed { ended: Ended::Service { name, .. } } = &task.status
            && let Some(text) = self.services.get(name)
        {
            let text = format!("{}── service {name} ──\n{text}", task.log.text);
            case.set_system_out(safe(&text, Keep::Nothing).into_owned());
        }
        case
    }
}

fn case(task: &TaskFinished) -> TestCase {
    let reason = task.reason.to_string();
    let mut status = match &task.status {
        Status::Passed | Status::Hit | Status::Flaky => TestCaseStatus::success(),
        Status::Failed { ended } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(ended.to_string()).set_type("failure");
            if let Some(evidence) = &task.evidence {
                status.set_description(gate_table::failures(evidence, LISTED));
            }
            status
        }
        Status::Stopped => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message("stopped before it ended").set_type("stopped");
            status
        }
        Status::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.clone());
            status
        }
    };
    for log in &task.failed_logs {
        let mut rerun = TestRerun::new(NonSuccessKind::Failure);
        rerun.set_system_out(safe(&log.text, Keep::Nothing).into_owned());
        match &mut status {
            TestCaseStatus::Success { flaky_runs } => flaky_runs.push(rerun),
            TestCaseStatus::NonSuccess { reruns: NonSuccessReruns { runs, .. }, .. } => runs.push(rerun),
            TestCaseStatus::Skipped { .. } => {}
        }
    }
    let mut case = TestCase::new(task.task.clone(), status);
    case.set_classname(task.group.clone().unwrap_or_else(|| "tasks".to_owned()));
    case.set_time(Duration::from_millis(task.took));
    if !task.log.text.is_empty() {
        case.set_system_out(safe(&task.log.text, Keep::Nothing).into_owned());
    }
    case.add_property(Property::new("cached", (task.status == Status::Hit).to_string()));
    case.add_property(Property::new("reason", reason));
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision_reason::Reason;
    use crate::quality::evidence::{Evidence, Ruling, Verdict, Violation};

    #[test]
    fn gate_is_a_test_case_that_fails_with_its_failed_rules() {
        let ruling = |rule: &str, verdict: Verdict| Ruling {
            rule: rule.to_owned(),
            required: "none".to_owned(),
            actual: "2".to_owned(),
            verdict,
            violations: vec![Violation { text: "weak <hash>".to_owned(), place: None, severity: None }],
            more: 0,
        };
        let rulings = vec![ruling("secrets", Verdict::Holds), ruling("findings.high", Verdict::Broken)];
        let status = Status::Failed { ended: Ended::Rules { broken: 1 } };
        let task = TaskFinished {
            took: 5,
            attempts: 1,
            evidence: Some(Box::new(Evidence { rules: rulings, ..Evidence::default() })),
            ..TaskFinished::new("quality", status, Reason::FirstRun)
        };
        let mut suite = TestSuite::new("tasks");
        suite.add_test_case(case(&task));
        let mut report = Report::new("taskgate");
        report.add_test_suite(suite);
        let xml = report.to_string().unwrap();
        assert!(xml.contains("message=\"1 rule is broken\""), "{xml}");
        assert!(xml.contains("findings.high: 2, required: none\n  weak &lt;hash&gt;"), "{xml}");
        assert!(!xml.contains("secrets"), "{xml}");
    }
}
