//! Finds the services of a compose file, with the first port that each publishes.

use serde_json::Value;

use crate::base::yaml;
use crate::init::proposals::{Compose, Proposals, Service};
use crate::init::survey::Folder;

const FILES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
/// Files that docker reads after the compose file of the folder that it is called in.
const OVERRIDES: &[&str] = &[
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
];

/// Adds the services of the folder's compose file.
pub(super) fn propose(folder: &Folder, found: &mut Proposals) {
    if let Some((file, text)) = folder.first_existing(FILES) {
        let path = folder.path_of(file);
        let mut all = services(text);
        let others = folder.first_existing(OVERRIDES).and_then(|(_, text)| services(text));
        if let (Some(all), Some(others), true) = (&mut all, others, folder.is_top()) {
            for other in others {
                match all.iter_mut().find(|service| service.name == other.name) {
                    // Docker publishes the ports of both files.
                    Some(service) => service.port = service.port.or(other.port),
                    None => all.push(other),
                }
            }
        }
        found.services.push(Compose { path, is_default: folder.is_top(), services: all });
    }
}

/// Returns the services of a file; `None` if it can't be read or names none.
fn services(text: &str) -> Option<Vec<Service>> {
    let file = yaml::parse(text).ok()?;
    let services = file["services"].as_object()?.iter().map(|(name, service)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let port = service["ports"].as_array().into_iter().flatten().find_map(port);
        name.chars().all(plain).then(|| Service { name: name.clone(), port })
    });
    services.collect::<Option<Vec<_>>>().filter(|services| !services.is_empty())
}

/// Returns the port of this machine that an entry of `ports` publishes, in its short or long form.
fn port(entry: &Value) -> Option<u16> {
    let published = &entry["published"];
    if let Some(port) = published.as_u64() {
        return port.try_into().ok();
    }
    if let Some(port) = published.as_str() {
        return port.parse().ok();
    }
    let text = with_defaults(entry.as_str()?);
    let text = text.as_str();
    let mut parts = text.strip_suffix("/tcp").unwrap_or(text).rsplit(':');
    // An entry with only a port of the container is published at a random port.
    parts.next()?.parse::<u16>().ok()?;
    parts.next()?.parse().ok()
}

/// Replaces variables such as `${PORT:-5432}` by their defaults.
fn with_defaults(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some((before, rest)) = text.split_once("${")
        && let Some((variable, after)) = rest.split_once('}')
    {
        let default = variable.split_once(":-").or_else(|| variable.split_once('-'));
        text = format!("{before}{}{after}", default.map_or("", |(_, default)| default));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let all = services(text)?;
        let one =
            |it: &Service| format!("{}={}", it.name, it.port.map_or("-".to_owned(), |port| port.to_string()));
        Some(all.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn services_are_read_with_their_first_port() {
        let cases = [
            (
                "services:\n  db:\n    image: postgres\n    ports:\n      - \"5433:5432\"\n      - 1:2\n",
                Some("db=5433"),
            ),
            (
                "version: '3'\nservices:\n  a:\n    ports:\n    - 127.0.0.1:80:8080/tcp\n  b:\n    image: x\nvolumes:\n  c:\n",
                Some("a=80 b=-"),
            ),
            (
                "services:\n    a: # one\n        ports:\n            - target: 80\n              published: \"8080\"\n",
                Some("a=8080"),
            ),
            (
                "services:\n  a:\n    ports:\n      - \"${PORT:-5432}:5432\"\n      - \"3000\"\n      - 53:53/udp\n",
                Some("a=5432"),
            ),
            ("services:\n  a:\n    environment:\n      X: 1:2\n    expose:\n      - 1:2\n", Some("a=-")),
            ("services: {a: {image: x}}\n", Some("a=-")),
            ("services:\n  a: {ports: [80:80]}\n  b c:\n", None),
            ("services:\n\ta:\n", None),
            ("volumes:\n  a:\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }
}
