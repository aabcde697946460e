//! `shop worker FILE`: delivers orders, and writes its release into FILE as long as that works.

use std::fs;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::postgres::Database;
use crate::{STOPS, on_stop, release, variable};

/// Delivers orders until SIGTERM.
pub fn run(file: &str) -> Result<(), String> {
    let database = Database::new(variable("DATABASE_URL").ok_or("DATABASE_URL is missing")?);
    let release = release();
    on_stop(|| {})?;
    while !STOPS.load(Ordering::SeqCst) {
        let sql = format!("UPDATE orders SET done_by = '{release}' WHERE done_by IS NULL");
        match database.query(&sql) {
            Ok(_) => fs::write(file, &release).map_err(|error| format!("{file}: {error}"))?,
            Err(error) => eprintln!("{error}"),
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
