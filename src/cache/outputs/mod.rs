//! The outputs of a task as they are on disk. `output_set` is the type; `walk` lists what matches the
//! patterns, `content` hashes it (`table` remembers the hashes), `collect` makes an output set of it,
//! and `compare` returns whether the disk still has the outputs of an entry.

pub(super) mod collect;
pub(super) mod compare;
pub(super) mod content;
pub(super) mod output_set;
pub(super) mod table;
pub(super) mod walk;
