//! The Redis list that orders are put on. It speaks just as much of Redis' protocol as that takes.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long Redis may take to connect and to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A list of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    address: String,
    database: String,
    list: String,
}

impl Queue {
    /// The list `list` of a server such as `redis://127.0.0.1:6379/0`; `None` if that is no such URL.
    pub fn new(url: &str, list: &str) -> Option<Self> {
        let rest = url.strip_prefix("redis://")?;
        let (address, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = if database.is_empty() { "0" } else { database };
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "6379"));
        // A user and a password would need AUTH.
        if host.is_empty() || host.contains('@') || port.parse::<u16>().is_err() {
            return None;
        }
        database.parse::<u8>().ok()?;
        Some(Self { address: format!("{host}:{port}"), database: database.into(), list: list.into() })
    }

    /// Puts `message` at the list's head; the worker takes from its tail.
    pub fn push(&self, message: &str) -> io::Result<()> {
        self.send(&["LPUSH", &self.list, message])
    }

    /// Whether the server answers.
    pub fn check(&self) -> io::Result<()> {
        self.send(&["PING"])
    }

    /// A connection for each command: orders are rare, and a new one can't have gone stale.
    fn send(&self, command: &[&str]) -> io::Result<()> {
        let address = self.address.to_socket_addrs()?.next();
        let address = address.ok_or_else(|| io::Error::other(format!("{} has no address", self.address)))?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&[encode(&["SELECT", &self.database]), encode(command)].concat())?;
        let mut replies = BufReader::new(stream);
        for _ in 0..2 {
            let mut reply = String::new();
            replies.read_line(&mut reply)?;
            match reply.as_bytes().first() {
                Some(b'+' | b':') => {}
                _ => return Err(io::Error::other(format!("redis answered {:?}", reply.trim_end()))),
            }
        }
        Ok(())
    }
}

/// A command as Redis reads it: the count of its words, then each with its length.
fn encode(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_has_its_lengths_in_bytes() {
        assert_eq!(
            encode(&["LPUSH", "orders", "é"]),
            "*3\r\n$5\r\nLPUSH\r\n$6\r\norders\r\n$2\r\né\r\n".as_bytes()
        );
    }

    #[test]
    fn url_names_server_and_database() {
        let parts = |url| Queue::new(url, "orders").map(|queue| (queue.address, queue.database));
        let is = |address: &str, database: &str| Some((address.to_owned(), database.to_owned()));
        assert_eq!(parts("redis://127.0.0.1:7000/3"), is("127.0.0.1:7000", "3"));
        assert_eq!(parts("redis://cache/"), is("cache:6379", "0"));
        for wrong in ["127.0.0.1:6379", "redis://", "redis://h:port", "redis://h/x", "redis://me:secret@h"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
