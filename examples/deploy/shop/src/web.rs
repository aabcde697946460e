//! `shop web`: answers requests on ADDRESS:PORT. Each answer says which release it comes from, and which schema
//! the database has. After SIGTERM it ends when all requests are answered.
//!
//! `failing.txt` stands for a mistake: this share of requests, in percent, is answered with 500.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::postgres::Database;
use crate::{STOPS, on_stop, release, variable};

/// How long a customer may take to send a request.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an order takes.
const ORDER: Duration = Duration::from_millis(300);

struct Shop {
    release: String,
    slot: String,
    greeting: String,
    failing: usize,
    database: Option<Database>,
    requests: AtomicUsize,
    in_flight: AtomicUsize,
}

/// Answers requests until SIGTERM.
pub fn serve() -> Result<(), String> {
    let read = |file: &str| std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"));
    let shop = Arc::new(Shop {
        release: release(),
        slot: variable("SLOT").unwrap_or_default(),
        greeting: read("greeting.txt")?.trim().to_owned(),
        failing: read("failing.txt")?.trim().parse().map_err(|error| format!("failing.txt: {error}"))?,
        database: variable("DATABASE_URL").map(Database::new),
        requests: AtomicUsize::new(0),
        in_flight: AtomicUsize::new(0),
    });
    let address = variable("ADDRESS").unwrap_or_else(|| "127.0.0.1".to_owned());
    let address = format!("{address}:{}", variable("PORT").ok_or("PORT is missing")?);
    let listener = TcpListener::bind(&address).map_err(|error| format!("{address}: {error}"))?;
    println!("release {} listens on {address}", shop.release);
    // A connection wakes the loop below.
    let own = address.clone();
    on_stop(move || drop(TcpStream::connect(own)))?;
    loop {
        if STOPS.load(Ordering::SeqCst) {
            // Connections that the system has accepted are still answered.
            listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        }
        match listener.accept() {
            Ok((stream, _)) => {
                shop.in_flight.fetch_add(1, Ordering::SeqCst);
                let shop = Arc::clone(&shop);
                thread::spawn(move || {
                    // A customer who has left needs no answer.
                    let _ = shop.answer(stream);
                    shop.in_flight.fetch_sub(1, Ordering::SeqCst);
                });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => eprintln!("accept: {error}"),
        }
    }
    while shop.in_flight.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(10));
    }
    println!("release {} has ended", shop.release);
    Ok(())
}

impl Shop {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        reader.read_line(&mut request)?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.trim() != "" {
            line.clear();
        }
        let mut words = request.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
        let (status, body) = match (method, path) {
            ("GET", "/health") => self.page(),
            ("GET", "/" | "/release") if self.fails() => failure(),
            ("GET", "/" | "/release") => self.page(),
            ("POST", "/orders") => self.order(),
            _ => ("404 Not Found", "{\"error\": \"there is no such page\"}".to_owned()),
        };
        let length = body.len() + 1;
        write!(
            reader.get_mut(),
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             X-Release: {}\r\nConnection: close\r\n\r\n{body}\n",
            self.release
        )
    }

    /// Whether this request is one of those that fail, spread evenly.
    fn fails(&self) -> bool {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        number * self.failing % 100 + self.failing >= 100
    }

    fn page(&self) -> (&'static str, String) {
        let (schema, waiting) = match &self.database {
            None => ("none".to_owned(), "0".to_owned()),
            Some(database) => {
                let sql =
                    "SELECT max(name), (SELECT count(*) FROM orders WHERE done_by IS NULL) FROM migrations";
                match database.query(sql) {
                    Ok(rows) if rows.len() == 1 => (rows[0][0].clone(), rows[0][1].clone()),
                    Ok(_) => return failure(),
                    Err(error) => {
                        eprintln!("{error}");
                        return ("503 Service Unavailable", "{\"error\": \"no database\"}".to_owned());
                    }
                }
            }
        };
        let Self { release, slot, greeting, .. } = self;
        let body = format!(
            "{{\"greeting\": \"{greeting}\", \"release\": \"{release}\", \"slot\": \"{slot}\", \
             \"schema\": \"{schema}\", \"waiting-orders\": {waiting}}}"
        );
        ("200 OK", body)
    }

    fn order(&self) -> (&'static str, String) {
        thread::sleep(ORDER);
        if let Some(database) = &self.database
            && let Err(error) = database.query("INSERT INTO orders DEFAULT VALUES")
        {
            eprintln!("{error}");
            return failure();
        }
        ("201 Created", format!("{{\"release\": \"{}\"}}", self.release))
    }
}

fn failure() -> (&'static str, String) {
    ("500 Internal Server Error", "{\"error\": \"a mistake\"}".to_owned())
}
