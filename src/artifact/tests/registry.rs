//! Tests the store in a registry with a small one of this process, which wants tokens, and lets uploads and
//! downloads go to another host as large registries do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Fixture, read};
use crate::artifact::archive::{digest_of_gzipped, sha256};
use crate::artifact::store::StoreError;
use crate::config::deploy::StoreLocation;

/// A registry that lives as long as the tests.
struct Registry {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Blobs and manifests, by their paths.
    objects: BTreeMap<String, Vec<u8>>,
    /// What was requested: method, path and the header with credentials.
    requests: Vec<String>,
}

struct Response {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
}

impl Registry {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), port, &mut shared.lock().unwrap());
            }
        });
        Self { port, state }
    }

    fn location(&self) -> StoreLocation {
        let registry = format!("127.0.0.1:{}", self.port);
        StoreLocation::Oci { registry, repository: "shop/api".to_owned() }
    }

    fn log_in(&self, fixture: &Fixture, auth: &str) {
        fs::create_dir_all(fixture.path("root/.docker")).unwrap();
        let config = format!(r#"{{"auths": {{"127.0.0.1:{}": {{"auth": "{auth}"}}}}}}"#, self.port);
        fs::write(fixture.path("root/.docker/config.json"), config).unwrap();
    }
}

/// Answers one request.
fn serve(stream: TcpStream, port: u16, state: &mut State) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        let headers = lines.iter().filter_map(|line| line.split_once(": "));
        headers.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let Some(first) = lines.first() else { return };
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let authorization = header("authorization").unwrap_or("-");
    state.requests.push(format!("{method} {path} {authorization}"));
    let response = respond(method, path, authorization, body, port, state);
    let head = format!(
        "HTTP/1.1 {}\r\n{}connection: close\r\ncontent-length: {}\r\n\r\n",
        response.status,
        response.headers,
        response.body.len()
    );
    let stream = reader.get_mut();
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&response.body));
}

fn respond(
    method: &str,
    path: &str,
    authorization: &str,
    body: Vec<u8>,
    port: u16,
    state: &mut State,
) -> Response {
    let answer = |status, headers: String, body: Vec<u8>| Response { status, headers, body };
    let created = || answer("201 Created", String::new(), Vec::new());
    let found = |object: Option<&Vec<u8>>| match object {
        Some(object) => answer("200 OK", String::new(), object.clone()),
        None => answer("404 Not Found", String::new(), Vec::new()),
    };
    if path.starts_with("/token") {
        let token = if authorization == "Basic Z29vZA==" { "push" } else { "pull" };
        return answer("200 OK", String::new(), format!(r#"{{"access_token": "{token}"}}"#).into_bytes());
    }
    // These are on the other host.
    if let Some(digest) = path.strip_prefix("/upload?id=1&digest=") {
        assert_eq!(sha256(&*body).unwrap().0, digest);
        state.objects.insert(format!("/blobs/{digest}"), body);
        return created();
    }
    if path.starts_with("/blobs/") {
        return found(state.objects.get(path));
    }
    let may = authorization == "Bearer push" || (method == "GET" && authorization == "Bearer pull");
    if !may {
        let actions = if method == "GET" { "pull" } else { "pull,push" };
        let header = format!(
            "www-authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"test\",\
             scope=\"repository:shop/api:{actions}\"\r\n"
        );
        let body = r#"{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}"#;
        return answer("401 Unauthorized", header, body.as_bytes().to_vec());
    }
    if method == "POST" {
        let header = format!("location: http://localhost:{port}/upload?id=1\r\n");
        return answer("202 Accepted", header, Vec::new());
    }
    if method == "PUT" {
        state.objects.insert(path.to_owned(), body);
        return created();
    }
    if let Some(blob) = path.strip_prefix("/v2/shop/api/blobs/") {
        let header = format!("location: http://localhost:{port}/blobs/{blob}\r\n");
        return answer("307 Temporary Redirect", header, Vec::new());
    }
    found(state.objects.get(path))
}

#[test]
fn registry_with_tokens_gets_credentials_and_other_hosts_do_not() {
    let (registry, fixture) = (Registry::start(), Fixture::new());
    registry.log_in(&fixture, "Z29vZA==");
    let packed = fixture.artifact("one");
    fixture.store_at(&registry.location()).put(&packed).unwrap();
    let bytes = read(&fixture.store_at(&registry.location()), packed.digest()).unwrap();
    assert_eq!(digest_of_gzipped(&*bytes).unwrap(), *packed.digest());
    let requests = registry.state.lock().unwrap().requests.clone();
    let is_elsewhere = |request: &&String| request.contains(" /upload") || request.contains(" /blobs/");
    let elsewhere: Vec<_> = requests.iter().filter(is_elsewhere).collect();
    assert_eq!(elsewhere.len(), 3, "{requests:?}");
    assert!(elsewhere.iter().all(|request| request.ends_with(" -")), "{requests:?}");
    assert!(requests.iter().any(|request| {
        request == "GET /token?service=test&scope=repository%3Ashop%2Fapi%3Apull Basic Z29vZA=="
    }));
}

#[test]
fn who_may_only_read_is_told_to_log_in() {
    let (registry, fixture) = (Registry::start(), Fixture::new());
    let packed = fixture.artifact("one");
    let error = fixture.store_at(&registry.location()).put(&packed).unwrap_err().to_string();
    assert!(error.contains("status 401: authentication required; no credentials in"), "{error}");
    assert!(error.ends_with(&format!("hint: docker login 127.0.0.1:{}", registry.port)), "{error}");
    registry.log_in(&fixture, "Z29vZA==");
    fixture.store_at(&registry.location()).put(&packed).unwrap();
    fs::remove_dir_all(fixture.path("root/.docker")).unwrap();
    read(&fixture.store_at(&registry.location()), packed.digest()).unwrap();
}

#[test]
fn manifest_and_layer_that_are_cut_off_are_never_accepted() {
    let (registry, fixture) = (Registry::start(), Fixture::new());
    registry.log_in(&fixture, "Z29vZA==");
    let packed = fixture.artifact("one");
    fixture.store_at(&registry.location()).put(&packed).unwrap();
    let objects = registry.state.lock().unwrap().objects.clone();
    // The configuration is not read again.
    let used = objects.iter().filter(|(_, object)| !object.starts_with(b"{\"layer\""));
    for (path, object) in used {
        for length in (0..object.len()).step_by(5) {
            registry.state.lock().unwrap().objects.insert(path.clone(), object[..length].to_vec());
            let error = read(&fixture.store_at(&registry.location()), packed.digest()).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{path} {length}: {error}");
        }
        registry.state.lock().unwrap().objects.insert(path.clone(), object.clone());
    }
    read(&fixture.store_at(&registry.location()), packed.digest()).unwrap();
}
