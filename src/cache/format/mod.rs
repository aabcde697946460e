//! The files of the cache: what an entry and a blob look like, byte by byte. It does not know where
//! they are. Read `entry` first, then `blob`; `compression` and `wire` are the means of both.

pub(super) mod blob;
pub(super) mod compression;
pub(super) mod entry;
mod wire;
