//! The errors of this crate.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio_rustls::rustls;

/// A reason why a node has no identity.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The certificate cannot be created.
    #[error("cannot create a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS cannot use the certificate.
    #[error("cannot use the certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// A reason why a request to another node has no response.
#[derive(Debug, Error)]
pub enum SendError {
    /// The other node has received nothing of the request.
    #[error("{0}")]
    NotSent(String),
    /// The other node may have received the request, and may have acted on it.
    #[error("the connection ended before the answer: {0}")]
    Unanswered(String),
}

/// A reason why a body of another node ends early.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The connection ended in the middle of the body.
    #[error("the response of the other node broke off: {0}")]
    Broken(#[from] hyper::Error),
}

/// A reason why a connection was not accepted.
#[derive(Debug, Error)]
pub enum AcceptError {
    /// The handshake failed, for example because the client has no certificate.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[from] io::Error),
    /// The handshake took too long.
    #[error("no TLS handshake within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The certificate is not that of a node.
    #[error("no node has this certificate")]
    UnknownPeer,
}
