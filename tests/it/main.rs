//! Tests of all commands that start the program; one file for each command or topic.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "a test fails by saying what is wrong, and stands in for the user's shell"
)]

#[allow(dead_code, reason = "each test program uses its own part")]
#[path = "../project/mod.rs"]
#[macro_use]
mod project;

#[path = "../conformance/mod.rs"]
mod conformance;

mod affected;
mod at_revision;
#[cfg(target_os = "linux")]
mod audit;
mod baseline;
mod cache;
mod ci_baseline;
mod ci_output;
mod ci_workflows;
mod completions;
mod config;
mod deploy;
mod deploy_command;
mod deploy_concurrency;
mod deploy_conformance;
mod deploy_migrations;
mod deploy_output;
mod deploy_policy;
mod diff_run;
mod docs;
mod doctor;
mod env_file;
mod fix;
mod gate;
mod graph;
mod hints;
mod hook_stages;
mod hooks_install;
mod include;
mod init;
mod list;
mod log;
mod manifest;
mod masking;
mod matrix;
mod merge_runs;
mod messages;
mod output_formats;
mod outputs;
mod plan;
mod quality_output;
mod quality_rules;
mod readiness;
mod remembered_config;
#[cfg(target_os = "linux")]
mod remembered_probes;
mod report_formats;
mod repositories;
mod run;
mod rust_tasks;
mod sandbox;
mod schema;
mod secrets;
mod services;
mod shard;
mod sonar;
mod stale_reports;
mod terminal;
mod tree_snapshot;
mod unmatched_patterns;
mod why;
