//! The catalogue over HTTP: what each path answers.

use std::error::Error;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

use crate::order;
use crate::queue::Queue;
use crate::store::Store;

/// The longest order that is read.
const MAX_BODY: u64 = 64 * 1024;

/// What answers requests.
pub struct Catalog {
    pub store: Store,
    pub queue: Queue,
    /// The folder of the front end, if it is served too.
    pub web_root: Option<PathBuf>,
}

type Answer = Response<Cursor<Vec<u8>>>;

impl Catalog {
    /// Answers requests until the process ends.
    pub fn serve(&mut self, server: &Server) {
        self.queue_orders();
        for mut request in server.incoming_requests() {
            let answer = self.answer(&mut request).unwrap_or_else(|error| {
                eprintln!("{} {}: {error}", request.method(), request.url());
                json_answer(500, &json!({ "error": "the catalogue can't answer now" }))
            });
            // A client that went away needs no answer.
            let _ = request.respond(answer);
        }
    }

    fn answer(&mut self, request: &mut Request) -> Result<Answer, Box<dyn Error>> {
        let url = request.url().to_owned();
        let path = url.split('?').next().unwrap_or_default();
        Ok(match (request.method(), path) {
            (Method::Get, "/health") => self.health(),
            (Method::Get, "/products") => json_answer(200, &json!(self.store.products()?)),
            (Method::Post, "/orders") => self.place(request)?,
            (Method::Get, path) => match self.web_file(path) {
                Some((bytes, kind)) => Response::from_data(bytes).with_header(content_type(kind)),
                None => json_answer(404, &json!({ "error": "there is nothing here" })),
            },
            _ => json_answer(404, &json!({ "error": "there is nothing here" })),
        })
    }

    fn health(&mut self) -> Answer {
        let said = |result: Result<(), String>| result.err().unwrap_or_else(|| "ok".to_owned());
        let database = said(self.store.check().map_err(|error| error.to_string()));
        let queue = said(self.queue.check().map_err(|error| error.to_string()));
        let status = if database == "ok" && queue == "ok" { 200 } else { 503 };
        json_answer(status, &json!({ "database": database, "queue": queue }))
    }

    fn place(&mut self, request: &mut Request) -> Result<Answer, Box<dyn Error>> {
        let mut body = Vec::new();
        request.as_reader().take(MAX_BODY + 1).read_to_end(&mut body)?;
        if body.len() as u64 > MAX_BODY {
            return Ok(json_answer(413, &json!({ "error": "the order is too long" })));
        }
        let products = self.store.products()?;
        let lines = match order::parse(&body).and_then(|request| order::price(&request, &products)) {
            Ok(lines) => lines,
            Err(refusal) => return Ok(json_answer(422, &json!({ "error": refusal.to_string() }))),
        };
        let id = self.store.add_order(&lines)?;
        self.queue_orders();
        Ok(json_answer(201, &json!({ "id": id, "net_cents": order::net_cents(&lines) })))
    }

    /// Puts on the list what is not there yet. If that fails the orders are still kept, and go out
    /// with the next one or at the next start. An order may go out twice; the worker makes one
    /// invoice of it all the same.
    fn queue_orders(&mut self) {
        let mut queue = || -> Result<(), Box<dyn Error>> {
            for order in self.store.unqueued()? {
                self.queue.push(&serde_json::to_string(&order)?)?;
                self.store.mark_queued(order.id)?;
            }
            Ok(())
        };
        if let Err(error) = queue() {
            eprintln!("orders wait for the queue: {error}");
        }
    }

    /// A file of the front end, and its type: the page and its compiled modules, nothing else.
    fn web_file(&self, path: &str) -> Option<(Vec<u8>, &'static str)> {
        let root = self.web_root.as_deref()?;
        let (file, kind) = if path == "/" {
            (root.join("index.html"), "text/html; charset=utf-8")
        } else {
            (root.join("dist/src").join(module(path)?), "text/javascript; charset=utf-8")
        };
        Some((fs::read(file).ok()?, kind))
    }
}

/// The file name in `/dist/src/NAME.js`.
fn module(path: &str) -> Option<&Path> {
    let name = path.strip_prefix("/dist/src/")?;
    let stem = name.strip_suffix(".js")?;
    let plain = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then(|| Path::new(name))
}

fn json_answer(status: u16, body: &Value) -> Answer {
    Response::from_data(body.to_string())
        .with_status_code(status)
        .with_header(content_type("application/json"))
}

fn content_type(kind: &str) -> Header {
    Header::from_bytes("Content-Type", kind).expect("a type is plain ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_front_end_modules_are_served() {
        assert_eq!(module("/dist/src/main.js"), Some(Path::new("main.js")));
        for path in
            ["/main.js", "/dist/src/.js", "/dist/src/../main.js", "/dist/src/a/b.js", "/dist/src/main.ts"]
        {
            assert_eq!(module(path), None, "{path}");
        }
    }
}
