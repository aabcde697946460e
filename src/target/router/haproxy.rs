//! HAProxy, by its runtime socket. It must not know when weights change.
//!
//! A slot's weight is the weight of each of its servers, so the slot's share does not depend on the number of
//! hosts. A server without weight is in the state `drain`: it finishes its requests, and its health checks go on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::deploy::analysis::{Sample, SlotSamples};
use crate::deploy::lease::Order;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::Weights;
use crate::target::health::pause;
use crate::target::host::{CallLimits, HostError};
use crate::target::router::driver::{RouterDriver, RouterSite};
use crate::target::router::revert::guard;
use crate::target::router::shares::{servers, shares};
use crate::target::variables::quote;

/// The time between two looks whether HAProxy's health checks have found a server.
const LOOK: Duration = Duration::from_millis(200);
/// How long servers get to be found if others of their slot already are. One whose host is dead must not keep a
/// rollback from happening.
const LATE: Duration = Duration::from_secs(10);
/// The bit of a server's administrative state that only says that the configuration disabled it once.
const ONLY_CONFIGURED: u32 = 4;
/// The operational state of a server that gets requests.
const RUNNING: &str = "2";

/// A backend of HAProxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Haproxy {
    /// The path of the socket.
    pub socket: String,
    /// The backend.
    pub backend: String,
    /// The name of a server, with placeholders.
    pub server: String,
    /// The path of its server-state file, if it has one.
    pub state_file: Option<String>,
}

/// Sends one line of commands to the socket, which is in `socket`.
const TALK: &str = r#"
talk() {
    [ -S "$socket" ] || fail "HAProxy has no socket $socket; hint: write into \`global\` of haproxy.cfg: stats socket $socket mode 660 level admin"
    if command -v socat >/dev/null; then
        printf '%s\n' "$1" | socat -t 20 - "UNIX-CONNECT:$socket" || fail "HAProxy does not answer on $socket"
    elif command -v nc >/dev/null; then
        printf '%s\n' "$1" | nc -w 20 -U "$socket" || fail "HAProxy does not answer on $socket"
    else
        fail "socat is missing; hint: install socat"
    fi
}
"#;

/// A server as HAProxy reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Server {
    slot: Slot,
    name: String,
    host: String,
    weight: u64,
    /// Its weight in the configuration file.
    configured: u64,
    /// Whether it is in maintenance or is drained, so that it gets no new requests.
    is_out: bool,
    /// Whether its health checks succeed, or it has none.
    is_up: bool,
}

impl Server {
    fn effective_weight(&self) -> u64 {
        if self.is_out { 0 } else { self.weight }
    }
}

/// Returns the share of each slot.
fn weights(servers: &[Server]) -> Weights {
    let sum =
        |slot| servers.iter().filter(|server| server.slot == slot).map(Server::effective_weight).sum::<u64>();
    shares(sum(Slot::Blue), sum(Slot::Green))
}

/// Returns the weight that each server is to have. Hosts whose weights in the configuration file differ get
/// requests in this proportion.
fn wanted(servers: &[Server], weights: Weights) -> Vec<(&Server, u64)> {
    let mut sizes = BTreeMap::new();
    for server in servers {
        let size = sizes.entry(&server.host).or_insert(0);
        *size = server.configured.max(*size);
    }
    let largest = sizes.values().copied().max().unwrap_or_default().max(1);
    let weight = |server: &Server| {
        let share = u64::from(weights.of_slot(server.slot));
        // A host that the file gives no weight is as large as the others.
        let size = sizes.get(&server.host).copied().filter(|size| *size > 0).unwrap_or(largest);
        if share == 0 { 0 } else { ((share * size + largest / 2) / largest).max(1) }
    };
    servers.iter().map(|server| (server, weight(server))).collect()
}

impl Haproxy {
    fn limits<'a>(site: &RouterSite<'a>) -> CallLimits<'a> {
        CallLimits { timeout: site.timeout, is_stopped: site.is_stopped }
    }

    /// Returns a shell text that sends commands.
    fn script(&self, commands: &str) -> String {
        format!("socket={}\n{TALK}\ntalk {}", quote(&self.socket), quote(commands))
    }

    /// Returns a shell text that sends commands and saves the weights for the next start of HAProxy. That they
    /// can't be saved, on a full disk, does not keep a rollback from happening: after a restart, the weights
    /// differ from what is wanted, which `status` reports.
    fn script_that_saves(&self, commands: &str) -> String {
        let script = self.script(commands);
        let Some(file) = &self.state_file else { return script };
        format!(
            "{script}\nfile={}\n\
             if (talk 'show servers state') >\"$file.new\" 2>/dev/null && [ -s \"$file.new\" ]; then mv -f \"$file.new\" \"$file\"; \
             else rm -f \"$file.new\"; fi",
            quote(file)
        )
    }

    fn ask(&self, site: &RouterSite<'_>, command: &str) -> Result<String, HostError> {
        self.check_names(site)?;
        let answer = site.host.query(&self.script(command), Box::new(io::empty()), Self::limits(site))?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Refuses names that HAProxy or `socat` would not read as names.
    fn check_names(&self, site: &RouterSite<'_>) -> Result<(), HostError> {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
        };
        if !is_name(&self.backend) {
            return Err(site.host.failed(format!("`{}` can't be the name of a backend", self.backend)));
        }
        let names = servers(site.role).into_iter().map(|server| server.fill(site.role, &self.server));
        if let Some(name) = names.into_iter().find(|name| !is_name(name)) {
            return Err(site.host.failed(format!("`{name}` can't be the name of a server in HAProxy")));
        }
        if !self.socket.starts_with('/') || self.socket.contains([',', ':', '!', '"', '\'', '\\', '\n']) {
            return Err(site.host.failed(format!("`{}` can't be the path of a socket", self.socket)));
        }
        Ok(())
    }

    /// Returns how the backend has to look.
    fn expected(&self, site: &RouterSite<'_>) -> String {
        let lines = servers(site.role).into_iter().map(|server| {
            let port = server.port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
            format!("server {} {}:{port} check", server.fill(site.role, &self.server), server.host.name)
        });
        format!("backend {}: {}", self.backend, lines.collect::<Vec<_>>().join("; "))
    }

    fn servers(&self, site: &RouterSite<'_>) -> Result<Vec<Server>, HostError> {
        let answer = self.ask(site, &format!("show servers state {}", self.backend))?;
        self.parse_state(site, &answer)
    }

    /// Parses the answer to `show servers state`.
    fn parse_state(&self, site: &RouterSite<'_>, answer: &str) -> Result<Vec<Server>, HostError> {
        let rows = Table::parse(answer, ' ', "be_id").ok_or_else(|| self.complaint(site, answer))?;
        let mut found = Vec::new();
        for server in servers(site.role) {
            let name = server.fill(site.role, &self.server);
            let row = rows.find(&[("srv_name", &name)]).ok_or_else(|| self.no_server(site, &name))?;
            let number = |column: &str| row.number(column).ok_or_else(|| self.unreadable(site));
            let admin = u32::try_from(number("srv_admin_state")?).unwrap_or(u32::MAX);
            found.push(Server {
                slot: server.slot,
                name,
                host: server.host.name.clone(),
                weight: number("srv_uweight")?,
                configured: number("srv_iweight")?,
                is_out: admin & !ONLY_CONFIGURED != 0,
                is_up: row.get("srv_op_state") == Some(RUNNING),
            });
        }
        Ok(found)
    }

    fn no_server(&self, site: &RouterSite<'_>, name: &str) -> HostError {
        let expected = self.expected(site);
        site.host.failed(format!(
            "backend {} of HAProxy has no server {name}; hint: it has to look like this: {expected}",
            self.backend
        ))
    }

    fn unreadable(&self, site: &RouterSite<'_>) -> HostError {
        site.host.failed(format!("the answer of HAProxy on {} can't be understood", self.socket))
    }

    /// Returns the error that an answer is instead of a table.
    fn complaint(&self, site: &RouterSite<'_>, answer: &str) -> HostError {
        let line = answer.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        if line.is_empty() {
            return site.host.failed(format!("HAProxy does not answer on {}", self.socket));
        }
        if line.starts_with("Can't find backend") || line.starts_with("No such") {
            let expected = self.expected(site);
            return site.host.failed(format!(
                "HAProxy has no backend {}; hint: it has to look like this: {expected}",
                self.backend
            ));
        }
        let hint = if line.contains("ermission denied") {
            format!("; hint: write into `global` of haproxy.cfg: stats socket {} level admin", self.socket)
        } else if line.contains("static LB algorithm") {
            "; hint: write into the backend: balance roundrobin".to_owned()
        } else {
            String::new()
        };
        site.host.failed(format!("HAProxy: {}{hint}", line.trim_end_matches('.')))
    }

    /// Sends commands as an order, and returns the servers afterwards.
    fn set(&self, site: &RouterSite<'_>, order: &Order, commands: &str) -> Result<Vec<Server>, HostError> {
        let commands = format!("{commands}show servers state {}", self.backend);
        let script = self.script_that_saves(&commands);
        let answer = site.host.order(order, &script, Box::new(io::empty()), Self::limits(site))?;
        let answer = String::from_utf8_lossy(&answer);
        // What is before the table is what HAProxy does not like.
        let before = answer.lines().map(str::trim).take_while(|line| *line != "1" && !line.starts_with('#'));
        if before.clone().any(|line| !line.is_empty()) {
            return Err(self.complaint(site, &answer));
        }
        self.parse_state(site, &answer)
    }

    /// Waits until the servers that are to get requests can get them by HAProxy's own health checks.
    fn wait_until_up(
        &self,
        site: &RouterSite<'_>,
        names: &[String],
        mut servers: Vec<Server>,
    ) -> Result<(), HostError> {
        let clock = Clock::system();
        loop {
            let named: Vec<_> = servers.iter().filter(|server| names.contains(&server.name)).collect();
            let down = named.iter().find(|server| !server.is_up);
            let Some(down) = down else { return Ok(()) };
            let one_is_up = named.iter().any(|server| server.is_up);
            if one_is_up && clock.elapsed() >= LATE {
                return Ok(());
            }
            if clock.elapsed() >= site.timeout {
                return Err(site.host.failed(format!(
                    "HAProxy's own health check of server {} does not succeed, so it would get no requests",
                    down.name
                )));
            }
            if (site.is_stopped)() {
                return Err(HostError::Interrupted { host: site.host.name().to_owned() });
            }
            pause(LOOK, site.is_stopped);
            servers = self.servers(site)?;
        }
    }

    /// Returns the commands that give servers weight, and those that take it away.
    fn commands(&self, wanted: &[(&Server, u64)]) -> (String, String) {
        let (mut given, mut taken) = (String::new(), String::new());
        for (server, weight) in wanted {
            let name = format!("{}/{}", self.backend, server.name);
            let (list, state) = if *weight > 0 { (&mut given, "ready") } else { (&mut taken, "drain") };
            // Writing to a string can't fail.
            let _ = write!(list, "set server {name} weight {weight};set server {name} state {state};");
        }
        (given, taken)
    }
}

impl RouterDriver for Haproxy {
    /// Gives weight to servers before it takes it from others, so that there is always one that gets requests.
    fn shift(&self, site: &RouterSite<'_>, order: &Order, weights: Weights) -> Result<(), HostError> {
        let servers = self.servers(site)?;
        let wanted = wanted(&servers, weights);
        let (given, taken) = self.commands(&wanted);
        let names: Vec<_> =
            wanted.iter().filter(|(_, weight)| *weight > 0).map(|(server, _)| server.name.clone()).collect();
        if names.is_empty() {
            return Err(site.host.failed("no slot is to get requests"));
        }
        guard(
            site,
            order,
            weights,
            || Ok(self::weights(&servers)),
            |former| {
                let (given, taken) = self.commands(&self::wanted(&servers, former));
                Ok(self.script_that_saves(&format!("{given}{taken}")))
            },
        )?;
        let after = self.set(site, order, &given)?;
        self.wait_until_up(site, &names, after)?;
        let after = self.set(site, order, &taken)?;
        let differs = wanted.iter().find_map(|(server, weight)| {
            let now = after.iter().find(|now| now.name == server.name)?;
            (now.effective_weight() != *weight).then_some((now, weight))
        });
        if let Some((now, weight)) = differs {
            let is = now.effective_weight();
            return Err(site.host.failed(format!(
                "HAProxy's server {} has weight {is} after it was set to {weight}",
                now.name
            )));
        }
        Ok(())
    }

    fn read(&self, site: &RouterSite<'_>) -> Result<Weights, HostError> {
        Ok(weights(&self.servers(site)?))
    }

    fn sample(&self, site: &RouterSite<'_>, _: &ReleaseId) -> Result<SlotSamples, HostError> {
        let counters = self.counters(site)?;
        let of_slot = |slot| Some(sum(counters.iter().filter(|(known, _)| *known == slot)));
        Ok(SlotSamples { blue: of_slot(Slot::Blue), green: of_slot(Slot::Green) })
    }

    fn in_flight(&self, site: &RouterSite<'_>, slot: Slot) -> Result<Option<u64>, HostError> {
        let counters = self.counters(site)?;
        let counters = counters.iter().filter(|(known, _)| *known == slot);
        Ok(Some(counters.map(|(_, counters)| counters.in_flight).sum()))
    }
}

/// The counters of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Counters {
    in_flight: u64,
    requests: u64,
    errors: u64,
    /// In milliseconds, of the last 1024 requests.
    mean: u64,
}

impl Haproxy {
    fn counters(&self, site: &RouterSite<'_>) -> Result<Vec<(Slot, Counters)>, HostError> {
        // 4 stands for servers. All backends are asked for, since a name may be that of a frontend too, which
        // HAProxy would find first.
        let answer = self.ask(site, "show stat -1 4 -1")?;
        self.parse_stat(site, &answer)
    }

    /// Parses the answer to `show stat`.
    fn parse_stat(&self, site: &RouterSite<'_>, answer: &str) -> Result<Vec<(Slot, Counters)>, HostError> {
        let rows = Table::parse(answer, ',', "pxname").ok_or_else(|| self.complaint(site, answer))?;
        let mut found = Vec::new();
        for server in servers(site.role) {
            let name = server.fill(site.role, &self.server);
            let row = rows.find(&[("pxname", &self.backend), ("svname", &name)]);
            let row = row.ok_or_else(|| self.no_server(site, &name))?;
            let sessions = row.number("stot").ok_or_else(|| self.unreadable(site))?;
            // Those that a backend in mode tcp does not have are empty.
            let number = |column: &str| row.number(column).unwrap_or_default();
            let is_http = row.get("mode") != Some("tcp");
            found.push((
                server.slot,
                Counters {
                    in_flight: number("scur") + number("qcur"),
                    // HAProxy counts a repeated connection as a session too.
                    requests: sessions.saturating_sub(number("wretr")),
                    errors: number("hrsp_5xx") + number("econ") + number("eresp"),
                    mean: number(if is_http { "rtime" } else { "ttime" }),
                },
            ));
        }
        Ok(found)
    }
}

/// Returns the counters of a slot from those of its servers.
fn sum<'a>(counters: impl Iterator<Item = &'a (Slot, Counters)>) -> Sample {
    let mut sample = Sample::default();
    let mut time = 0_u64;
    for (_, counters) in counters {
        sample.requests += counters.requests;
        sample.errors += counters.errors;
        time = time.saturating_add(counters.mean.saturating_mul(counters.requests));
    }
    sample.mean = time.checked_div(sample.requests).map(Duration::from_millis);
    sample
}

/// A table whose columns are named in a line that starts with `#`.
struct Table<'a> {
    columns: Vec<&'a str>,
    rows: Vec<Vec<&'a str>>,
}

struct Row<'a> {
    table: &'a Table<'a>,
    cells: &'a [&'a str],
}

impl<'a> Table<'a> {
    /// Returns `None` if there is no table whose first column is `first`.
    fn parse(text: &'a str, separator: char, first: &str) -> Option<Self> {
        let mut lines = text.lines();
        let columns = lines.find_map(|line| line.trim_end().strip_prefix("# "))?;
        let columns: Vec<_> = columns.split(separator).collect();
        let rows = lines.map(str::trim_end).filter(|line| !line.is_empty());
        let rows = rows.map(|line| line.split(separator).collect()).collect();
        (columns.first() == Some(&first)).then_some(Self { columns, rows })
    }

    /// Returns the row with these values.
    fn find(&'a self, values: &[(&str, &str)]) -> Option<Row<'a>> {
        let mut rows = self.rows.iter().map(|cells| Row { table: self, cells });
        rows.find(|row| values.iter().all(|(column, value)| row.get(column) == Some(value)))
    }
}

impl Row<'_> {
    fn get(&self, column: &str) -> Option<&str> {
        let position = self.table.columns.iter().position(|known| *known == column)?;
        self.cells.get(position).copied()
    }

    fn number(&self, column: &str) -> Option<u64> {
        self.get(column)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::target::router::fixture::Fixture;

    /// What HAProxy 2.6 prints of a backend with two hosts of which the second is half as large, and in which
    /// `green` is disabled.
    const START: &str = include_str!("recorded/start.txt");
    /// What it prints after 10 % were given to `green`.
    const SHIFTED: &str = include_str!("recorded/shifted.txt");
    /// What it counted after 200 requests, and 10 more after the servers had ended.
    const STAT: &str = include_str!("recorded/stat.csv");

    fn haproxy(f: &Fixture) -> Haproxy {
        Haproxy {
            socket: f.dir.path().join("admin.sock").to_str().unwrap().to_owned(),
            backend: "shop".to_owned(),
            server: "{{ role }}-{{ host }}-{{ slot }}".to_owned(),
            state_file: None,
        }
    }

    /// Puts a socket at its place, and a program into PATH that gives these answers, one at each call, instead
    /// of `socat`. Commands are appended to the file `commands`.
    fn answers(f: &Fixture, answers: &[&str]) -> UnixListener {
        let dir = f.dir.path();
        for (number, answer) in answers.iter().enumerate() {
            fs::write(dir.join(format!("answer{number}")), answer).unwrap();
        }
        let shown = dir.display();
        let script = format!(
            "#!/bin/sh\ncat >>{shown}/commands\nn=$(cat {shown}/n 2>/dev/null || echo 0)\n\
             cat {shown}/answer$n; echo $((n + 1)) >{shown}/n\n"
        );
        fs::write(dir.join("bin/socat"), script).unwrap();
        fs::set_permissions(dir.join("bin/socat"), fs::Permissions::from_mode(0o755)).unwrap();
        UnixListener::bind(dir.join("admin.sock")).unwrap()
    }

    fn commands(f: &Fixture) -> String {
        fs::read_to_string(f.dir.path().join("commands")).unwrap()
    }

    #[test]
    fn weights_are_given_before_they_are_taken_and_read_back() {
        let f = Fixture::new();
        let _socket = answers(&f, &[START, SHIFTED, SHIFTED]);
        haproxy(&f).shift(&f.site(), &Fixture::order(), Weights { blue: 90, green: 10 }).unwrap();
        let sent = commands(&f);
        let lines: Vec<_> = sent.lines().collect();
        assert_eq!(lines.len(), 3, "{sent}");
        let expected = "set server shop/web-web1-blue weight 90;set server shop/web-web1-blue state ready;\
                        set server shop/web-web2-blue weight 45;set server shop/web-web2-blue state ready;\
                        set server shop/web-web1-green weight 10;set server shop/web-web1-green state ready;\
                        set server shop/web-web2-green weight 5;set server shop/web-web2-green state ready;\
                        show servers state shop";
        assert_eq!(lines[1], expected);
    }

    #[test]
    fn slot_without_weight_is_drained_last() {
        let f = Fixture::new();
        let _socket = answers(&f, &[SHIFTED, SHIFTED, SHIFTED]);
        let shifted = haproxy(&f).shift(&f.site(), &Fixture::order(), Weights { blue: 0, green: 100 });
        let error = shifted.unwrap_err().to_string();
        let sent = commands(&f);
        let lines: Vec<_> = sent.lines().collect();
        assert!(!lines[1].contains("drain") && lines[1].contains("web-web1-green weight 100;"), "{sent}");
        assert!(lines[2].contains("set server shop/web-web2-blue state drain;"), "{sent}");
        assert!(!lines[2].contains("green"), "{sent}");
        // The recorded answer is that of another order.
        assert_eq!(error, "router: HAProxy's server web-web1-blue has weight 90 after it was set to 0");
    }

    #[test]
    fn weights_are_read() {
        let f = Fixture::new();
        let _socket = answers(&f, &[START, SHIFTED]);
        // Servers in maintenance get nothing, whatever their weight is.
        assert_eq!(haproxy(&f).read(&f.site()), Ok(Weights { blue: 100, green: 0 }));
        assert_eq!(haproxy(&f).read(&f.site()), Ok(Weights { blue: 90, green: 10 }));
    }

    #[test]
    fn counters_of_a_slot_are_those_of_its_servers() {
        let f = Fixture::new();
        let _socket = answers(&f, &[STAT, STAT]);
        let samples = haproxy(&f).sample(&f.site(), &ReleaseId("1-a".to_owned())).unwrap();
        let (blue, green) = (samples.blue.unwrap(), samples.green.unwrap());
        // Attempts to connect that HAProxy repeated are not requests.
        assert_eq!((blue.requests + green.requests, blue.errors + green.errors), (210, 16));
        assert!(!blue.is_window && blue.p95.is_none() && blue.mean.is_some());
        assert_eq!(haproxy(&f).in_flight(&f.site(), Slot::Blue), Ok(Some(0)));
    }

    #[test]
    fn missing_backend_server_and_socket_are_explained() {
        let f = Fixture::new();
        let read = |haproxy: &Haproxy| haproxy.read(&f.site()).unwrap_err().to_string();
        let error = read(&haproxy(&f));
        assert!(error.contains("has no socket") && error.contains("stats socket"), "{error}");
        let _socket = answers(&f, &["Can't find backend.\n\n", START, "Permission denied\n\n", ""]);
        assert_eq!(
            read(&haproxy(&f)),
            "router: HAProxy has no backend shop; hint: it has to look like this: backend shop: \
             server web-web1-blue web1:8001 check; server web-web2-blue web2:8001 check; \
             server web-web1-green web1:8002 check; server web-web2-green web2:8002 check"
        );
        let other = Haproxy { server: "{{ host }}-{{ slot }}".to_owned(), ..haproxy(&f) };
        let error = read(&other);
        assert!(
            error.starts_with("router: backend shop of HAProxy has no server web1-blue; hint: "),
            "{error}"
        );
        let error = read(&haproxy(&f));
        assert!(error.contains("Permission denied; hint: ") && error.ends_with("level admin"), "{error}");
        assert!(read(&haproxy(&f)).contains("HAProxy does not answer on "));
    }

    #[test]
    fn names_can_not_be_commands() {
        let f = Fixture::new();
        for name in ["shop;shutdown", "a b", ""] {
            let haproxy = Haproxy { backend: name.to_owned(), ..haproxy(&f) };
            assert!(haproxy.read(&f.site()).unwrap_err().to_string().contains("can't be the name"));
            let haproxy = Haproxy { server: name.to_owned(), ..haproxy };
            assert!(haproxy.read(&f.site()).is_err());
        }
    }

    #[test]
    fn refused_command_is_the_reported_error() {
        let f = Fixture::new();
        let refused = "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n\n";
        let _socket = answers(&f, &[START, &format!("{refused}{SHIFTED}")]);
        let shifted = haproxy(&f).shift(&f.site(), &Fixture::order(), Weights { blue: 90, green: 10 });
        let error = shifted.unwrap_err().to_string();
        assert!(error.contains("static LB algorithm") && error.ends_with("balance roundrobin"), "{error}");
    }
}
