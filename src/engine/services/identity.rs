//! The identity of a service: a digest of its definition, of the files that it reads and of the outputs that
//! it needs. A service that stays up between runs is used again only if its identity is still the same.

use crate::base::digest::{Digest, FieldHasher};
use crate::base::env::Env;
use crate::config::model::{Config, ServiceId, TaskId};
use crate::git::snapshot::Snapshot;
use crate::key::inputs::InputSet;
use crate::key::{self, Contribution};
use crate::plan;

/// What identities are computed from.
pub struct Identities<'a> {
    /// The services and tasks.
    pub config: &'a Config,
    /// The caller's variables.
    pub env: &'a Env,
    /// The tree; `None` outside a repository.
    pub snapshot: Option<&'a Snapshot>,
    /// Returns what a task contributes to the keys of those that need it, if it is known.
    pub contribution: &'a dyn Fn(TaskId) -> Option<Contribution>,
}

impl Identities<'_> {
    /// Returns the identity of a service.
    pub fn identity(&self, id: ServiceId) -> Digest {
        let mut fields = FieldHasher::new("taskgate service 1");
        let service = self.config.service(id);
        fields.add(key::definition(service).hex().as_bytes());
        for (name, value) in plan::passed_variables(&service.env.variables, self.env) {
            fields.add(name.as_bytes()).add(value.unwrap_or_default().as_bytes());
        }
        if let Some(snapshot) = self.snapshot {
            fields.add(InputSet::for_service(service).digest(snapshot).hex().as_bytes());
        }
        for need in &service.needs {
            fields.add(format!("{:?}", (self.contribution)(*need)).as_bytes());
        }
        for used in service.env.services.values() {
            fields.add(self.identity(*used).hex().as_bytes());
        }
        fields.digest()
    }
}
