//! Resources of the server that clients and session code try to exhaust. Each test measures the
//! server from outside while an attack runs.

mod inside;
mod keyless;
pub(crate) mod load;
pub(crate) mod watch;

/// The key of the tests' server.
const KEY: &str = "key-a";

/// The setting for the key.
const KEYS: &str = "alpha:key-a";
