//! The role of an environment that is a docker compose project: the lines and shell texts that `compose.sh` is
//! called with. It must not know how they get to the host, nor the steps of a deploy.

use std::collections::BTreeMap;

use crate::config::deploy::{Role, Runs};
use crate::deploy::release::{ArtifactDigest, COMPOSE_FILE, Release, ReleaseId, Slot};
use crate::target::variables::quote;

/// The program.
const PROGRAM: &str = include_str!("compose.sh");
/// The variable that only the compose file gets: in a container, a service listens where its image says.
const PORT: &str = "PORT";

/// A compose project on a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ComposeProject<'a> {
    /// The folder of the environment.
    path: &'a str,
    /// The name of the role.
    role: &'a str,
    /// The name of the project of the services without slots.
    project: String,
    /// The compose file, relative to the folder of a slot.
    file: &'a str,
    /// The services that have slots.
    services: &'a [String],
    /// The artifacts that are images of services: service, name and digest.
    images: Vec<(&'a str, &'a str, &'a ArtifactDigest)>,
}

/// Returns the name of the artifact that contains a compose file.
pub fn file_artifact(file: &str) -> String {
    format!("{COMPOSE_FILE}{file}")
}

/// Returns the name of the compose project of an environment: the last part of its folder, and its own name.
pub fn project_name(path: &str, environment: &str) -> String {
    let folder = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    let has_name = folder == environment || folder.ends_with(&format!("-{environment}"));
    let name = match folder {
        "" => environment.to_owned(),
        _ if has_name => folder.to_owned(),
        _ => format!("{folder}-{environment}"),
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).collect();
    // Docker refuses names of images with two separators in a row, or with one at an end.
    let parts: Vec<_> = name.split(['-', '_']).filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

impl<'a> ComposeProject<'a> {
    /// Returns the project of a release's role; `None` if the role is not a compose project.
    pub fn new(environment: &str, path: &'a str, role: &'a Role, release: &'a Release) -> Option<Self> {
        let Runs::Compose { file, services, images } = &role.runs else { return None };
        let images = images.iter().filter_map(|(service, name)| {
            let artifact = release.artifacts.get(name)?;
            Some((service.as_str(), artifact.image.as_deref()?, &artifact.digest))
        });
        let project = project_name(path, environment);
        Some(Self { path, role: &role.name, project, file, services, images: images.collect() })
    }

    /// Returns the line that starts a slot.
    pub fn start_line(&self, slot: Slot) -> String {
        let services: Vec<_> = self.services.iter().map(|service| quote(service)).collect();
        format!("sh {} start {slot} {} {}", self.program_file(slot), quote(self.file), services.join(" "))
    }

    /// Returns the line that stops a slot.
    pub fn stop_line(&self, slot: Slot) -> String {
        format!("sh {} stop {slot}", self.program_file(slot))
    }

    /// Returns the line that exits with 0 if all services of a slot run, with 1 if none does, and otherwise with a
    /// status that means that nobody knows.
    pub fn status_line(&self, slot: Slot) -> String {
        let services: Vec<_> = self.services.iter().map(|service| quote(service)).collect();
        format!(
            "found=$(docker ps --filter label=com.docker.compose.project={}-{slot} \
             --format '{{{{.State}}}} {{{{.Label \"com.docker.compose.service\"}}}}') || exit 125\n\
             [ -n \"$found\" ] || exit 1\n\
             for service in {}; do printf '%s\\n' \"$found\" | grep -qxF \"running $service\" || exit 126; done",
            self.project,
            services.join(" ")
        )
    }

    /// Returns a shell text that brings the images of a release to the host, and keeps them there.
    pub fn deliver_script(&self, release: &ReleaseId) -> String {
        self.program(&[], &self.deliver_call(release))
    }

    /// Returns a shell text that prepares a slot for a release. `variables` are those of its services.
    pub fn stage_script(
        &self,
        slot: Slot,
        release: &ReleaseId,
        variables: &BTreeMap<String, String>,
    ) -> String {
        let names: Vec<_> = variables.keys().map(String::as_str).filter(|name| *name != PORT).collect();
        let file = self.program_file(slot);
        format!(
            "mkdir -p {folder} || exit 73\nput {file} {text}\n{deliver}",
            folder = quote(&format!("{}/{}", self.path, self.role)),
            text = quote(&self.program(&names, "\"$@\"")),
            deliver = self.program(&[], &self.deliver_call(release)),
        )
    }

    /// Returns a shell text that removes the images of all but these releases and those in slots.
    pub fn clean_script(&self, keep: &[ReleaseId]) -> String {
        let keep: Vec<_> = keep.iter().map(|id| quote(&id.0)).collect();
        self.program(&[], &format!("clean {}", keep.join(" ")))
    }

    fn deliver_call(&self, release: &ReleaseId) -> String {
        let mut call = format!("deliver {}", quote(&release.0));
        for (service, name, digest) in &self.images {
            call.push_str(&format!(" {} {} {}", quote(service), quote(name), quote(&digest.0)));
        }
        call
    }

    fn program(&self, names: &[&str], call: &str) -> String {
        let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            "path={} role={} project={} names={}\n{PROGRAM}\n{call}",
            quote(self.path),
            quote(self.role),
            quote(&self.project),
            quote(&names.join(", ")),
        )
    }

    /// Returns the file of the program for a slot, as a word of a shell.
    fn program_file(&self, slot: Slot) -> String {
        quote(&format!("{}/{}/{slot}.sh", self.path, self.role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_is_named_by_folder_and_environment() {
        let cases = [
            ("/srv/shop", "production", "shop-production"),
            ("/srv/shop-staging", "staging", "shop-staging"),
            ("/srv/staging/", "staging", "staging"),
            ("", "staging", "staging"),
            ("/srv/My Shop", "eu.west", "my-shop-eu-west"),
            ("/srv/_shop__", "b", "shop-b"),
        ];
        for (path, environment, expected) in cases {
            assert_eq!(project_name(path, environment), expected, "{path} {environment}");
        }
    }
}
