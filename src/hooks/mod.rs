//! Installs and uninstalls git hooks. This module does not know what a hook does when git calls it.
//!
//! [`shim`] has the text of our hooks, [`survey`] reads the hooks folder, [`change`] decides what to do
//! (pure), and [`folder`] does it. [`managers`] knows other hook managers, which replace or call ours,
//! and [`foreign`] reads a folder of hooks that is not ours. An existing hook is kept next to ours and runs first.
//! While hooks are replaced, there is always one in place.

pub mod change;
pub mod folder;
pub mod foreign;
pub mod managers;
pub mod shim;
pub mod survey;
