//! From a name to addresses, anew for each connection: a database that moved is found where it is now.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// The addresses of a name, to come.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Who knows addresses.
pub trait Resolve: Debug + Send + Sync {
    /// All addresses of a host, in the order in which they are to be tried. An IP address is its own.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Addresses<'a>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Addresses<'a> {
        Box::pin(async move { tokio::net::lookup_host((host, port)).await.map(Iterator::collect) })
    }
}
