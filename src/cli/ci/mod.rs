//! Commands for CI systems: their files, baselines, and what a SonarQube server says.

pub mod baseline;
pub mod files;
pub mod service;
pub mod sonar;
