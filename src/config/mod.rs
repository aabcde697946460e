//! tasks.toml: raw text → spanned document → typed [`model::Config`], with every diagnostic of the
//! file in one go. It must not know git, the cache or the file system: text goes in.

pub mod model;
