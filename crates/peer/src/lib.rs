//! Connections between the nodes of a cluster: mutual TLS with pinned certificates, and requests
//! with bodies and upgrades over them.
//!
//! A node creates a key and a certificate when it starts. It publishes the certificate's
//! fingerprint with a proof that only a holder of the cluster secret can compute (`claim`).
//! Both ends of a connection accept exactly the fingerprints of nodes whose proof is valid, so
//! there is no certificate authority, and the secret never leaves a node.
//!
//! - `fingerprint`, `claim`, `identity`: what a node publishes, and its key.
//! - `tls`, `provider`: the TLS configurations of both ends.
//! - `client`, `link`, `pool`, `exchange`, `received`: requests to other nodes (`remote`). A
//!   connection has one request at a time. The body of a response owns its connection, so a caller
//!   that leaves closes it. A connection that has finished its response is kept for the next
//!   request.
//! - `acceptor`: the other end.
//! - `signature`, `nonces`: authenticated requests without TLS, for networks that encrypt.
//! - `dial`, `lane`: new connections. A few to one node are opened at a time; other requests wait
//!   for their turn, or until a connection is idle.
//!
//! This crate must not depend on sessions, axum or SQL.

#![forbid(unsafe_code)]

mod acceptor;
mod claim;
mod client;
mod dial;
mod error;
mod exchange;
mod fingerprint;
mod identity;
mod lane;
mod link;
mod nonces;
mod pool;
mod provider;
mod received;
mod remote;
mod signature;
mod tls;

pub use self::acceptor::{Accepted, Acceptor, KnownPeers, Refreshing};
pub use self::claim::Claim;
pub use self::client::{Client, ClientLimits};
pub use self::error::{AcceptError, IdentityError, ReceiveError, SendError};
pub use self::fingerprint::{Fingerprint, InvalidFingerprint};
pub use self::identity::Identity;
pub use self::received::{Received, is_upgraded};
pub use self::remote::Remote;
pub use self::signature::{SIGNATURE, Signer, Verifier};
