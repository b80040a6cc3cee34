//! Black-box tests. Each starts the server that cargo has just built and talks to it as any client
//! does. `cargo nextest run -E 'test(name)'` runs one.
//!
//! Tests with third-party clients are in `tests/clients`.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test may read the time and spawn tasks, because it ends with its process"
)]

mod agent_browser;
mod api;
mod attacks;
mod auth;
mod bounded;
mod browser_version;
mod cdp;
mod cdp_http;
mod cdp_neighbours;
mod certificates;
mod cluster;
mod command_line;
mod concurrency;
mod cors;
mod database;
mod doctor;
mod doctor_proxies;
mod egress;
mod environment;
mod execution_bash;
mod execution_bash_script;
mod execution_kernels;
mod execution_node;
mod execution_python;
mod execution_shared;
mod files;
mod front;
mod lifetime;
mod limits;
mod live_http;
mod live_socket;
mod live_view;
mod memory;
mod official;
mod openapi;
mod operator;
mod profiles;
mod recovery;
mod reload;
mod restart;
mod scrape;
mod scrape_interact;
mod session_options;
mod settings;
mod soak;
mod streaming;
mod test_mode;
mod tidy;
mod validation;
mod warm;
mod workbench;
