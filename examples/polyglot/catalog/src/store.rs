//! Products and orders in PostgreSQL.

use postgres::{Client, Error, NoTls};

use crate::order::{Line, Order, Product};

const SCHEMA: &str = include_str!("../../contract/schema.sql");

/// A connection to the shop's database.
pub struct Store {
    url: String,
    client: Client,
}

impl Store {
    /// Connects, and makes the tables that are not there yet.
    pub fn open(url: &str) -> Result<Self, Error> {
        let mut client = Client::connect(url, NoTls)?;
        client.batch_execute(SCHEMA)?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// The connection; a new one if the database went away and came back.
    fn client(&mut self) -> Result<&mut Client, Error> {
        if self.client.is_closed() {
            self.client = Client::connect(&self.url, NoTls)?;
        }
        Ok(&mut self.client)
    }

    /// Whether the database answers.
    pub fn check(&mut self) -> Result<(), Error> {
        self.client()?.simple_query("SELECT 1").map(drop)
    }

    /// All products, by SKU.
    pub fn products(&mut self) -> Result<Vec<Product>, Error> {
        let rows = self
            .client()?
            .query("SELECT sku, name, price_cents, vat_percent FROM products ORDER BY sku", &[])?;
        let product = |row: &postgres::Row| Product {
            sku: row.get(0),
            name: row.get(1),
            price_cents: row.get(2),
            vat_percent: row.get(3),
        };
        Ok(rows.iter().map(product).collect())
    }

    /// Keeps an order: all of its lines, or nothing.
    pub fn add_order(&mut self, lines: &[Line]) -> Result<i64, Error> {
        let mut transaction = self.client()?.transaction()?;
        let id = transaction.query_one("INSERT INTO orders DEFAULT VALUES RETURNING id", &[])?.get(0);
        for (position, line) in (1_i32..).zip(lines) {
            transaction.execute(
                "INSERT INTO order_lines (order_id, position, sku, quantity, price_cents, vat_percent)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                &[&id, &position, &line.sku, &line.quantity, &line.price_cents, &line.vat_percent],
            )?;
        }
        transaction.commit()?;
        Ok(id)
    }

    /// The orders that are not on the Redis list yet, oldest first.
    pub fn unqueued(&mut self) -> Result<Vec<Order>, Error> {
        let rows = self.client()?.query(
            "SELECT id, sku, quantity, price_cents, vat_percent
             FROM orders JOIN order_lines ON order_id = id
             WHERE NOT queued ORDER BY id, position",
            &[],
        )?;
        let mut orders: Vec<Order> = Vec::new();
        for row in rows {
            let id = row.get(0);
            if orders.last().is_none_or(|order| order.id != id) {
                orders.push(Order { id, lines: Vec::new() });
            }
            if let Some(order) = orders.last_mut() {
                order.lines.push(Line {
                    sku: row.get(1),
                    quantity: row.get(2),
                    price_cents: row.get(3),
                    vat_percent: row.get(4),
                });
            }
        }
        Ok(orders)
    }

    /// Notes that an order is on the list.
    pub fn mark_queued(&mut self, id: i64) -> Result<(), Error> {
        self.client()?.execute("UPDATE orders SET queued = true WHERE id = $1", &[&id]).map(drop)
    }
}
