//! The shop's catalogue: products and orders over HTTP, kept in PostgreSQL; each new order also goes
//! on a Redis list, where the worker takes it from.

pub mod http;
pub mod order;
pub mod queue;
pub mod store;
