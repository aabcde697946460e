//! `[artifacts]`, `[deploy]` and `[environments]`. Start with `environments.rs`; `fields.rs` reads the keys of a table
//! by name, and `roles.rs` has the keys that an environment with one unnamed role has itself.

pub(crate) mod analysis;
pub(crate) mod artifacts;
pub(crate) mod environments;
pub(crate) mod fields;
pub(crate) mod health_check;
pub(crate) mod hosts;
pub(crate) mod migrations;
pub(crate) mod placeholders;
pub(crate) mod policy;
pub(crate) mod roles;
pub(crate) mod routers;
pub(crate) mod settings;
pub(crate) mod traffic;
pub(crate) mod variables;

use crate::base::path::RepoPath;
use crate::config::diagnostic::LineIndex;
use crate::config::naming::NameIndex;
use crate::config::sections::drafts::{ServiceDraft, TaskDraft};
use crate::config::syntax::document::Syntax;

/// What the tables of deploying refer to, and what is needed to read their values.
pub(crate) struct DeployContext<'c, 'd> {
    /// The folder of the file, and its name in messages.
    pub(crate) base: &'c RepoPath,
    pub(crate) file: &'c str,
    pub(crate) lines: &'c LineIndex<'d>,
    pub(crate) syntax: Syntax,
    /// The tasks and services of all files.
    pub(crate) names: &'c NameIndex<'c>,
    pub(crate) drafts: &'c [TaskDraft<'d>],
    pub(crate) services: &'c [ServiceDraft<'d>],
}
