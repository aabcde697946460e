//! A client of PostgreSQL with one connection: simple queries, and the password in clear, which is right for
//! 127.0.0.1 only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A row of a result; NULL is the empty text.
pub type Row = Vec<String>;

/// A database, with a connection that is opened when it is needed.
pub struct Database {
    url: String,
    connection: Mutex<Option<TcpStream>>,
}

impl Database {
    /// Uses the database `postgres://USER:PASSWORD@HOST:PORT/NAME`.
    pub fn new(url: String) -> Self {
        Self { url, connection: Mutex::new(None) }
    }

    /// Runs a query and returns its rows.
    pub fn query(&self, sql: &str) -> Result<Vec<Row>, String> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that the server has closed meanwhile is opened again.
        if let Some(stream) = connection.as_mut()
            && let Ok(rows) = query(stream, sql)
        {
            return Ok(rows);
        }
        *connection = None;
        let mut stream = connect(&self.url)?;
        let rows = query(&mut stream, sql)?;
        *connection = Some(stream);
        Ok(rows)
    }
}

fn connect(url: &str) -> Result<TcpStream, String> {
    let (user, password, address, name) = parts(url).ok_or("DATABASE_URL is invalid")?;
    let failed = |error: std::io::Error| format!("PostgreSQL on {address}: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(failed)?;
    let _ = stream.set_nodelay(true);
    let text = format!("user\0{user}\0database\0{name}\0\0");
    let mut start = 196_608_u32.to_be_bytes().to_vec();
    start.extend(text.as_bytes());
    send(&mut stream, None, &start)?;
    loop {
        let (kind, body) = receive(&mut stream)?;
        match (kind, body.get(..4)) {
            (b'R', Some([0, 0, 0, 0])) => {}
            (b'R', Some([0, 0, 0, 3])) => send(&mut stream, Some(b'p'), format!("{password}\0").as_bytes())?,
            (b'R', _) => return Err("PostgreSQL wants a login that this client does not know".to_owned()),
            (b'E', _) => return Err(message(&body)),
            (b'Z', _) => return Ok(stream),
            _ => {}
        }
    }
}

fn query(stream: &mut TcpStream, sql: &str) -> Result<Vec<Row>, String> {
    send(stream, Some(b'Q'), format!("{sql}\0").as_bytes())?;
    let (mut rows, mut error) = (Vec::new(), None);
    loop {
        let (kind, body) = receive(stream)?;
        match kind {
            b'D' => rows.push(row(&body).ok_or("PostgreSQL sent an invalid row")?),
            b'E' => error = Some(message(&body)),
            b'Z' => return error.map_or(Ok(rows), Err),
            _ => {}
        }
    }
}

fn send(stream: &mut TcpStream, kind: Option<u8>, body: &[u8]) -> Result<(), String> {
    let mut bytes: Vec<u8> = kind.into_iter().collect();
    bytes.extend((body.len() as u32 + 4).to_be_bytes());
    bytes.extend(body);
    stream.write_all(&bytes).map_err(|error| format!("PostgreSQL: {error}"))
}

fn receive(stream: &mut TcpStream) -> Result<(u8, Vec<u8>), String> {
    let mut head = [0; 5];
    let failed = |error| format!("PostgreSQL: {error}");
    stream.read_exact(&mut head).map_err(failed)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut body = vec![0; length.saturating_sub(4) as usize];
    stream.read_exact(&mut body).map_err(failed)?;
    Ok((head[0], body))
}

/// Returns the values of a row.
fn row(body: &[u8]) -> Option<Row> {
    let mut rest = body.get(2..)?;
    let mut row = Row::new();
    while let Some((length, more)) = rest.split_first_chunk::<4>() {
        // -1 stands for NULL.
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        row.push(String::from_utf8_lossy(more.get(..length)?).into_owned());
        rest = &more[length..];
    }
    Some(row)
}

/// Returns the text of an error.
fn message(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let text = fields.find_map(|field| field.strip_prefix(b"M"));
    text.map_or_else(|| "error".to_owned(), |text| String::from_utf8_lossy(text).into_owned())
}

/// Returns user, password, address and name of a database.
fn parts(url: &str) -> Option<(&str, &str, &str, &str)> {
    let (login, rest) = url.strip_prefix("postgres://")?.split_once('@')?;
    let (user, password) = login.split_once(':')?;
    let (address, name) = rest.split_once('/')?;
    Some((user, password, address, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_has_four_parts() {
        let expected = Some(("shop", "pw", "127.0.0.1:5432", "db"));
        assert_eq!(parts("postgres://shop:pw@127.0.0.1:5432/db"), expected);
        assert_eq!(parts("postgres://127.0.0.1/db"), None);
    }

    #[test]
    fn null_is_the_empty_text() {
        let body = [0, 2, 0, 0, 0, 1, b'7', 255, 255, 255, 255];
        assert_eq!(row(&body), Some(vec!["7".to_owned(), String::new()]));
    }
}
