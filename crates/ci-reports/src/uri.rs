//! Converts URIs of files to paths.

use percent_encoding::percent_decode_str;

/// Converts a URI or a path to a path with `/` as separator. A URI that is not of a file is
/// returned unchanged.
pub(crate) fn to_path(uri: &str) -> String {
    let Some((scheme, rest)) = scheme(uri) else {
        return normalize(&decode(uri));
    };
    if !scheme.eq_ignore_ascii_case("file") {
        return uri.to_owned();
    }
    let path = match rest.strip_prefix("//") {
        // An empty host or `localhost` is this machine. Any other host is a network share.
        Some(rest) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if host.is_empty() || host.eq_ignore_ascii_case("localhost") {
                decode(path)
            } else {
                format!("//{}", decode(rest))
            }
        }
        None => decode(rest),
    };
    // `/C:/shop` is `C:/shop`.
    let drive = path.as_bytes();
    let has_drive = drive.len() > 2 && drive[0] == b'/' && drive[1].is_ascii_alphabetic() && drive[2] == b':';
    normalize(if has_drive { &path[1..] } else { &path })
}

/// Joins the URI of a folder and a relative URI.
pub(crate) fn join(folder: &str, uri: &str) -> String {
    if folder.is_empty() || uri.starts_with('/') || scheme(uri).is_some() {
        return uri.to_owned();
    }
    format!("{}/{uri}", folder.trim_end_matches('/'))
}

/// Splits a URI after its scheme. A single letter is a drive and not a scheme.
fn scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let known = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    // `sum.js:3` is a file of that name rather than a scheme.
    (known && !scheme.contains('.')).then_some((scheme, rest))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

/// Normalizes a path: `/` as separator, and no `.` parts.
pub(crate) fn normalize(path: &str) -> String {
    let path = path.replace('\\', "/");
    let rooted = path.starts_with('/');
    let parts: Vec<&str> = path.split('/').filter(|part| *part != ".").collect();
    let joined = parts.join("/");
    if rooted { joined } else { joined.trim_start_matches('/').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_become_paths() {
        let cases = [
            ("src/a.py", "src/a.py"),
            ("./src/./a.py", "src/a.py"),
            ("src\\a.cs", "src/a.cs"),
            ("a%20b/%C3%A9.py", "a b/é.py"),
            ("a%FF.py", "a%FF.py"),
            ("100%/a.py", "100%/a.py"),
            ("file:///home/dev/a%20b.py", "/home/dev/a b.py"),
            ("file:/home/dev/a.py", "/home/dev/a.py"),
            ("FILE://localhost/home/a.py", "/home/a.py"),
            ("file:///C:/shop/a.py", "C:/shop/a.py"),
            ("file://server/share/a.py", "//server/share/a.py"),
            ("C:\\shop\\a.py", "C:/shop/a.py"),
            ("https://example.org/a%20b", "https://example.org/a%20b"),
            ("", ""),
        ];
        for (uri, path) in cases {
            assert_eq!(to_path(uri), path, "{uri}");
        }
    }

    #[test]
    fn relative_uri_is_resolved_against_its_base() {
        let cases = [
            ("file:///home/dev/", "a.py", "file:///home/dev/a.py"),
            ("src", "a.py", "src/a.py"),
            ("", "a.py", "a.py"),
            ("file:///x/", "/a.py", "/a.py"),
            ("file:///x/", "file:///y/a.py", "file:///y/a.py"),
        ];
        for (folder, uri, whole) in cases {
            assert_eq!(join(folder, uri), whole);
        }
    }
}
