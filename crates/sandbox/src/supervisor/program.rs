//! What to start, and how it ended.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

/// A program to be started by [`Launcher::start`](crate::Launcher::start).
#[derive(Debug)]
pub struct Program {
    /// The executable; an absolute path, no search happens.
    pub program: PathBuf,
    /// Arguments after the program's own name. Linux takes 128 KiB each at the max.
    pub args: Vec<String>,
    /// The whole environment. Nothing of the server's own is added.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Which descriptor of ours becomes which number in the program. 0, 1 and 2 are `/dev/null`
    /// when they are not listed; every other number is closed. Numbers up to 15 can be used.
    pub fds: Vec<(i32, OwnedFd)>,
    /// How long after its start the shim kills the tree by itself; none means never.
    pub deadline: Option<Duration>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
    /// Its shim ended before it could tell.
    Lost,
}

impl Exit {
    /// The exit code a POSIX shell would show: a signal is 128 plus its number; a lost program
    /// counts as killed (137).
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
            Exit::Lost => 137,
        }
    }
}
