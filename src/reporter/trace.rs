//! The trace reporter: a file in the Trace Event Format, which Chrome and Perfetto open, with a lane for
//! each job slot. It must not measure anything itself.

use std::io;
use std::path::PathBuf;

use serde_json::json;

use crate::base::file::{self, Durability};
use crate::event::{Event, Status, TaskFinished, What};
use crate::reporter::Reporter;

/// Collects spans and writes the file at the end of the run.
pub struct Trace {
    path: PathBuf,
    tasks: Vec<TaskFinished>,
}

impl Trace {
    /// Creates a reporter that writes to `path`, whose folder exists.
    pub fn new(path: PathBuf) -> Self {
        Self { path, tasks: Vec::new() }
    }

    fn write(&mut self) -> io::Result<()> {
        self.tasks.sort_by_key(|task| task.started);
        let mut lanes: Vec<u64> = Vec::new();
        let mut events = Vec::new();
        for task in &self.tasks {
            let free = lanes.iter().position(|end| *end <= task.started);
            let lane = free.unwrap_or_else(|| {
                lanes.push(0);
                lanes.len() - 1
            });
            lanes[lane] = task.started + task.took;
            let status = serde_json::to_value(&task.status)?;
            events.push(json!({
                "name": task.task,
                "cat": task.group.as_deref().unwrap_or("tasks"),
                "ph": "X",
                "ts": task.started * 1000,
                "dur": task.took * 1000,
                "pid": 1,
                "tid": lane + 1,
                "args": {
                    "status": status["kind"],
                    "reason": task.reason.to_string(),
                    "attempts": task.attempts,
                },
            }));
        }
        let text = serde_json::to_vec(&json!({ "traceEvents": events, "displayTimeUnit": "ms" }))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
        file::write(&self.path, &text, folder, Durability::Relaxed).map_err(io::Error::other)
    }
}

impl Reporter for Trace {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.what {
            What::TaskFinished(task) if task.status != Status::Skipped => self.tasks.push(task.clone()),
            What::RunFinished(_) => self.write()?,
            _ => {}
        }
        Ok(())
    }
}
