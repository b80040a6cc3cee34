//! Another node, as the target of requests.

use std::net::SocketAddr;

use crate::fingerprint::Fingerprint;

/// Another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remote {
    /// Its address for other nodes.
    pub address: SocketAddr,
    /// The fingerprint of its certificate. Without TLS it only tells apart two processes that had
    /// the same address.
    pub fingerprint: Fingerprint,
}
