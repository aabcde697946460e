//! Routers: what distributes the requests of a role over its slots. It must not know the steps of a deploy.

pub mod driver;
