//! The usual names and addresses of this machine, IPv4 and IPv6: whether a process listens at them, and which
//! port is free. This module must not know about services.
//!
//! A machine without IPv6, or a container in which it is off, refuses `::1` with different errors; nothing
//! can listen there then.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::ops::Range;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
#[cfg(target_os = "linux")]
use std::os::unix::net::{self as unix_net, UnixDatagram};
use std::time::Duration;

use crate::base::random;

/// The addresses at which a server that binds `localhost` may listen. Which of them it uses depends on the
/// program and the system.
pub const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Names that common hosts files have for these addresses.
const NAMES: [&str; 4] = ["localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"];
/// The ports that [`claim_port`] gives. They are below those that Linux (from 32768) and macOS and the BSDs
/// (from 49152) give to connections and to servers that ask for any port, so none of these takes one between
/// its choice and the start of its server.
const CLAIMED_PORTS: Range<u16> = 20_000..32_000;

/// A port that is free, and that no other run on this machine chooses until this value is dropped.
#[derive(Debug)]
pub struct ClaimedPort {
    /// The port.
    pub number: u16,
    _claim: Claim,
}

/// On Linux, an abstract socket with the number in its name. The system removes it with its process, however
/// that ends. It is not one of the port itself, which would be in the way of the server.
#[cfg(target_os = "linux")]
type Claim = UnixDatagram;
#[cfg(not(target_os = "linux"))]
type Claim = ();

/// Returns whether the host of a URL or an address is one of the usual names of this machine.
pub fn is_localhost(host: &str) -> bool {
    let address = address(host).map(|address| address.to_canonical());
    means_all_addresses(host) || address.is_some_and(|address| LOOPBACKS.contains(&address))
}

/// Returns whether a host means more than one address of this machine: `localhost`, `0.0.0.0`, `[::]`.
fn means_all_addresses(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
        || address(host).is_some_and(|address| address.to_canonical().is_unspecified())
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Returns all addresses of a host. For the names of this machine, these are both loopback addresses, even if
/// the hosts file says something else.
///
/// # Errors
/// There is no such host.
pub fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if means_all_addresses(host) {
        return Ok(LOOPBACKS.map(|address| SocketAddr::new(address, port)).to_vec());
    }
    match address(host) {
        Some(address) => Ok(vec![SocketAddr::new(address, port)]),
        None => Ok((host, port).to_socket_addrs()?.collect()),
    }
}

/// Connects to an address and closes the connection at once.
///
/// # Errors
/// Nothing listens there, or this machine has no such address.
pub fn connect(address: SocketAddr, most: Duration) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&address, most)?;
    // If nothing listens, the system may connect a free port to itself.
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        return Err(io::Error::new(ErrorKind::ConnectionRefused, "the connection reached its own socket"));
    }
    Ok(())
}

/// Returns the address of this machine at which a process listens on `port`.
pub fn listener(port: u16, most: Duration) -> Option<SocketAddr> {
    let mut addresses_here = LOOPBACKS.map(|address| SocketAddr::new(address, port)).into_iter();
    addresses_here.find(|address| match TcpListener::bind(address) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::AddrInUse => true,
        // The port needs a privilege, or there is no such address.
        Err(_) => connect(*address, most).is_ok(),
    })
}

/// Chooses a port that is free at all addresses of this machine, and claims it. The choice is random: where
/// there are no claims, two runs choose the same port once in 12,000 times.
///
/// # Errors
/// No port is free. The error is the message for the user.
pub fn claim_port() -> Result<ClaimedPort, String> {
    let failed = |why: String| format!("no free port was found: {why}");
    let [first, second, ..] = random::bytes().map_err(|error| failed(error.to_string()))?;
    let count = CLAIMED_PORTS.end - CLAIMED_PORTS.start;
    let skipped = u16::from_ne_bytes([first, second]) % count;
    for number in CLAIMED_PORTS.cycle().skip(skipped.into()).take(count.into()) {
        let Some(claim) = claim(number).map_err(|error| failed(error.to_string()))? else { continue };
        if LOOPBACKS.iter().all(|address| !is_in_use(SocketAddr::new(*address, number))) {
            return Ok(ClaimedPort { number, _claim: claim });
        }
    }
    Err(failed(format!("{} to {} are all in use", CLAIMED_PORTS.start, CLAIMED_PORTS.end - 1)))
}

/// Claims a port, or returns `None` if it is claimed.
#[cfg(target_os = "linux")]
fn claim(port: u16) -> io::Result<Option<Claim>> {
    let name = unix_net::SocketAddr::from_abstract_name(format!("taskgate-port-{port}"))?;
    match UnixDatagram::bind_addr(&name) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
fn claim(_port: u16) -> io::Result<Option<Claim>> {
    Ok(Some(()))
}

fn is_in_use(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::wait::wait_until;

    const MOST: Duration = Duration::from_secs(5);

    #[test]
    fn names_of_this_machine_have_both_addresses() {
        for host in ["localhost", "LOCALHOST", "localhost.", "0.0.0.0", "[::]", "::", "ip6-localhost"] {
            assert!(is_localhost(host), "{host}");
            assert_eq!(addresses(host, 80).unwrap().len(), 2, "{host}");
        }
        for (host, is_own) in [("127.0.0.1", true), ("[::1]", true), ("::1", true), ("127.0.0.2", false)] {
            assert_eq!(is_localhost(host), is_own, "{host}");
            let expected: SocketAddr = (host.trim_matches(['[', ']']).parse::<IpAddr>().unwrap(), 80).into();
            assert_eq!(addresses(host, 80).unwrap(), [expected]);
        }
        assert!(is_localhost("::ffff:127.0.0.1"));
        assert!(!is_localhost("db.local") && !is_localhost("localhost.example.org"));
        assert!(addresses("no such host", 80).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn claimed_port_is_not_chosen_again_until_it_is_dropped() {
        let one = claim_port().unwrap();
        assert!(claim(one.number).unwrap().is_none());
        // The port itself stays free for the server.
        let server = TcpListener::bind(SocketAddr::new(LOOPBACKS[0], one.number)).unwrap();
        let number = one.number;
        drop((one, server));
        // A process that another test has just started may have them for a moment.
        wait_until("the port is free", || claim(number).unwrap().is_some());
    }

    #[test]
    fn ports_claimed_at_once_differ_and_are_given_to_no_connection() {
        let claimed: Vec<ClaimedPort> = (0..200).map(|_| claim_port().unwrap()).collect();
        let numbers: BTreeSet<u16> = claimed.iter().map(|port| port.number).collect();
        assert!(cfg!(not(target_os = "linux")) || numbers.len() == claimed.len());
        assert!(numbers.iter().all(|number| CLAIMED_PORTS.contains(number)));
    }

    #[test]
    fn port_is_taken_if_one_of_the_addresses_is() {
        let port = claim_port().unwrap().number;
        assert_eq!(listener(port, MOST), None);
        for address in LOOPBACKS {
            let place = SocketAddr::new(address, port);
            let held = match TcpListener::bind(place) {
                Ok(held) => held,
                Err(error) => {
                    assert!(address.is_ipv6(), "{place}: {error}");
                    eprintln!("not tested, since this machine has no IPv6: {error}");
                    continue;
                }
            };
            assert_eq!(listener(port, MOST), Some(place));
            assert!(connect(place, MOST).is_ok());
            drop(held);
            // A process that another test has just started may have it for a moment.
            wait_until("nothing listens", || connect(place, MOST).is_err());
        }
    }
}
