//! A program to start, and its exit.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

/// A program to start with [`Launcher::start`](crate::Launcher::start).
#[derive(Debug)]
pub struct Program {
    /// The absolute path of the executable. `PATH` is not searched.
    pub program: PathBuf,
    /// The arguments after the program's own name. Linux limits each to 128 KiB.
    pub args: Vec<String>,
    /// The complete environment. The program inherits no variables of the server.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The program's descriptors: a number of up to 15, and the descriptor to put there. Numbers 0,
    /// 1 and 2 are `/dev/null` if not listed; every other number is closed.
    pub fds: Vec<(i32, OwnedFd)>,
    /// Time after the start at which the shim kills the tree. None means never.
    pub deadline: Option<Duration>,
}

/// The exit of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Its shim ended before it reported the exit.
    Lost,
}

impl Exit {
    /// Returns the exit code that a POSIX shell would report: 128 plus the number of a signal. A
    /// lost program counts as killed (137).
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
            Exit::Lost => 137,
        }
    }

    /// Returns the name of the signal that ended the program, such as `SIGKILL`.
    pub fn signal(self) -> Option<String> {
        let Exit::Signal(number) = self else {
            return None;
        };
        let known = Signal::try_from(number).map(|signal| signal.as_str().to_owned());
        Some(known.unwrap_or_else(|_| format!("signal {number}")))
    }
}
