//! Placeholders `{{ … }}` in the texts of tasks.toml. It must not know what is filled in. Double braces with
//! any other content stay, since they may belong to a command.

use std::ops::Range;

use crate::base::name;

/// Returns the places of `{{ front.NAME back }}` in a text, each with its name.
pub(crate) fn places<'t>(text: &'t str, front: &str, back: &str) -> Vec<(Range<usize>, &'t str)> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("{{").map(|start| at + start) {
        let Some(end) = text[start..].find("}}").map(|end| start + end) else { break };
        let inner = text[start + 2..end].trim();
        let named = inner.strip_prefix(front).and_then(|rest| rest.strip_suffix(back));
        match named {
            Some(named) if named.split(':').all(|part| name::invalid_reason(part).is_none()) => {
                places.push((start..end + 2, named));
            }
            _ => {}
        }
        at = start + 2;
    }
    places
}

/// Returns the text with the value of each placeholder; one without a value stays.
pub(crate) fn filled<'v>(
    text: &str,
    front: &str,
    back: &str,
    value: impl Fn(&str) -> Option<&'v str>,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = 0;
    for (place, named) in places(text, front, back) {
        if let Some(value) = value(named) {
            out.push_str(&text[rest..place.start]);
            out.push_str(value);
            rest = place.end;
        }
    }
    out.push_str(&text[rest..]);
    out
}

/// Returns what follows `services.` in each pair of double braces. In a valid text, it is the name of a
/// service with `.port` or `.dir`.
pub(crate) fn mentions(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    inner.filter_map(|(inner, _)| inner.trim().strip_prefix(PORT.0))
}

/// The text around a service's name where its port is filled in.
const PORT: (&str, &str) = ("services.", ".port");
/// The text around a service's name where its folder is filled in.
const DIR: (&str, &str) = ("services.", ".dir");

/// Returns the services whose ports a text needs.
pub fn ports_of(text: &str) -> impl Iterator<Item = &str> {
    places(text, PORT.0, PORT.1).into_iter().map(|(_, name)| name)
}

/// Returns the services whose folders a text needs.
pub fn dirs_of(text: &str) -> impl Iterator<Item = &str> {
    places(text, DIR.0, DIR.1).into_iter().map(|(_, name)| name)
}

/// Returns the text with the ports of services, by the names in the text.
pub fn with_ports<'v>(text: &str, port: impl Fn(&str) -> Option<&'v str>) -> String {
    filled(text, PORT.0, PORT.1, port)
}

/// Returns the text with the folders of services, by the names in the text.
pub fn with_dirs<'v>(text: &str, dir: impl Fn(&str) -> Option<&'v str>) -> String {
    filled(text, DIR.0, DIR.1, dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_inserted_and_other_braces_are_kept() {
        let port =
            |name: &str| [("db", "5432"), ("api:db", "1")].iter().find(|(n, _)| *n == name).map(|(_, p)| *p);
        for (text, expected) in [
            ("-p {{ services.db.port }}", "-p 5432"),
            ("{{services.db.port}},{{ services.api:db.port }}", "5432,1"),
            ("{{ services.no.port }} {{ .Port }}", "{{ services.no.port }} {{ .Port }}"),
            ("{{ services.db.host }}", "{{ services.db.host }}"),
            ("plain", "plain"),
        ] {
            assert_eq!(with_ports(text, port), expected);
        }
        let dirs = with_dirs("{{ services.db.dir }}/s {{ services.db.port }} {{ services.x.dir }}", port);
        assert_eq!(dirs, "5432/s {{ services.db.port }} {{ services.x.dir }}");
    }
}
