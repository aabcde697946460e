//! Reads from the URL of a remote whether git connects over ssh, and to which host. Pure.

/// Returns whether git reaches `url` over ssh: `ssh://…`, or `host:path` without a slash before the colon.
pub fn is_ssh(url: &str) -> bool {
    if let Some((scheme, _)) = url.split_once("://") {
        return matches!(scheme, "ssh" | "git+ssh" | "ssh+git");
    }
    // `helper::address` calls a remote helper and doesn't use ssh.
    match url.split_once(':') {
        Some((host, rest)) => !host.is_empty() && !host.contains('/') && !rest.starts_with(':'),
        None => false,
    }
}

/// Returns the host of an ssh URL, with the user if the URL has one.
pub fn ssh_host(url: &str) -> &str {
    match url.split_once("://") {
        Some((_, rest)) => {
            let authority = rest.split('/').next().unwrap_or(rest);
            // An IPv6 address in brackets contains colons that don't start a port.
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
    fn ssh_urls_are_recognised() {
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
    fn host_is_the_one_that_ssh_connects_to() {
        for (url, host) in [
            ("git@example.com:a/b.git", "git@example.com"),
            ("ssh://git@example.com:2222/a", "git@example.com"),
            ("ssh://example.com/a", "example.com"),
            ("ssh://[::1]:22/a", "[::1]"),
        ] {
            assert_eq!(ssh_host(url), host);
        }
    }
}
