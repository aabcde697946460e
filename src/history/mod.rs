//! History: what former runs left on record. It must not know the cache, nor how a run is drawn.

pub mod gate_records;
pub mod output_writers;
pub mod runs;
pub mod skips;
pub mod task_reports;
pub mod tasks;
pub mod unpushed_passes;
