//! The options of a new session: blocked hosts, the place where it appears to be, and what is kept
//! of it.

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
