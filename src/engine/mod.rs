//! The engine: runs a plan and emits events. It must not print, and must not know who listens.

pub mod scheduler;
