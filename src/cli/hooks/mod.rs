//! Commands about git's hooks and the gate that they call.

pub mod gate;
pub mod hook;
pub mod install;
