//! The server: everything with an address or a clock.
//!
//! A tour, in the order in which a request meets it: `router` is the flat list of routes, `request`
//! reads bodies and keys in the order that clients expect, `handlers` has one endpoint a file,
//! `sessions` is where sessions live and end, and `error` turns every refusal into a status code.
//! Around that: `config` (every setting, checked once), `memory` (how many sessions fit),
//! `lifecycle` (start and stop), `clock` (the only wall time), `telemetry` (logs), `access` (a line
//! of them for every request), `metrics` (what is counted), `operator` (the page at `/`).
//!
//! The library exists so that `main` stays a handful of lines; [`commands::Cli`] is its face.

mod access;
mod auth;
mod cdp_socket;
mod clock;
pub mod commands;
mod config;
mod error;
mod handlers;
mod isolation;
mod lifecycle;
mod live_view;
mod memory;
mod metrics;
mod operator;
mod pages;
mod profiles;
mod request;
mod router;
mod runtime;
mod sessions;
mod state;
mod store;
mod telemetry;
