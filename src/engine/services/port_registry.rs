//! The ports and sockets of the services of a run. No two services share one, since a client of one would
//! reach the other. This module must not know how a service is started.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::services::localhost::{self, ClaimedPort};

/// The service that holds each address.
#[derive(Debug, Default)]
struct PortTable {
    holders: BTreeMap<Address, Holder>,
    /// The number of reservations so far.
    reservations: u64,
}

/// One start of a service. A service that is started again may reserve its address before the reservation of
/// its earlier start is dropped, so the two have different numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Holder {
    service: String,
    reservation: u64,
}

/// The addresses that services hold, from before their start until their end.
#[derive(Clone, Debug, Default)]
pub struct PortRegistry(Arc<Mutex<PortTable>>);

/// The addresses that one service holds. They are released when it is dropped.
#[derive(Debug)]
pub struct PortReservation {
    registry: PortRegistry,
    holder: Holder,
    /// Its own port, if it has one.
    pub port: Option<u16>,
    /// The claim against other runs, if the port was chosen.
    claim: Option<ClaimedPort>,
}

/// An address where a service listens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Address {
    /// A port of this machine, by any of its usual names and addresses.
    Local(u16),
    /// A port of another machine, or of another address of this one.
    Remote {
        /// The host's name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Parses `HOST:PORT`; returns `None` if it is invalid.
    pub fn from_tcp(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::new(host, port.parse().ok()?))
    }

    /// Parses an `http://` or `https://` address; returns `None` if it is invalid.
    pub fn from_http(text: &str) -> Option<Self> {
        let url: ureq::http::Uri = text.parse().ok()?;
        let default_port = if url.scheme_str() == Some("https") { 443 } else { 80 };
        Some(Self::new(url.host()?, url.port_u16().unwrap_or(default_port)))
    }

    fn new(host: &str, port: u16) -> Self {
        if localhost::is_localhost(host) {
            return Self::Local(port);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Self::Remote { host, port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(port) => write!(f, "port {port}"),
            Self::Remote { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "the socket {}", path.display()),
        }
    }
}

impl PortRegistry {
    /// Reserves a service's own port.
    ///
    /// # Errors
    /// Another service holds it. The error is the message for the user.
    pub fn reserve(&self, service: &str, port: Option<u16>) -> Result<PortReservation, String> {
        let number = {
            let mut table = self.table();
            table.reservations += 1;
            table.reservations
        };
        let holder = Holder { service: service.to_owned(), reservation: number };
        let reservation = PortReservation { registry: self.clone(), holder, port, claim: None };
        let address = port.map(Address::Local);
        reservation.add(address, |_| false)?;
        Ok(reservation)
    }

    /// Locks the table. No code panics while it holds the lock, so the data is consistent.
    fn table(&self) -> MutexGuard<'_, PortTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PortReservation {
    /// Keeps the claim of the port for as long as the reservation.
    pub fn with_claim(mut self, claim: ClaimedPort) -> Self {
        self.claim = Some(claim);
        self
    }

    /// Reserves the address at which the service is probed, unless that belongs to a service that it uses,
    /// through which it may be reached.
    ///
    /// # Errors
    /// Another service holds it. The error is the message for the user.
    pub fn add(&self, address: Option<Address>, uses: impl Fn(&str) -> bool) -> Result<(), String> {
        let Some(address) = address else { return Ok(()) };
        let mut table = self.registry.table();
        match table.holders.get(&address).map(|holder| &*holder.service) {
            Some(other) if other != self.holder.service && uses(other) => Ok(()),
            Some(other) if other != self.holder.service => {
                let example = match address {
                    Address::Unix(_) => "{{ services.NAME.dir }}/server.sock",
                    Address::Local(_) | Address::Remote { .. } => "`port = \"auto\"`",
                };
                Err(format!(
                    "{address} is already used by service {other}: give one of them another, such as \
                     {example}"
                ))
            }
            _ => {
                table.holders.insert(address, self.holder.clone());
                Ok(())
            }
        }
    }
}

impl Drop for PortReservation {
    fn drop(&mut self) {
        self.registry.table().holders.retain(|_, holder| *holder != self.holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_this_machine_are_the_same_address() {
        for (address, expected) in [
            (Address::from_tcp("127.0.0.1:80"), "port 80"),
            (Address::from_tcp("localhost:80"), "port 80"),
            (Address::from_tcp("0.0.0.0:80"), "port 80"),
            (Address::from_tcp("[::1]:80"), "port 80"),
            (Address::from_tcp("127.0.0.2:80"), "127.0.0.2:80"),
            (Address::from_tcp("DB.local:80"), "db.local:80"),
            (Address::from_http("http://LOCALHOST:81/x"), "port 81"),
            (Address::from_http("http://127.0.0.1/x"), "port 80"),
            (Address::from_http("http://[::1]:82"), "port 82"),
            (Address::from_http("http://db.local"), "db.local:80"),
            (Address::from_tcp("[::]:80"), "port 80"),
            (Address::from_tcp("ip6-localhost:80"), "port 80"),
            (Address::from_tcp("[fd00::2]:80"), "fd00::2:80"),
            (Address::from_http("https://localhost/x"), "port 443"),
        ] {
            assert_eq!(address.unwrap().to_string(), expected);
        }
        assert_eq!(Address::from_tcp("localhost:{{ services.db.port }}"), None);
        assert_eq!(Address::from_http("http://localhost:{{ services.db.port }}/"), None);
    }

    #[test]
    fn address_belongs_to_one_service_until_it_ends() {
        let registry = PortRegistry::default();
        let one = registry.reserve("api:db", Some(5432)).unwrap();
        let refusal = registry.reserve("web:db", Some(5432)).unwrap_err();
        assert!(refusal.starts_with("port 5432 is already used by service api:db"), "{refusal}");
        let other = registry.reserve("web:db", Some(5433)).unwrap();
        assert!(other.add(Address::from_tcp("localhost:5432"), |_| false).is_err());
        assert!(other.add(Address::from_tcp("localhost:5432"), |name| name == "api:db").is_ok());
        assert!(other.add(Address::from_tcp("localhost:5434"), |_| false).is_ok());
        let socket = || Some(Address::Unix("/tmp/s".into()));
        one.add(socket(), |_| false).unwrap();
        let refusal = other.add(socket(), |_| false).unwrap_err();
        assert!(refusal.starts_with("the socket /tmp/s is already used by service api:db"), "{refusal}");
        drop(one);
        assert!(other.add(Address::from_tcp("localhost:5432"), |_| false).is_ok());
        assert!(registry.reserve("x", Some(5434)).is_err());
        drop(other);
        // The reservation of an earlier start of the same service is dropped late.
        let earlier = registry.reserve("db", Some(5432)).unwrap();
        let new = registry.reserve("db", Some(5432)).unwrap();
        drop(earlier);
        assert!(registry.reserve("x", Some(5432)).is_err());
        drop(new);
        assert!([5432, 5433, 5434].iter().all(|port| registry.reserve("x", Some(*port)).is_ok()));
    }
}
