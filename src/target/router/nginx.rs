//! nginx, by a file that its configuration includes. It must not know when weights change.
//!
//! The file defines an upstream and belongs to taskgate. A slot without weight has no servers in it: nginx lets
//! its requests end.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::Order;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::Weights;
use crate::target::health::{answer_contains, pause};
use crate::target::host::{CallLimits, HostError};
use crate::target::router::driver::{RouterDriver, RouterSite};
use crate::target::router::revert::guard;
use crate::target::router::shares::{SlotServer, servers, shares};
use crate::target::variables::quote;

/// How many answers in a row must be from the right release. Each has a connection of its own.
const ANSWERS: u32 = 5;
/// The time between two requests.
const LOOK: Duration = Duration::from_millis(100);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the answers may be from another release after a reload.
const RELOADED: Duration = Duration::from_secs(60);

/// An upstream of nginx.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nginx {
    /// The path of the file that is written.
    pub include: String,
    /// The name of the upstream that the file defines.
    pub upstream: String,
    /// A URL through the proxy whose answer contains the id of the release.
    pub url: Option<String>,
    /// Makes nginx read the file.
    pub reload: String,
}

/// Writes `content` to `include`, and makes nginx use it. If it can't, the former file comes back.
const WRITE: &str = r#"
case $include in /*/*) ;; *) fail "$include must be an absolute path" ;; esac
folder=${include%/*} name=${include##*/}
[ -d "$folder" ] || fail "the folder of $include is missing; hint: create it, and write into \`http\` of nginx.conf: include $include;"
# A pattern of includes does not match names that begin with a dot.
new=$folder/.$name.new former=$folder/.$name.former
rm -f "$new" "$former"
cat >"$new" <<end-of-content || fail "can't write $new"
$content
end-of-content
if [ -e "$include" ]; then cp -p "$include" "$former" || exit 73; fi
put_back() {
    if [ -e "$former" ]; then mv -f "$former" "$include"; else rm -f "$include"; fi
}
flush "$new" && mv -f "$new" "$include" && flush "$folder" || fail "can't write $include"
if ! said=$( (limited "$limit" "$test_line") </dev/null 2>&1); then
    put_back
    fail "\`$test_line\` fails, so $include is as before: $(printf '%s' "$said" | tail -n 5 | tr '\n' ' ')"
fi
if ! said=$( (limited "$limit" "$reload_line") </dev/null 2>&1); then
    put_back
    fail "\`$reload_line\` fails, so $include is as before: $(printf '%s' "$said" | tail -n 5 | tr '\n' ' ')"
fi
rm -f "$former"
"#;

/// Returns the line that tests the configuration of the nginx that a line reloads.
fn test_line(reload: &str) -> String {
    let is_one_command = !reload.contains(['&', '|', ';', '\n']);
    if is_one_command && reload.contains("nginx") && reload.contains("-s reload") {
        return reload.replace("-s reload", "-t");
    }
    let sudo = if reload.trim_start().starts_with("sudo ") { "sudo " } else { "" };
    format!("{sudo}nginx -t")
}

/// Returns the address of a server, or `None` if it has no port.
fn address(server: &SlotServer<'_>) -> Option<String> {
    let name = server.host.name.as_str();
    let name = match name {
        // It may also be the address `::1`, on which a service need not listen.
        "localhost" => "127.0.0.1".to_owned(),
        name if name.contains(':') && !name.starts_with('[') => format!("[{name}]"),
        name => name.to_owned(),
    };
    Some(format!("{name}:{}", server.port?))
}

impl Nginx {
    /// Returns the content of the file.
    fn content(&self, site: &RouterSite<'_>, weights: Weights) -> Result<String, HostError> {
        let is_name = |text: &str, more: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c) || more.contains(c))
        };
        if !is_name(&self.upstream, "") {
            return Err(site.host.failed(format!("`{}` can't be the name of an upstream", self.upstream)));
        }
        let mut content = format!("# Written by taskgate with each deploy.\nupstream {} {{\n", self.upstream);
        let mut count = 0;
        for server in servers(site.role) {
            let address = address(&server).ok_or_else(|| {
                site.host.failed(format!("role {} has no `ports`, which nginx needs", site.role.name))
            })?;
            if !is_name(&address, ":[]") {
                return Err(site.host.failed(format!("`{address}` can't be the address of a server")));
            }
            let weight = weights.of_slot(server.slot);
            if weight > 0 {
                // Writing to a string can't fail.
                let _ = writeln!(content, "    server {address} weight={weight};");
                count += 1;
            }
        }
        content.push('}');
        if count == 0 {
            return Err(site.host.failed("no slot is to get requests"));
        }
        Ok(content)
    }

    /// Returns a shell text that sets weights.
    fn script(&self, site: &RouterSite<'_>, weights: Weights) -> Result<String, HostError> {
        let content = self.content(site, weights)?;
        Ok(format!(
            "include={} content={} reload_line={} test_line={} limit={}\n{WRITE}",
            quote(&self.include),
            quote(&content),
            quote(&self.reload),
            quote(&test_line(&self.reload)),
            site.timeout.as_secs().max(1)
        ))
    }

    /// Returns the weights that the content of a file means.
    fn parse(&self, site: &RouterSite<'_>, content: &str) -> Result<Weights, HostError> {
        let known: Vec<_> =
            servers(site.role).iter().filter_map(|server| Some((address(server)?, server.slot))).collect();
        let mut sums = [0_u64; 2];
        for line in content.lines().map(str::trim) {
            let Some(server) = line.strip_prefix("server ") else { continue };
            let mut words = server.trim_end_matches(';').split_whitespace();
            let address = words.next().unwrap_or_default();
            let mut weight = Some(1);
            for word in words {
                if let Some(value) = word.strip_prefix("weight=") {
                    weight = value.parse().ok();
                } else if word == "down" {
                    weight = Some(0);
                }
            }
            let slot = known.iter().find(|(known, _)| known == address).map(|(_, slot)| *slot);
            let (Some(slot), Some(weight)) = (slot, weight) else {
                return Err(site.host.failed(format!(
                    "{} contains a server that is not one of role {}: {line}",
                    self.include, site.role.name
                )));
            };
            sums[usize::from(slot == Slot::Green)] += weight;
        }
        Ok(shares(sums[0], sums[1]))
    }

    /// Waits until the proxy's answers are those of the release that is to get all requests.
    fn wait_until_served(
        &self,
        site: &RouterSite<'_>,
        url: &str,
        release: &ReleaseId,
    ) -> Result<(), HostError> {
        let clock = Clock::system();
        let mut right = 0;
        loop {
            let answer = answer_contains(url, &release.0, ANSWER);
            right = if answer == Ok(true) { right + 1 } else { 0 };
            if right == ANSWERS {
                return Ok(());
            }
            if (site.is_stopped)() {
                return Err(HostError::Interrupted { host: site.host.name().to_owned() });
            }
            if clock.elapsed() >= RELOADED.min(site.timeout) {
                let reason = answer.err().unwrap_or_else(|| format!("its answer does not contain {release}"));
                return Err(site.host.failed(format!(
                    "nginx does not serve what {} says: GET {url}: {reason}",
                    self.include
                )));
            }
            pause(LOOK, site.is_stopped);
        }
    }
}

impl RouterDriver for Nginx {
    fn shift(&self, site: &RouterSite<'_>, order: &Order, weights: Weights) -> Result<(), HostError> {
        let script = self.script(site, weights)?;
        let limits = CallLimits { timeout: site.timeout, is_stopped: site.is_stopped };
        guard(site, order, weights, || self.read(site), |former| self.script(site, former))?;
        site.host.order(order, &script, Box::new(io::empty()), limits)?;
        let now = self.read(site)?;
        if now != weights {
            return Err(site.host.failed(format!(
                "{} means blue={} green={} after blue={} green={} was written",
                self.include, now.blue, now.green, weights.blue, weights.green
            )));
        }
        // Which release answers a single request says nothing if both slots get some.
        match (&self.url, site.served) {
            (Some(url), Some(release)) => self.wait_until_served(site, url, release),
            _ => Ok(()),
        }
    }

    fn read(&self, site: &RouterSite<'_>) -> Result<Weights, HostError> {
        let include = quote(&self.include);
        let script = format!(
            "include={include}\n[ -e \"$include\" ] || fail \"$include is missing; hint: the first shift writes it; write into \\`http\\` of nginx.conf: include $include;\"\ncat \"$include\" || exit 73"
        );
        let limits = CallLimits { timeout: site.timeout, is_stopped: site.is_stopped };
        let content = site.host.query(&script, Box::new(io::empty()), limits)?;
        self.parse(site, &String::from_utf8_lossy(&content))
    }

    fn sample(&self, site: &RouterSite<'_>, _: &ReleaseId) -> Result<SlotSamples, HostError> {
        Err(site.host.failed(
            "nginx has no counters of slots; hint: set `source` of `analysis` to Prometheus or a command",
        ))
    }

    fn in_flight(&self, _: &RouterSite<'_>, _: Slot) -> Result<Option<u64>, HostError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_line_is_that_of_the_reloaded_nginx() {
        let cases = [
            ("nginx -s reload", "nginx -t"),
            ("sudo nginx -s reload", "sudo nginx -t"),
            ("docker exec proxy nginx -s reload", "docker exec proxy nginx -t"),
            ("nginx -c /etc/n.conf -s reload", "nginx -c /etc/n.conf -t"),
            ("systemctl reload nginx", "nginx -t"),
            ("sudo systemctl reload nginx", "sudo nginx -t"),
            ("date; nginx -s reload", "nginx -t"),
        ];
        for (reload, expected) in cases {
            assert_eq!(test_line(reload), expected);
        }
    }
}
