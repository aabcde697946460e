//! The lowest layer: names, paths, patterns, digests, units, time, files, locks and the environment. It must
//! not know of tasks, trees or runs.

pub mod ci;
pub mod clock;
pub mod cycle;
pub mod digest;
pub mod env;
pub mod file;
pub mod links;
pub mod lock;
pub mod name;
pub mod path;
pub mod path_mapping;
pub mod pattern;
pub mod pattern_overlap;
pub mod random;
pub mod stat;
pub mod stat_cache;
pub mod text;
pub mod tool_files;
pub mod units;
#[cfg(test)]
pub(crate) mod wait;
pub mod yaml;
