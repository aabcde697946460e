//! The text of a tasks.toml as TOML: `document.rs` has values with their places, `matrix.rs` expands the
//! matrix of a task, `template.rs` finds and fills placeholders.

pub(crate) mod document;
pub(crate) mod matrix;
pub mod template;
