//! Settings and keys that change while the server runs.

mod command;
mod keys;
mod settings_file;
mod terminal;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use hearth_test_support::{TestServer, eventually};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// The time limit for a change that the server notices without a signal.
const NOTICED: Duration = Duration::from_secs(30);

/// A file that only its owner can read, in a dir that only its owner can enter.
struct SecretFile {
    dir: TempDir,
}

impl SecretFile {
    fn new(text: &str) -> SecretFile {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = SecretFile { dir };
        file.write(text);
        file
    }

    fn path(&self) -> String {
        self.at("secret").display().to_string()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes the content of the file.
    fn write(&self, text: &str) {
        Self::write_to(&self.at("secret"), text);
    }

    /// Replaces the file with another one, as editors do.
    fn replace(&self, text: &str) {
        let new = self.at("new");
        Self::write_to(&new, text);
        std::fs::rename(new, self.at("secret")).expect("renamed");
    }

    fn write_to(path: &PathBuf, text: &str) {
        std::fs::write(path, text).expect("written");
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).expect("changed");
    }
}

/// Counts the log lines of an event.
fn count(server: &TestServer, event: &str) -> usize {
    server.output().matches(event).count()
}

/// Waits until the log has `number` lines of an event.
async fn logged(server: &TestServer, event: &str, number: usize) {
    eventually(NOTICED, event, async || {
        if count(server, event) >= number {
            Ok(())
        } else {
            Err(server.output())
        }
    })
    .await;
}

/// Sends SIGHUP and waits until the log has one more line of an event.
pub async fn hang_up(server: &TestServer, event: &str) {
    let before = count(server, event);
    server.signal(Signal::SIGHUP);
    logged(server, event, before + 1).await;
}
