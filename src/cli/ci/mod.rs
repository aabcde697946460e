//! Commands for CI systems.
//!
//! [`service`] detects the CI service and what its reporter needs; [`files`] writes and checks workflow
//! files, with what is taken from existing ones; [`baseline`] shares what gates recorded; [`sonar`] asks a
//! `SonarQube` server.

pub mod baseline;
mod existing;
pub mod files;
pub mod service;
pub mod sonar;
mod text_file;
