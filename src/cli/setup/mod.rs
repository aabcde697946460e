//! Commands that set up a repository and look after what taskgate keeps there.

pub mod cache;
pub mod doctor;
pub mod init;
pub mod schema;
pub mod trial;
