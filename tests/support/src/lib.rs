//! Test support for the black-box tests: starts a real server and talks to it.
//!
//! - [`TestServer`] runs the built `hearth` on a free port with a private data dir, stops it, and
//!   asserts that it leaves nothing behind;
//! - [`Api`] and [`Session`] send requests, [`Reply`] and [`Execution`] are the responses;
//! - [`description`] is the OpenAPI file, and [`Exchange`] checks every response against it;
//! - [`BrowserWrapper`] replaces the browser with one that reports another version;
//! - [`Doctor`] runs `hearth doctor` and parses its report;
//! - [`Site`] is a small web site on loopback, with pages to open and URLs through which running
//!   code signals a test;
//! - [`process`] reads `/proc`, and [`Terminal`] is a terminal for a server;
//! - [`cdp`] is a raw WebSocket client of a session's `cdpUrl`, and [`Viewer`] is a client of its
//!   live view;
//! - [`ClientHome`] is a private dir for a third-party client, and [`report`] records the client's
//!   steps;
//! - [`document`] compares generated sections of documents with what tests observed;
//! - [`netns`] gives a test private namespaces, [`plain_user`] an unprivileged user, and
//!   [`ExternalListener`] listeners that no session may reach;
//! - [`TestPostgres`] is a private PostgreSQL server, [`TestBucket`] a private S3-compatible one
//!   with faults, and [`TestCluster`] several servers that share a database;
//! - [`eventually`] is the only function that polls.
//!
//! This crate must not depend on the server's crates. It has the same view of the server as any
//! client and any other process on the machine.

#![forbid(unsafe_code)]
#![expect(clippy::missing_panics_doc, reason = "tests fail by panicking")]

mod api;
mod behind_entry;
mod browser_wrapper;
mod bucket;
pub mod cdp;
mod client_home;
mod cluster;
pub mod description;
mod doctor;
pub mod document;
mod eventually;
mod exchange;
mod execution;
mod external_listener;
mod fixture_site;
mod installation;
pub mod netns;
mod output;
pub mod plain_user;
mod postgres;
pub mod process;
mod reply;
pub mod report;
mod server;
mod server_builder;
mod session;
mod site;
mod terminal;
mod viewer;

pub use api::Api;
pub use browser_wrapper::BrowserWrapper;
pub use bucket::{BucketFault, TestBucket};
pub use client_home::ClientHome;
pub use cluster::TestCluster;
pub use doctor::{Diagnosis, Doctor, Finding};
pub use eventually::eventually;
pub use exchange::Exchange;
pub use execution::Execution;
pub use external_listener::{ANSWER, ExternalListener};
pub use installation::binary;
pub use postgres::TestPostgres;
pub use reply::Reply;
pub use server::TestServer;
pub use server_builder::{CLUSTER_KEY, ServerBuilder, StartFailure, new_data_dir};
pub use session::Session;
pub use site::{GREETING, Site, attachment};
pub use terminal::Terminal;
pub use viewer::{ReceivedFrame, Viewer};

/// The two path prefixes of the API.
pub const PREFIXES: [&str; 2] = ["/v2/interact", "/v2/browser"];

/// Returns the root of the repository, which is the working dir of test servers and contains the
/// runtime.
pub fn repository() -> std::path::PathBuf {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .expect("the package is in tests/support")
        .to_owned()
}
