//! Makes a release of what a deploy has at hand. It must not know what is current on the target.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::digest::FieldHasher;
use crate::config::deploy::{Environment, Role, Variables};
use crate::deploy::release::{Release, ReleaseArtifact, ReleaseId};

/// What is to become a release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The commit.
    pub commit: String,
    /// The tree of this commit.
    pub tree: String,
    /// The artifacts, by their names.
    pub artifacts: BTreeMap<String, ReleaseArtifact>,
    /// Who asks for it.
    pub by: String,
}

impl Candidate {
    /// Returns whether the digests of all artifacts are known.
    pub fn is_built(&self) -> bool {
        self.artifacts.values().all(|artifact| artifact.digest.is_valid())
    }

    /// Makes the release with this number.
    pub(crate) fn release(
        &self,
        environment: &Environment,
        number: u32,
        pending: &[String],
        created: Timestamp,
    ) -> Release {
        let roles = roles_with_variables(environment);
        let digest = digest(&self.artifacts, &roles);
        Release {
            id: ReleaseId(format!("{number}-{}", &digest[..8])),
            number,
            commit: self.commit.clone(),
            tree: self.tree.clone(),
            artifacts: self.artifacts.clone(),
            digest,
            roles,
            migrations: environment.migrations.clone(),
            pending: pending.to_vec(),
            contracts: false,
            previous: None,
            created,
            by: self.by.clone(),
        }
    }
}

/// Returns the digest of a release, in hexadecimal digits.
fn digest(artifacts: &BTreeMap<String, ReleaseArtifact>, roles: &[Role]) -> String {
    let mut fields = FieldHasher::new("taskgate release 1");
    fields.number(artifacts.len() as u64);
    for (name, artifact) in artifacts {
        fields.add(name.as_bytes());
        fields.add(artifact.digest.0.as_bytes());
        fields.add(artifact.image.as_deref().unwrap_or_default().as_bytes());
    }
    // A JSON value of these types always exists: all keys are texts.
    fields.add(serde_json::json!(roles).to_string().as_bytes());
    fields.digest().hex()
}

/// Returns the roles of an environment; the variables of each include those of the environment.
pub fn roles_with_variables(environment: &Environment) -> Vec<Role> {
    let with_variables = |role: &Role| {
        let mut role = role.clone();
        role.variables = merged(&environment.variables, &role.variables);
        role
    };
    environment.roles.iter().map(with_variables).collect()
}

/// Returns the variables of both; those of `inner` win. Files that are read later win too.
fn merged(outer: &Variables, inner: &Variables) -> Variables {
    let mut merged = outer.clone();
    merged.env.extend(inner.env.clone());
    // A name is either secret or not: what the role says of it replaces what the environment says.
    merged.env.retain(|name, _| inner.env.contains_key(name) || !inner.secret_env.contains(name));
    merged.secret_env.retain(|name| !inner.env.contains_key(name));
    for (all, more) in
        [(&mut merged.env_files, &inner.env_files), (&mut merged.secret_env, &inner.secret_env)]
    {
        for one in more {
            if !all.contains(one) {
                all.push(one.clone());
            }
        }
    }
    merged
}
