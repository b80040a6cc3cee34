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

mod capacity;
mod clock;
pub mod commands;
mod config;
mod http;
mod lifecycle;
mod live_view;
mod metrics;
mod operator;
mod profiles;
mod sandbox;
mod sessions;
mod store;
mod telemetry;
mod toolchain;
