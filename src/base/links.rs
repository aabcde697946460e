//! Follows symlinks inside a tree. This module must not know whether the tree is on disk or in
//! git's objects: both are followed in the same way.

use std::collections::VecDeque;

use crate::base::path::RepoPath;

/// The maximum number of symlinks that are followed on the way to a file, as in the kernel.
const MAX_LINKS: usize = 40;

/// The result of following a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkTarget {
    /// The path without symlinks. It need not exist.
    To(RepoPath),
    /// A symlink leads out of the tree, or to an absolute path, which may be another file on another machine.
    Outside {
        /// The symlink.
        link: RepoPath,
        /// Its target.
        target: String,
    },
    /// The symlinks form a cycle.
    Cycle,
}

/// Follows the symlinks in `path`. `target` returns the target of a symlink, or `None` for anything else.
///
/// # Errors
/// A symlink can't be read.
pub fn follow<E>(
    path: &RepoPath,
    mut target: impl FnMut(&RepoPath) -> Result<Option<Vec<u8>>, E>,
) -> Result<LinkTarget, E> {
    let mut rest: VecDeque<Vec<u8>> = path.parts().map(<[u8]>::to_vec).collect();
    let mut at = RepoPath::top();
    let mut followed = 0;
    // The symlink whose target is being walked.
    let mut last = (RepoPath::top(), String::new());
    while let Some(part) = rest.pop_front() {
        match &*part {
            b"" | b"." => continue,
            b".." => {
                let Some(parent) = at.parent() else {
                    return Ok(LinkTarget::Outside { link: last.0, target: last.1 });
                };
                at = parent;
                continue;
            }
            _ => {}
        }
        let next = at.child(&part);
        let Some(target) = target(&next)? else {
            at = next;
            continue;
        };
        followed += 1;
        if followed > MAX_LINKS {
            return Ok(LinkTarget::Cycle);
        }
        last = (next, String::from_utf8_lossy(&target).into_owned());
        if target.starts_with(b"/") {
            return Ok(LinkTarget::Outside { link: last.0, target: last.1 });
        }
        for part in target.rsplit(|byte| *byte == b'/') {
            rest.push_front(part.to_vec());
        }
    }
    Ok(LinkTarget::To(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn leads(path: &str, links: &[(&str, &str)]) -> String {
        let at = |path: &RepoPath| {
            let link = links.iter().find(|(link, _)| link.as_bytes() == path.bytes());
            Ok::<_, Infallible>(link.map(|(_, target)| target.as_bytes().to_vec()))
        };
        match follow(&RepoPath::from_git(path.as_bytes()), at).unwrap() {
            LinkTarget::To(path) => path.to_string(),
            LinkTarget::Outside { link, target } => format!("out by {link} → {target}"),
            LinkTarget::Cycle => "nowhere".to_owned(),
        }
    }

    #[test]
    fn links_inside_the_tree_are_followed() {
        let links = [
            ("a", "real/deep"),
            ("real/deep/b", "../c"),
            ("one", "two"),
            ("two", "./one"),
            ("up", "sub/../real//x"),
        ];
        assert_eq!(leads("x/y", &links), "x/y");
        assert_eq!(leads("a/f", &links), "real/deep/f");
        assert_eq!(leads("a/b/f", &links), "real/c/f");
        assert_eq!(leads("up", &links), "real/x");
        assert_eq!(leads("one/f", &links), "nowhere");
    }

    #[test]
    fn link_out_of_the_tree_is_named() {
        let links =
            [("a", "../x"), ("s/b", "/etc/f"), ("s/c", "../../x"), ("s/d", "../s/../../x"), ("s/e", "..")];
        assert_eq!(leads("a", &links), "out by a → ../x");
        assert_eq!(leads("s/b", &links), "out by s/b → /etc/f");
        assert_eq!(leads("s/c/f", &links), "out by s/c → ../../x");
        assert_eq!(leads("s/d", &links), "out by s/d → ../s/../../x");
        assert_eq!(leads("s/e/f", &links), "f");
    }
}
