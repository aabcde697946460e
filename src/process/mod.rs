//! Processes: each command leads a session and a process group of its own, without a terminal; its
//! output is pumped, masked and bounded, and nothing of the group survives it. It must not know of
//! tasks.
//!
//! [`run`](run::run) starts one command and stays with it on the calling thread until it and its
//! group are gone. A [`Stop`](stop::Stop) ends it from any other thread. What left its group is
//! found by a mark in its environment ([`strays`]), and a [`Guard`](guard::Guard) does the same
//! when the runner itself is killed.

mod course;
mod exit;
mod group;
mod lines;
mod marked;
mod output;
mod wake;

pub mod caller;
pub mod children;
pub mod file_limit;
pub mod guard;
pub mod interpreter;
pub mod log;
pub mod mask;
pub mod program;
pub mod run;
pub mod session;
pub mod spawn;
pub mod stop;
pub mod strays;
pub mod suspend;
pub mod trace;

/// Only Linux shows the tests what is left of a run.
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
