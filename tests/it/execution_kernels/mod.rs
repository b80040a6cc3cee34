//! The contract that node and python code share. Each test is one table with rows of both
//! languages. Tests for only one language are in `execution_node` and `execution_python`.

mod calls;
mod entry_points;
mod exits;
mod failures;
mod language_hints;
mod launches;
mod scripts;
mod signals;
mod timeouts;
mod values;

use hearth_test_support::{Session, TestServer};

/// Starts a server with a session for each language: `[("node", session), ("python", session)]`.
async fn start() -> (TestServer, [(&'static str, Session); 2]) {
    let server = TestServer::start().await;
    let sessions = [
        ("node", server.session().await),
        ("python", server.session().await),
    ];
    (server, sessions)
}
