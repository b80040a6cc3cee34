//! A folder of a client's own, in which it is at home, and the end of everything that it starts
//! there.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::eventually::eventually;
use crate::process::{self, Process};

/// A client's own folder: its working folder, its `HOME` and its `TMPDIR`. What runs in it ends
/// with it, also when a test fails and drops its clients half-way.
#[derive(Debug)]
pub struct ClientHome(TempDir);

impl Default for ClientHome {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("the machine has a folder for temporary files"))
    }
}

impl ClientHome {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// How to start a program in it, with an environment that has nothing of the test's.
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

    /// What runs in it.
    pub fn programs(&self) -> Vec<Process> {
        process::belonging(-1, &self.path().to_string_lossy())
    }

    /// Kills what runs in it.
    pub fn end_programs(&self) {
        for program in self.programs() {
            program.signal(Signal::SIGKILL);
        }
    }

    /// Asserts that within 5 s nothing runs in it any more.
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
