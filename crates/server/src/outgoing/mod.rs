//! Requests of the server itself to other servers, over HTTP and HTTPS.
//!
//! Requests of sessions never pass through here: they use their egress proxy. An operator names the
//! servers in settings, so the egress policy does not apply to them.
//!
//! `server` parses the address of a server, `trust` builds the TLS configuration, `connect` opens
//! connections, `exchange` sends a request and receives its response, and `received` is the body of
//! a response. Each request has its own connection, which ends with the response: nothing has to be
//! repeated because an idle connection had been closed, and a caller that leaves cancels its
//! request.

mod connect;
mod error;
mod exchange;
mod received;
mod server;
mod trust;

pub(crate) use self::connect::Connector;
pub(crate) use self::error::OutgoingError;
pub(crate) use self::exchange::{Exchange, is_upgraded};
pub(crate) use self::received::{ReceiveError, Received};
pub(crate) use self::server::RemoteServer;
pub(crate) use self::trust::{TlsTrust, TrustError};
