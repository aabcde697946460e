//! Routers: what distributes the requests of a role over its slots. It must not know the steps of a deploy.

pub mod command;
pub mod driver;
mod unsupported;

use crate::config::deploy::Router;
use crate::target::router::command::CommandRouter;
use crate::target::router::driver::RouterDriver;
use crate::target::router::unsupported::UnsupportedRouter;

/// Returns the driver of a router.
pub fn find(router: &Router) -> Box<dyn RouterDriver> {
    match router {
        Router::Command { shift, read } => {
            Box::new(CommandRouter { shift: shift.clone(), read: read.clone() })
        }
        Router::Haproxy { .. } => Box::new(UnsupportedRouter("haproxy")),
        Router::Nginx { .. } => Box::new(UnsupportedRouter("nginx")),
        Router::Driver => Box::new(UnsupportedRouter("driver")),
    }
}
