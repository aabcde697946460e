//! The catalogue's program: reads its settings from the environment and serves.

use std::env;
use std::error::Error;
use std::process::ExitCode;

use catalog::http::Catalog;
use catalog::queue::Queue;
use catalog::store::Store;
use tiny_http::Server;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("catalog: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let needed = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let list = env::var("ORDERS_LIST").unwrap_or_else(|_| "orders".to_owned());
    let redis = needed("REDIS_URL")?;
    let queue =
        Queue::new(&redis, &list).ok_or(format!("REDIS_URL is {redis}, not redis://HOST:PORT/DATABASE"))?;
    let port: u16 = needed("PORT")?.parse().map_err(|error| format!("PORT: {error}"))?;
    let store = Store::open(&needed("DATABASE_URL")?).map_err(|error| format!("DATABASE_URL: {error}"))?;

    let server = Server::http(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
    println!("listening on {}", server.server_addr());
    Catalog { store, queue, web_root: env::var_os("WEB_ROOT").map(Into::into) }.serve(&server);
    Ok(())
}
