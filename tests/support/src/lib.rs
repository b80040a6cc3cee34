//! The harness of the black-box tests: a real server, and what a test needs around it.
//!
//! - [`TestServer`] runs the built `hearth` on a free port and a data folder of its own, stops it,
//!   and asserts that nothing of it is left;
//! - [`Api`] and [`Session`] speak HTTP to it, [`Reply`] and [`Execution`] are what comes back;
//! - [`description`] is the OpenAPI file, and [`Exchange`] holds every answer against it;
//! - [`Doctor`] runs `hearth doctor` and reads its report;
//! - [`Site`] is a small web site on loopback for pages to open and for running code to send word
//!   to a test;
//! - [`process`] reads `/proc`, [`cdp`] is a raw WebSocket client of a session's `cdpUrl`,
//!   [`Viewer`] of its live view;
//! - [`ClientHome`] is where a client of other people is at home, and [`report`] what it did there;
//! - [`document`] has tests write what documents say of them;
//! - [`netns`] is a machine of a test's own, [`plain_user`] a user without rights,
//!   [`ExternalListener`] whom nothing of a session should reach;
//! - [`eventually`] is the one place that polls.
//!
//! The harness must not know the server's crates: it sees what any client and any neighbour on the
//! machine sees.

#![expect(
    clippy::missing_panics_doc,
    reason = "a harness panics on purpose: that is how a test fails"
)]

mod api;
pub mod cdp;
mod client_home;
pub mod description;
mod doctor;
pub mod document;
mod eventually;
mod exchange;
mod execution;
mod external_listener;
mod fixture_site;
pub mod netns;
mod output;
pub mod plain_user;
pub mod process;
mod reply;
pub mod report;
mod server;
mod session;
mod site;
mod viewer;

pub use api::Api;
pub use client_home::ClientHome;
pub use doctor::{Diagnosis, Doctor, Finding};
pub use eventually::eventually;
pub use exchange::Exchange;
pub use execution::Execution;
pub use external_listener::{ANSWER, ExternalListener};
pub use reply::Reply;
pub use server::{Refusal, ServerBuilder, TestServer, binary, new_data_dir};
pub use session::Session;
pub use site::{GREETING, Site, attachment};
pub use viewer::{Picture, Viewer};

/// The two names under which everything is served.
pub const PREFIXES: [&str; 2] = ["/v2/interact", "/v2/browser"];

/// The root of the repository: where a server of the tests is started, and where the set-up puts
/// the runtime.
pub fn repository() -> std::path::PathBuf {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .expect("the package is tests/support of the repository")
        .to_owned()
}
