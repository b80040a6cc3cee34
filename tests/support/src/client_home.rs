//! A private dir for a client, and the cleanup of every process that starts there.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::eventually::eventually;
use crate::process::{self, Process};

/// A client's private dir, which is its working dir, its `HOME` and its `TMPDIR`. Dropping it kills
/// the processes in it, so a failing test leaves none behind.
#[derive(Debug)]
pub struct ClientHome(TempDir);

impl Default for ClientHome {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("a temporary dir can be created"))
    }
}

impl ClientHome {
    /// Returns the path of the dir.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Builds a command that runs in this dir, with none of the test's environment.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(["HOME", "TMPDIR"].map(|name| (name, self.path())))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Lists the processes that run in this dir.
    pub fn programs(&self) -> Vec<Process> {
        process::belonging(-1, &self.path().to_string_lossy())
    }

    /// Kills the processes that run in this dir.
    pub fn end_programs(&self) {
        for program in self.programs() {
            program.signal(Signal::SIGKILL);
        }
    }

    /// Asserts that no process runs in this dir after at most 5 s.
    pub async fn assert_nothing_runs(&self) {
        eventually(
            Duration::from_secs(5),
            "the client leaves no process",
            || async {
                let left = self.programs();
                if left.is_empty() {
                    Ok(())
                } else {
                    Err(process::describe(&left))
                }
            },
        )
        .await;
    }
}

impl Drop for ClientHome {
    fn drop(&mut self) {
        self.end_programs();
    }
}
