//! What server and shim say to each other over the control socket (the shim's descriptor 0).
//!
//! Server to shim: messages of four bytes with a length in native byte order, then so much JSON.
//! First an [`ShimCommand`]; when that says where a program will be, a [`ExecRequest`] says which one, at once or
//! much later (the program's descriptors travel with its length as `SCM_RIGHTS`). After that single
//! bytes: [`KILL`]. The end of the stream means that the server is gone, or needs the shim no more,
//! and counts as [`KILL`].
//!
//! Shim to server: events of [`EVENT_BYTES`] bytes each, a letter and a number. After the last one
//! the shim exits, and by then nothing of the tree is left.

use serde::{Deserialize, Serialize};

use crate::files::task::FileTask;
use crate::policy::private_tmp::PrivateTmp;
use crate::policy::sandbox_policy::SandboxPolicy;
use crate::supervisor::program::Exit;

/// Kill the tree.
pub(crate) const KILL: u8 = b'K';

/// Where descriptors of the shim's own start: 3 to 15 are the program's.
pub(crate) const OWN_FDS_FROM: i32 = 16;

/// The order that a shim gets.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ShimCommand {
    /// Get ready to start a program and to watch over it. A [`ExecRequest`] follows, and is answered with
    /// events.
    Prepare(Box<ExecEnvironment>),
    /// Do something and end. Answered with a [`TaskReport`](crate::files::task::TaskReport) as JSON.
    FileTask(FileTask),
}

/// Where a program will be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecEnvironment {
    pub private_tmp: Option<PrivateTmp>,
    /// The program's limit of open files; None leaves the shim's own.
    pub open_files: Option<u64>,
    pub policy: Option<SandboxPolicy>,
}

/// What to start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecRequest {
    pub program: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: String,
    /// The numbers of the descriptors that came with the order, in the same sequence.
    pub fd_numbers: Vec<i32>,
    pub deadline_ms: Option<u64>,
}

/// Bytes of one event.
pub(crate) const EVENT_BYTES: usize = 5;

/// What a shim tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The program runs under this process id.
    Started(i32),
    /// The program could not be started; an `errno`.
    NotStarted(i32),
    /// The program itself has ended. What it started may still be about to be killed.
    Ended(Exit),
}

impl Event {
    pub fn encode(self) -> [u8; EVENT_BYTES] {
        let (letter, number) = match self {
            Event::Started(pid) => (b'S', pid),
            Event::NotStarted(errno) => (b'N', errno),
            Event::Ended(Exit::Code(code)) => (b'C', code),
            Event::Ended(Exit::Signal(signal)) => (b'G', signal),
            Event::Ended(Exit::Lost) => (b'L', 0),
        };
        let [a, b, c, d] = number.to_ne_bytes();
        [letter, a, b, c, d]
    }

    /// None for what no shim says.
    pub fn decode(bytes: [u8; EVENT_BYTES]) -> Option<Event> {
        let [letter, number @ ..] = bytes;
        let number = i32::from_ne_bytes(number);
        Some(match letter {
            b'S' => Event::Started(number),
            b'N' => Event::NotStarted(number),
            b'C' => Event::Ended(Exit::Code(number)),
            b'G' => Event::Ended(Exit::Signal(number)),
            b'L' => Event::Ended(Exit::Lost),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_wire() {
        for event in [
            Event::Started(4711),
            Event::NotStarted(2),
            Event::Ended(Exit::Code(-1)),
            Event::Ended(Exit::Code(255)),
            Event::Ended(Exit::Signal(9)),
            Event::Ended(Exit::Lost),
        ] {
            assert_eq!(Event::decode(event.encode()), Some(event));
        }
        assert_eq!(Event::decode(*b"?????"), None);
    }
}
