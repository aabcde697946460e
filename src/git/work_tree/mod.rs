//! The snapshot of the work tree as it is on disk, taken without opening clean files.
//!
//! Read `reader` first: it is what the rest of the crate uses. A `walk` visits the folders; `folder`
//! opens and lists one, `listing` matches its names with the index, and `content_cache` hashes files
//! and remembers the hashes, `verified_rows` remembers which files need no hash. `state` is what all walks of a work tree share, `submodule` says what
//! counts as the content of a submodule.

pub(super) mod content_cache;
mod folder;
mod listing;
pub(super) mod reader;
pub(super) mod state;
mod submodule;
mod verified_rows;
mod walk;
