//! Artifacts: what a deploy takes from the outputs of a task, and where it is kept. It must not know which
//! artifacts are deployed, nor where to.
//!
//! `outputs.rs` makes the outputs of a task readable, `pack.rs` packs them, `archive.rs` computes the digest of
//! what is packed, `image.rs` reads the digest of an image, and `store/` keeps packed artifacts.

pub mod archive;
pub mod image;
pub mod outputs;
pub mod pack;
pub mod store;

#[cfg(test)]
mod tests;
