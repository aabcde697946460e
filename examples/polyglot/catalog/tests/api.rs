//! The whole program against a real PostgreSQL and Redis: `DATABASE_URL` and `REDIS_URL` name them.
//! Each test has a database and a list of its own, so all may run at once, also beside the worker's.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use catalog::order::Order;
use postgres::{Client, NoTls};
use serde_json::{Value, json};

fn needed(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: these tests need a running PostgreSQL and Redis, see README.md")
    })
}

/// A database and a list for one test.
struct Shop {
    admin: Client,
    database: String,
    redis_url: String,
}

/// A running catalogue.
struct Running {
    child: Child,
    address: String,
}

impl Shop {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (url, redis_url) = (needed("DATABASE_URL"), needed("REDIS_URL"));
        let mut admin = Client::connect(&url, NoTls).expect("DATABASE_URL leads to a PostgreSQL");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let database = format!("catalog_test_{}_{number}", std::process::id());
        admin.batch_execute(&format!("CREATE DATABASE {database}")).unwrap();
        Self { admin, database, redis_url }
    }

    fn database_url(&self) -> String {
        let url = needed("DATABASE_URL");
        let (server, _) = url.rsplit_once('/').expect("DATABASE_URL ends with /DATABASE");
        format!("{server}/{}", self.database)
    }

    fn sql(&self, query: &str) -> i64 {
        Client::connect(&self.database_url(), NoTls).unwrap().query_one(query, &[]).unwrap().get(0)
    }

    /// Starts the catalogue; its list has the name of the database.
    fn start(&self, redis_url: &str) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_catalog"))
            .env("DATABASE_URL", self.database_url())
            .env("REDIS_URL", redis_url)
            .env("ORDERS_LIST", &self.database)
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ");
        let address = address.expect("the catalogue says where it listens").to_owned();
        Running { child, address }
    }

    /// Takes the oldest order from the list.
    fn take(&self) -> Option<Order> {
        let server = self.redis_url.strip_prefix("redis://").unwrap();
        let (address, database) = server.split_once('/').unwrap_or((server, "0"));
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "SELECT {database}\r\nRPOP {}\r\nQUIT\r\n", self.database).unwrap();
        let mut replies = String::new();
        stream.read_to_string(&mut replies).unwrap();
        let message = replies.lines().find(|line| line.starts_with('{'))?;
        Some(serde_json::from_str(message).unwrap())
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        while !std::thread::panicking() && self.take().is_some() {}
        let _ = self.admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.database));
    }
}

impl Running {
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // HTTP/1.0: the answer ends with the connection.
        write!(stream, "{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The URL of a Redis that is not there.
fn no_redis() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("redis://{free}/0")
}

const ORDER: &str = r#"{"lines": [{"sku": "tea-green", "quantity": 3}, {"sku": "mug-blue", "quantity": 1}]}"#;

#[test]
fn products_match_the_contract() {
    let shop = Shop::new();
    let contract: Value = serde_json::from_str(include_str!("../../contract/products.json")).unwrap();
    assert_eq!(shop.start(&shop.redis_url).ask("GET", "/products", ""), (200, contract));
}

#[test]
fn order_is_stored_and_queued_as_in_the_contract() {
    let shop = Shop::new();
    let catalog = shop.start(&shop.redis_url);
    let (status, answer) = catalog.ask("POST", "/orders", ORDER);
    assert_eq!((status, &answer), (201, &json!({ "id": 1, "net_cents": 2765 })));
    let contract: Order = serde_json::from_str(include_str!("../../contract/order.json")).unwrap();
    assert_eq!(shop.take(), Some(Order { id: 1, ..contract }));
    assert_eq!(shop.take(), None);
    assert_eq!(shop.sql("SELECT count(*) FROM order_lines"), 2);
    assert_eq!(shop.sql("SELECT count(*) FROM orders WHERE queued"), 1);
}

#[test]
fn invalid_order_changes_nothing() {
    let shop = Shop::new();
    let catalog = shop.start(&shop.redis_url);
    for body in ["", "[]", r#"{"lines": []}"#, r#"{"lines": [{"sku": "mug-red", "quantity": 1}]}"#] {
        let (status, answer) = catalog.ask("POST", "/orders", body);
        assert_eq!(status, 422, "{body}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    assert_eq!(catalog.ask("POST", "/orders", &" ".repeat(70_000)).0, 413);
    assert_eq!(catalog.ask("GET", "/orders", "").0, 404);
    assert_eq!(shop.sql("SELECT count(*) FROM orders"), 0);
    assert_eq!(shop.take(), None);
}

#[test]
fn order_is_queued_when_redis_is_back() {
    let shop = Shop::new();
    let catalog = shop.start(&no_redis());
    assert_eq!(catalog.ask("POST", "/orders", ORDER).0, 201);
    assert_eq!(shop.sql("SELECT count(*) FROM orders WHERE NOT queued"), 1);
    drop(catalog);
    let catalog = shop.start(&shop.redis_url);
    assert_eq!(catalog.ask("GET", "/health", "").0, 200);
    assert_eq!(shop.take().map(|order| order.id), Some(1));
}

#[test]
fn health_reports_what_is_missing() {
    let shop = Shop::new();
    let ok = json!({ "database": "ok", "queue": "ok" });
    assert_eq!(shop.start(&shop.redis_url).ask("GET", "/health", ""), (200, ok));
    let (status, answer) = shop.start(&no_redis()).ask("GET", "/health", "");
    assert_eq!((status, &answer["database"]), (503, &json!("ok")));
    assert!(answer["queue"].as_str().unwrap().contains("refused"), "{answer}");
}
