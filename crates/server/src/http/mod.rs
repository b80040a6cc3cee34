//! The HTTP API: routes, authentication, request parsing, handlers, WebSocket protocols and the
//! mapping of errors to status codes. No other module uses axum.
//!
//! A request passes through `router`, `middleware`, `extract` and one of the `handlers`. Handlers
//! use `state` to reach the rest of the server, `links` to build URLs, and `error` for every
//! failure. WebSocket handlers pass their connection on to `ws`. `front` sends requests without a
//! route to a Firecrawl server, and `forward` those about a session to the node that owns it.
//! `test_mode` has the routes of the test mode.

pub(crate) mod assets;
pub(crate) mod auth;
mod client_connection;
pub(crate) mod connections;
mod content_types;
pub(crate) mod error;
mod error_bodies;
mod error_sources;
mod event_headers;
pub(crate) mod event_stream;
pub(crate) mod execution;
pub(crate) mod extract;
pub(crate) mod forward;
mod front;
pub(crate) mod handlers;
mod hop_by_hop;
pub(crate) mod links;
pub(crate) mod middleware;
pub(crate) mod origin;
mod paths;
mod ranges;
pub(crate) mod router;
pub(crate) mod serve;
mod shared_stream;
pub(crate) mod state;
mod test_mode;
pub(crate) mod ws;
