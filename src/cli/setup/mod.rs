//! Commands that set up a repository and look after what taskgate keeps there.
//!
//! [`init`] writes a first tasks.toml after a [`trial`] of its tasks; [`doctor`] checks the machine;
//! [`cache`] inspects and cleans the cache; [`schema`] prints the JSON schema.

pub mod cache;
pub mod doctor;
pub mod init;
pub mod init_summary;
pub mod schema;
pub mod trial;
