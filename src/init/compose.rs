//! The services that a compose file names, with the first port that each publishes. It must not
//! know YAML beyond blocks of indented lines, and says so where a file has more than that.

use crate::init::found::Found;
use crate::init::survey::Folder;

const FILES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// A compose file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compose {
    /// Its path from the top.
    pub path: String,
    /// Whether docker finds it by itself at the top.
    pub is_default: bool,
    /// Its services; `None` if they could not be read.
    pub services: Option<Vec<Service>>,
}

/// A service of a compose file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The port of this machine that leads to it.
    pub port: Option<u16>,
}

/// Notes the services of the folder's compose file.
pub(super) fn look(folder: &Folder, found: &mut Found) {
    if let Some((file, text)) = folder.first(FILES) {
        let path = folder.place(file);
        found.services.push(Compose { path, is_default: folder.is_top(), services: services(text) });
    }
}

/// The services of a file in block style; `None` if it has another or is not understood.
fn services(text: &str) -> Option<Vec<Service>> {
    let mut services: Vec<Service> = Vec::new();
    let (mut within, mut level, mut ports) = (false, None, None);
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        if rest.starts_with('\t') {
            return None;
        }
        if indent == 0 {
            within = rest == "services:";
            if !within && rest.starts_with("services") {
                return None;
            }
            continue;
        }
        if !within {
            continue;
        }
        let level = *level.get_or_insert(indent);
        if indent == level {
            services.push(Service { name: name(rest)?, port: None });
            ports = None;
        } else if indent < level {
            return None;
        } else if ports.is_some_and(|ports| indent > ports || indent == ports && rest.starts_with('-')) {
            let service = services.last_mut()?;
            service.port = service.port.or_else(|| port(rest));
        } else {
            ports = (rest == "ports:").then_some(indent);
        }
    }
    (!services.is_empty()).then_some(services)
}

/// The name of a service on the line that begins it.
fn name(line: &str) -> Option<String> {
    let name = line.strip_suffix(':')?.trim_matches(['"', '\'']);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}

/// The port of this machine in a line below `ports:`, in the short form or the long one.
fn port(line: &str) -> Option<u16> {
    let line = line.trim_start_matches('-').trim();
    if let Some(published) = line.strip_prefix("published:") {
        return published.trim().trim_matches(['"', '\'']).parse().ok();
    }
    let text = line.trim_matches(['"', '\'']);
    let text = text.strip_suffix("/tcp").unwrap_or(text);
    let mut parts = text.rsplit(':');
    let inner = parts.next()?;
    let outer = parts.next()?;
    // A port of the container alone is published somewhere, and `target:` is no port at all.
    inner.parse::<u16>().ok()?;
    outer.trim().parse().ok()
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
                Some("a=-"),
            ),
            ("services:\n  a:\n    environment:\n      X: 1:2\n    expose:\n      - 1:2\n", Some("a=-")),
            ("services: {a: {image: x}}\n", None),
            ("services:\n  a: {image: x}\n", None),
            ("services:\n\ta:\n", None),
            ("volumes:\n  a:\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }
}
