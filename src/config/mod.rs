//! tasks.toml: parses texts into a [`model::Config`], and reports all errors of all files at once. It must not
//! know git or the cache: files come through a [`load::ConfigTree`].
//!
//! Read `model.rs` first, which says what a config is, then `assemble.rs`, which makes one from texts:
//! `syntax/` parses TOML with places, `sections/` has a file for each table, and `resolve/` resolves names.
//! `load/` finds the files that belong together, and `schema/` has the table of all keys.

mod assemble;
mod config_file;
pub mod deploy;
pub mod diagnostic;
pub mod hook_stage;
mod ids;
pub mod load;
pub mod model;
mod naming;
mod refusal;
mod resolve;
pub mod schema;
mod sections;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod wording;

pub use assemble::parse;
pub use naming::own_name;
pub use refusal::{Refusal, refuse};
pub use sections::variables::port_variable;
pub use source::SourceText;
pub use syntax::template;
