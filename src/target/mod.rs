//! The I/O of a deploy: hosts, health checks and routers. It must not decide what is done next.
//!
//! `connection.rs` runs a shell program on a machine, `host.sh` is that program, `host.rs` calls it, and
//! `hosts.rs` maps the steps of a deploy to these calls. `compose.rs` has what a compose project is called with, and
//! `command.rs` is a target that the commands of a project know. `health.rs` asks a started release who it is.

pub mod command;
pub mod compose;
pub mod connection;
pub mod health;
pub mod host;
pub mod hosts;
pub mod router;
pub mod samples;
pub mod variables;

#[cfg(test)]
mod tests;
