//! Git hooks: what lies in the folder that git takes them from, and what installing and uninstalling
//! do there. They must not know what a hook does once git calls it.
//!
//! [`shim`] is the text of a hook of ours; [`survey`] tells what is there; [`change`] decides, purely,
//! what is to be done; [`folder`] does it. A hook that was there before is kept beside ours and runs
//! first; at no moment is there none.

pub mod change;
pub mod folder;
pub mod shim;
pub mod survey;
