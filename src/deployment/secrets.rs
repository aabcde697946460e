//! The values of secret variables, read on the machine that deploys at the time of the deploy. They must not get
//! into a message, a record or an argument list.

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::env::Env;
use crate::base::file::{self, FileError};
use crate::config::deploy::Role;
use crate::config::diagnostic::Diagnostics;
use crate::config::load::dotenv;

/// The values, by role and name.
pub type SecretValues = BTreeMap<String, BTreeMap<String, String>>;

/// Why the values can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A variable of `secret-env` is not set.
    #[error("role {role} needs {name}, which is not set")]
    Unset {
        /// The role.
        role: String,
        /// The variable.
        name: String,
    },
    /// A file of variables is missing.
    #[error("role {role} needs the file {file}, which is missing")]
    NoFile {
        /// The role.
        role: String,
        /// The file, as tasks.toml names it.
        file: String,
    },
    /// A file of variables is invalid.
    #[error("a file of variables is invalid")]
    Invalid(Diagnostics),
    /// A file of variables can't be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What happens if a value is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// It is an error.
    Refuse,
    /// It is left out: what is begun must be given up without it, too.
    LeaveOut,
}

/// Reads the values of these roles from files below `root` and from `env`.
///
/// # Errors
/// A value is missing, or a file can't be read.
pub fn read(roles: &[Role], env: &Env, root: &Path, missing: Missing) -> Result<SecretValues, SecretError> {
    let mut values = SecretValues::new();
    for role in roles {
        let of_role = values.entry(role.name.clone()).or_default();
        for name in &role.variables.env_files {
            let path = name.strip_prefix('?').unwrap_or(name);
            match file::read(&root.join(path))? {
                Some(bytes) => {
                    let variables = dotenv::read(path, &bytes);
                    let variables =
                        variables.map_err(|error| SecretError::Invalid(Diagnostics::new(vec![error])))?;
                    of_role.extend(variables.into_iter().map(|(name, value)| (name, value.0)));
                }
                None if name.starts_with('?') || missing == Missing::LeaveOut => {}
                None => {
                    return Err(SecretError::NoFile { role: role.name.clone(), file: path.to_owned() });
                }
            }
        }
        for name in &role.variables.secret_env {
            match env.var(name).and_then(|value| value.to_str()) {
                Some(value) => {
                    of_role.insert(name.clone(), value.to_owned());
                }
                None if missing == Missing::LeaveOut => {}
                None => return Err(SecretError::Unset { role: role.name.clone(), name: name.clone() }),
            }
        }
    }
    Ok(values)
}
