//! The HTTP surface: routes, authentication, request parsing, handlers, WebSockets and the error
//! table. No other module names axum.

pub(crate) mod assets;
pub(crate) mod auth;
pub(crate) mod error;
pub(crate) mod extract;
pub(crate) mod handlers;
pub(crate) mod middleware;
pub(crate) mod router;
pub(crate) mod serve;
pub(crate) mod state;
pub(crate) mod ws;
