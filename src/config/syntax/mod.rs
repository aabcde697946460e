//! The text of a tasks.toml as TOML: values with their places, what a `matrix` makes of a task, and what
//! is filled in between double braces.

pub(crate) mod document;
pub(crate) mod matrix;
pub mod template;
