//! Options of a new session: blocked hosts, location and data retention.

mod ads;
mod concurrency;
mod location;
mod retention;

use std::fs;

use tempfile::TempDir;

/// Returns a directory with a file `hosts` that has this content.
fn hosts_file(text: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("hosts"), text).expect("written");
    dir
}
