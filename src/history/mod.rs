//! History: what earlier runs recorded in the state directory. It does not know the cache, nor how a
//! run is displayed.
//!
//! `runs` has the records of runs, `deploys` those of deploys, `tasks` the durations and keys of tasks, `gate_records` the facts
//! of gates; `task_reports`, `output_writers`, `init_logs`, `probe_answers` and `skips` each remember one thing.

pub mod deploys;
pub mod gate_records;
pub mod init_logs;
pub mod output_writers;
pub mod probe_answers;
pub mod runs;
pub mod skips;
pub mod task_reports;
pub mod tasks;
