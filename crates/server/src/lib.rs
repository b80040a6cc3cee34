//! The Hearth server.
//!
//! A request passes through these modules in this order: `http` routes, authenticates and parses
//! it, `scrape` finds the session of a scrape, `sessions` runs it, `sandbox` isolates the session's
//! processes, and `http::error` maps errors to status codes. `profiles` keeps browser state between
//! sessions, `store` keeps records across restarts, `backup` copies both, and `live_view` shows a
//! session's current tab to people.
//!
//! `cluster` is this server as a node of a cluster, and `object_storage` has the profiles of a
//! cluster. `page_driver` drives a tab for `scrape`, `operator` is the operator page, and
//! `workbench` is the page for people who use sessions. `firecrawl` is the Firecrawl server for
//! which this one is the front, and `outgoing` sends requests to other servers.
//!
//! `commands` is the command line, `config` parses and checks all settings, and `lifecycle` starts
//! and stops the server. `capacity` calculates the default session limit, and
//! `certificate_authorities` parses `HEARTH_CA_FILE`. `countries` has time zones and languages.
//! `fair_queue` and `request_rate` keep one client from delaying others. `metrics` provides the
//! metrics, `telemetry` provides the log, `test_mode` inserts faults, and `clock` is the only
//! source of the wall-clock time.
//!
//! The library keeps `main` short. [`commands::Cli`] is its public API.

#![forbid(unsafe_code)]

mod api_keys;
mod backup;
mod capacity;
mod certificate_authorities;
mod clock;
mod cluster;
pub mod commands;
mod config;
mod countries;
mod embedded;
mod ending;
mod fair_queue;
mod firecrawl;
mod http;
mod lifecycle;
mod live_view;
mod metrics;
mod object_storage;
mod operator;
mod outgoing;
mod page_driver;
mod profiles;
mod request_rate;
mod sandbox;
mod scrape;
mod sessions;
mod store;
mod team;
mod telemetry;
mod test_mode;
mod token;
mod toolchain;
mod workbench;
