//! From names to addresses.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

/// What knows the addresses of names.
pub trait Resolve: Debug + Send + Sync {
    /// All addresses of a name. May block for as long as the system lets it.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver, with its files and its servers.
#[derive(Debug)]
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if is_loopback_name(name) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let sockets = (name, 0).to_socket_addrs()?;
        Ok(sockets.map(|socket| socket.ip()).collect())
    }
}

/// Names that never leave the machine (RFC 6761, 6.3).
fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}
