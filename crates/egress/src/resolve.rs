//! Resolves names to addresses.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

/// A resolver of host names.
pub trait Resolve: Debug + Send + Sync {
    /// Returns all addresses of a name. May block as long as the system resolver does.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system resolver, with its hosts file and its name servers.
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

/// Returns whether a name always refers to loopback (RFC 6761, section 6.3).
fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}
