//! The protocol between server and shim on the control socket, which is the shim's descriptor 0.
//!
//! The server sends messages: a length of four bytes in native byte order, then JSON of that
//! length. The first message is a [`ShimCommand`]. After [`ShimCommand::Prepare`], an
//! [`ExecRequest`] names the program, immediately or much later. Its descriptors travel with the
//! length as `SCM_RIGHTS`. After that the server sends single bytes: [`KILL`]. The end of the
//! stream counts as [`KILL`]: the server is gone, or does not need the shim.
//!
//! The shim sends events of [`EVENT_BYTES`] bytes each: a letter and a number. It exits after
//! [`Event::AllEnded`], the last one.

use std::io::{self, Read};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::files::task::FileTask;
use crate::policy::private_tmp::PrivateTmp;
use crate::policy::sandbox_policy::SandboxPolicy;
use crate::supervisor::program::Exit;

/// The request to kill the tree.
pub(crate) const KILL: u8 = b'K';

/// The lowest number of the shim's own descriptors. Numbers 3 to 15 belong to the program.
pub(crate) const OWN_FDS_FROM: i32 = 16;

/// The first message to a shim.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ShimCommand {
    /// Prepare to start a program and supervise it. An [`ExecRequest`] follows; events answer it.
    Prepare(Box<ExecEnvironment>),
    /// Perform a file task and exit. A [`TaskReply`](crate::files::task::TaskReply) answers it.
    FileTask(FileTask),
}

/// The environment that a program will run in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecEnvironment {
    pub private_tmp: Option<PrivateTmp>,
    /// The program's limit of open files. None keeps the shim's own limit.
    pub open_files: Option<u64>,
    pub policy: Option<SandboxPolicy>,
}

/// The initial capacity of the buffer for a message. Most messages fit.
const MESSAGE_CAPACITY: usize = 16 * 1024;

/// Reads the rest of a message, of which the length has arrived. The buffer grows with the message,
/// and not to the announced length.
pub(crate) fn read_message<M: DeserializeOwned>(
    from: &mut impl Read,
    length: [u8; 4],
) -> io::Result<M> {
    let length = u32::from_ne_bytes(length);
    // Without a capacity, the first reads would take 32 bytes each.
    let mut message = Vec::with_capacity(MESSAGE_CAPACITY.min(length as usize));
    from.take(length.into()).read_to_end(&mut message)?;
    if message.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&message)?)
}

/// A program to start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecRequest {
    pub program: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: String,
    /// The numbers of the descriptors that came with this request, in the same order.
    pub fd_numbers: Vec<i32>,
    pub deadline_ms: Option<u64>,
}

/// Size of an event, in bytes.
pub(crate) const EVENT_BYTES: usize = 5;

/// An event that a shim reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The program runs under this process id.
    Started(i32),
    /// The program did not start; holds an `errno`.
    NotStarted(i32),
    /// The program itself has ended. Its descendants may still be running.
    Ended(Exit),
    /// No process of the program is left. The shim is about to exit.
    AllEnded,
}

impl Event {
    pub fn encode(self) -> [u8; EVENT_BYTES] {
        let (letter, number) = match self {
            Event::Started(pid) => (b'S', pid),
            Event::NotStarted(errno) => (b'N', errno),
            Event::Ended(Exit::Code(code)) => (b'C', code),
            Event::Ended(Exit::Signal(signal)) => (b'G', signal),
            Event::Ended(Exit::Lost) => (b'L', 0),
            Event::AllEnded => (b'A', 0),
        };
        let [a, b, c, d] = number.to_ne_bytes();
        [letter, a, b, c, d]
    }

    /// Returns None for bytes that no shim sends.
    pub fn decode(bytes: [u8; EVENT_BYTES]) -> Option<Event> {
        let [letter, number @ ..] = bytes;
        let number = i32::from_ne_bytes(number);
        Some(match letter {
            b'S' => Event::Started(number),
            b'N' => Event::NotStarted(number),
            b'C' => Event::Ended(Exit::Code(number)),
            b'G' => Event::Ended(Exit::Signal(number)),
            b'L' => Event::Ended(Exit::Lost),
            b'A' => Event::AllEnded,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_round_trip() {
        for event in [
            Event::Started(4711),
            Event::NotStarted(2),
            Event::Ended(Exit::Code(-1)),
            Event::Ended(Exit::Code(255)),
            Event::Ended(Exit::Signal(9)),
            Event::Ended(Exit::Lost),
            Event::AllEnded,
        ] {
            assert_eq!(Event::decode(event.encode()), Some(event));
        }
        assert_eq!(Event::decode(*b"?????"), None);
    }
}
