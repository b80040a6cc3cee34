//! `cdpUrl`, both as a WebSocket and as the base of Chromium's HTTP endpoints.
//!
//! The session's token is the only credential. It is in the query, or in a bearer token for clients
//! that drop the query.

mod access;
pub(crate) mod connect;
pub(crate) mod describe;
