//! The connection of a push, which git opens before it runs the hook: whether it can still be relied
//! on when the gate is done. Pure; it must not know how processes are watched.
//!
//! Hosts drop an idle ssh connection after minutes, and git then dies of a broken pipe although the
//! gate has passed.

use std::time::Duration;

/// Why a connection is no longer relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// The process that held it has ended.
    Ended,
    /// It goes over ssh and was idle for longer than the budget.
    Idle {
        /// For how long.
        took: Duration,
        /// The budget.
        budget: Duration,
    },
}

/// What is known of a connection when the gate is done.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// Where git pushes to.
    pub url: &'a str,
    /// How long the gate took.
    pub took: Duration,
    /// Whether the process that held it has ended.
    pub has_ended: bool,
}

impl Connection<'_> {
    /// Whether it can be relied on, given how long one over ssh may be idle.
    pub fn doubt(&self, budget: Duration) -> Option<Doubt> {
        if self.has_ended {
            return Some(Doubt::Ended);
        }
        (is_ssh(self.url) && self.took > budget).then_some(Doubt::Idle { took: self.took, budget })
    }
}

/// Whether git reaches `url` over ssh: `ssh://…`, or `host:path` without a slash before the colon.
pub fn is_ssh(url: &str) -> bool {
    if let Some((scheme, _)) = url.split_once("://") {
        return matches!(scheme, "ssh" | "git+ssh" | "ssh+git");
    }
    // `helper::address` is not an address of ssh.
    match url.split_once(':') {
        Some((host, rest)) => !host.is_empty() && !host.contains('/') && !rest.starts_with(':'),
        None => false,
    }
}

/// The host that `url` names to ssh, with the user if it names one.
pub fn host_of(url: &str) -> &str {
    match url.split_once("://") {
        Some((_, rest)) => {
            let authority = rest.split('/').next().unwrap_or(rest);
            // A port; the colons of an address in brackets are none.
            match authority.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
                _ => authority,
            }
        }
        None => url.split(':').next().unwrap_or(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_ssh_are_told_from_others() {
        for (url, expected) in [
            ("git@github.com:a/b.git", true),
            ("host:b", true),
            ("ssh://git@host:22/a", true),
            ("git+ssh://host/a", true),
            ("https://host/a:b", false),
            ("git://host/a", false),
            ("/srv/a:b", false),
            ("./a:b", false),
            ("../bare.git", false),
            ("file:///srv/a", false),
            ("ext::ssh x", false),
            (":x", false),
            ("", false),
        ] {
            assert_eq!(is_ssh(url), expected, "{url}");
        }
    }

    #[test]
    fn the_host_is_what_ssh_is_told() {
        for (url, host) in [
            ("git@example.com:a/b.git", "git@example.com"),
            ("ssh://git@example.com:2222/a", "git@example.com"),
            ("ssh://example.com/a", "example.com"),
            ("ssh://[::1]:22/a", "[::1]"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }

    #[test]
    fn only_an_idle_ssh_or_an_ended_process_is_doubted() {
        let budget = Duration::from_secs(240);
        let case = |url, seconds, has_ended| {
            Connection { url, took: Duration::from_secs(seconds), has_ended }.doubt(budget)
        };
        let took = Duration::from_secs(241);
        assert_eq!(case("h:p", 240, false), None);
        assert_eq!(case("h:p", 241, false), Some(Doubt::Idle { took, budget }));
        assert_eq!(case("https://h/p", 900, false), None);
        assert_eq!(case("https://h/p", 1, true), Some(Doubt::Ended));
    }
}
