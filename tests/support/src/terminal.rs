//! A pseudo-terminal for a server.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Opens a pseudo-terminal (`pty(7)`), prints its path and holds it until it is killed.
const HOLDER: &str = "import os, signal; master, slave = os.openpty(); \
                      print(os.ttyname(slave), flush=True); signal.pause()";

/// A terminal, which another process holds. Dropping it hangs up.
#[derive(Debug)]
pub struct Terminal {
    path: PathBuf,
    holder: Child,
}

impl Terminal {
    /// Opens a new terminal.
    pub fn open() -> Self {
        let mut holder = Command::new("/usr/bin/python3")
            .args(["-c", HOLDER])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is installed");
        let mut path = String::new();
        let stdout = holder.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut path)
            .expect("it prints its path");
        Self {
            path: path.trim_end().into(),
            holder,
        }
    }

    /// Opens the terminal for a program, without making it the terminal of this process.
    pub(crate) fn file(&self) -> File {
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NOCTTY)
            .open(&self.path);
        file.expect("the holder runs")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have been killed by others.
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
