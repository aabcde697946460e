//! Commands about environments: a file for each. [`context`] contains what they share, [`reporters`] what
//! they print and record, [`error`] why one could not begin.

pub mod approve;
pub mod context;
#[expect(clippy::module_inception, reason = "the command has the name of its family")]
pub mod deploy;
pub mod error;
pub mod freeze;
pub mod policy_source;
pub mod releases;
pub mod reporters;
pub mod rollback;
pub mod status;
