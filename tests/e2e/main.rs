//! Real signals, real kills, real disks.

#[path = "../project/mod.rs"]
mod project;
