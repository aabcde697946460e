//! Routers: what distributes the requests of a role over its slots. It must not know the steps of a deploy.
//!
//! `driver.rs` is the interface, `shares.rs` and `revert.rs` are what drivers have in common, and each
//! other file is one driver.

use crate::config::deploy::Router;
use crate::target::router::command::CommandRouter;
use crate::target::router::driver::RouterDriver;
use crate::target::router::haproxy::Haproxy;
use crate::target::router::nginx::Nginx;
use crate::target::router::own::OwnRouter;

pub mod command;
pub mod driver;
#[cfg(test)]
mod fixture;
pub mod haproxy;
pub mod nginx;
pub mod own;
mod revert;
mod shares;

/// Returns the driver of a router.
pub fn driver_of(router: &Router) -> Box<dyn RouterDriver> {
    match router {
        Router::Haproxy { socket, backend, server, state_file } => Box::new(Haproxy {
            socket: socket.clone(),
            backend: backend.clone(),
            server: server.clone(),
            state_file: state_file.clone(),
        }),
        Router::Nginx { include, upstream, url, reload } => Box::new(Nginx {
            include: include.clone(),
            upstream: upstream.clone(),
            url: url.clone(),
            reload: reload.clone(),
        }),
        Router::Command { shift, read } => {
            Box::new(CommandRouter { shift: shift.clone(), read: read.clone() })
        }
        Router::Driver => Box::new(OwnRouter),
    }
}
