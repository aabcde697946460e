//! The files of the cache: what an entry and a blob look like, byte by byte. It does not know where
//! they are. Read `entry` first, then `blob` and `index`; `compression` and `wire` are the means of all.

pub(super) mod blob;
pub(super) mod compression;
pub(super) mod entry;
pub(super) mod index;
mod wire;
