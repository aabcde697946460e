//! History: what former runs left on record. It must not know the cache, nor how a run is drawn.

pub mod records;
pub mod reports;
pub mod runs;
pub mod skips;
pub mod tasks;
pub mod writers;
