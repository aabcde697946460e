//! Ports for servers of tests. They must not know which servers.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that systems give to connections: a server that is started again would find such a port in use.
const FIRST: u32 = 12_000;
/// Below the ports that the program itself chooses for services, too.
const COUNT: u32 = 8_000;

/// Returns a port that is free on this machine and that no other test of this program gets.
pub(crate) fn free_port() -> u16 {
    free_port_on(&["127.0.0.1"])
}

/// Returns a port that is free on all of these addresses.
pub(crate) fn free_port_on(addresses: &[&str]) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        // Programs that run at the same time begin far from each other.
        let number = NEXT.fetch_add(1, Ordering::SeqCst).wrapping_add(process::id().wrapping_mul(97));
        let port = u16::try_from(FIRST + number % COUNT).unwrap();
        if addresses.iter().all(|address| TcpListener::bind((*address, port)).is_ok()) {
            return port;
        }
    }
    panic!("no port is free on {addresses:?}")
}
