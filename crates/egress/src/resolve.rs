//! Resolves names to addresses.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;
use tokio::sync::OwnedSemaphorePermit;

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

/// The maximum number of threads for lookups. A lookup blocks a thread until the system resolver
/// returns, which takes half a minute if no name server answers.
const MAX_THREADS: usize = 64;

/// The runtime whose blocking threads perform lookups. It is separate, because lookups that hang
/// would otherwise delay everything else that blocks, such as the creation of sessions.
static LOOKUPS: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(MAX_THREADS)
        .thread_name("dns")
        .build()
});

/// Performs a lookup on a thread for lookups.
pub(crate) async fn look_up(
    resolver: Arc<dyn Resolve>,
    name: String,
    permit: OwnedSemaphorePermit,
) -> io::Result<Vec<IpAddr>> {
    let runtime = LOOKUPS
        .as_ref()
        .map_err(|error| io::Error::from(error.kind()))?;
    let lookup = runtime.spawn_blocking(move || {
        // The lookup holds the permit itself, because it continues when the caller stops waiting.
        let _permit = permit;
        resolver.addresses(&name)
    });
    lookup.await.map_err(io::Error::other)?
}

/// Returns whether a name always refers to loopback (RFC 6761, section 6.3).
fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}
