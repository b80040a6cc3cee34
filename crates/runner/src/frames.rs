//! The protocol between a kernel and the server: a big-endian `u32` with the length, followed by
//! that many bytes of JSON.
//!
//! It uses separate descriptors. User code shares the kernel's process and can write to them, so
//! every message from a kernel is untrusted: lengths are limited, and a malformed message ends the
//! kernel.

use bytes::{Buf, BytesMut};
use hearth_budget::{Budget, Exhausted, Reservation};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// The minimum space for one read.
const READ_BYTES: usize = 4096;

/// A message to a kernel.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum Request<'a> {
    /// The address of the browser, to which the kernel connects. Sent once, before the first run.
    Attach {
        endpoint: &'a str,
        /// Set if the kernel also runs its code paths once, so that the first run is fast.
        warm_up: bool,
    },
    /// Code to run.
    Run {
        id: u64,
        /// The address of the browser, which may have got the session's id.
        endpoint: &'a str,
        code: &'a str,
        target: Option<&'a str>,
        limit: usize,
        /// The time until the deadline.
        left_ms: u64,
    },
}

impl Request<'_> {
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = vec![0; 4];
        serde_json::to_writer(&mut frame, self).expect("plain data is always JSON");
        let length = u32::try_from(frame.len() - 4).expect("code is limited far below 4 GiB");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        frame
    }
}

/// A message from a kernel.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum Reply {
    /// The kernel has loaded what it needs.
    Ready,
    /// The kernel is connected to the browser and has warmed up. Follows an attachment with
    /// `warm_up`.
    Connected,
    /// The cell started.
    Started { id: u64 },
    /// The cell is about to reach its deadline. Describes Playwright calls that have not ended.
    Pending { id: u64, calls: String },
    /// The cell ended.
    Done {
        id: u64,
        value: Option<String>,
        error: Option<String>,
        /// The exit code of code that did not throw.
        #[serde(default)]
        exit: u8,
        truncated: bool,
        /// Set when the cell asked the process to exit, which it does next.
        #[serde(default)]
        leaving: bool,
    },
    /// The cell was not started.
    Failed { id: u64, message: String },
}

/// An error after which no message can be read from a kernel.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    #[error("the kernel closed its control channel")]
    Closed,
    #[error("the kernel sent a message that is too long ({0} bytes)")]
    TooLong(usize),
    #[error("the kernel sent a malformed message")]
    Malformed,
    #[error("the kernel's message does not fit: {0}")]
    Exhausted(#[from] Exhausted),
}

/// A reader of replies.
pub(crate) struct ReplyReader {
    pipe: pipe::Receiver,
    buffer: BytesMut,
    /// Counts the bytes of `buffer`, and of the last message until [`ReplyReader::take_reserved`]
    /// or [`ReplyReader::next`].
    reserved: Reservation,
    /// The size of the last message, if it still counts.
    last_bytes: usize,
    /// Maximum length of a message.
    pub limit_bytes: usize,
}

impl ReplyReader {
    pub fn new(pipe: pipe::Receiver, budget: &Budget) -> ReplyReader {
        ReplyReader {
            pipe,
            buffer: BytesMut::with_capacity(READ_BYTES),
            reserved: budget.empty(),
            last_bytes: 0,
            limit_bytes: 64 * 1024,
        }
    }

    /// Returns the reservation for the last reply.
    pub fn take_reserved(&mut self) -> Reservation {
        let reserved = self.reserved.take();
        self.last_bytes = 0;
        // A message that follows the reply is a mistake of the kernel, and short.
        self.buffer = BytesMut::from(&self.buffer[..]);
        reserved
    }

    /// Releases the memory and the reservation of the last message, which the caller has dropped.
    fn release_last(&mut self) {
        let bytes = std::mem::take(&mut self.last_bytes);
        if bytes > 0 {
            self.reserved.shrink_to(self.buffer.len());
        }
        // The buffer still owns the memory of the message. A copy that is larger than the message
        // would make many short messages expensive.
        if bytes > self.buffer.len() {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }

    /// Returns the next reply. Cancel safe, because the buffer keeps partial messages.
    pub async fn next(&mut self) -> Result<Reply, FrameError> {
        self.release_last();
        loop {
            let before = self.buffer.len();
            if let Some(reply) = take_reply(&mut self.buffer, self.limit_bytes)? {
                self.last_bytes = before - self.buffer.len();
                return Ok(reply);
            }
            // The buffer grows as data arrives, and not to the length that a message announces.
            self.buffer.reserve(READ_BYTES);
            match self.pipe.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(FrameError::Closed),
                Ok(length) => self.reserved.grow(length)?,
            }
        }
    }
}

fn take_reply(buffer: &mut BytesMut, limit_bytes: usize) -> Result<Option<Reply>, FrameError> {
    let Some(&prefix) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(prefix) as usize;
    if length > limit_bytes {
        return Err(FrameError::TooLong(length));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    buffer.advance(4);
    let message = buffer.split_to(length);
    serde_json::from_slice(&message)
        .map(Some)
        .map_err(|_| FrameError::Malformed)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;

    use super::*;

    fn frame(json: &str) -> Vec<u8> {
        let length = u32::try_from(json.len()).expect("short");
        [&length.to_be_bytes()[..], json.as_bytes()].concat()
    }

    #[test]
    fn replies_are_complete_however_their_bytes_arrive() {
        let bytes = [
            frame(r#"{"op":"ready"}"#),
            frame(r#"{"op":"failed","id":3,"message":"no"}"#),
        ]
        .concat();
        let mut buffer = BytesMut::new();
        let mut replies = Vec::new();
        for byte in bytes {
            buffer.extend_from_slice(&[byte]);
            replies.extend(take_reply(&mut buffer, 1000).expect("well formed"));
        }
        assert_eq!(
            replies,
            [
                Reply::Ready,
                Reply::Failed {
                    id: 3,
                    message: "no".into()
                }
            ]
        );
    }

    #[test]
    fn long_and_malformed_messages_are_rejected() {
        let mut long = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        assert!(matches!(
            take_reply(&mut long, 1000),
            Err(FrameError::TooLong(_))
        ));
        let mut malformed = BytesMut::from(&frame(r#"{"op":"dance"}"#)[..]);
        assert!(matches!(
            take_reply(&mut malformed, 1000),
            Err(FrameError::Malformed)
        ));
    }

    #[tokio::test]
    async fn replies_that_are_dropped_do_not_count() {
        let (ours, mut theirs) = std::io::pipe().expect("a pipe");
        let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(ours)).expect("a reading end");
        let budget = Budget::new("this test", 100);
        let mut reader = ReplyReader::new(pipe, &budget);
        for _ in 0..50 {
            theirs
                .write_all(&frame(r#"{"op":"started","id":9}"#))
                .expect("written");
            let reply = reader.next().await.expect("it fits");
            assert_eq!(reply, Reply::Started { id: 9 });
        }
        theirs
            .write_all(&frame(r#"{"op":"ready"}"#))
            .expect("written");
        reader.next().await.expect("it fits");
        assert_eq!(reader.take_reserved().bytes(), 18);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_run_request_starts_with_its_length() {
        let frame = Request::Run {
            id: 1,
            endpoint: "ws://e",
            code: "1",
            target: None,
            limit: 5,
            left_ms: 900,
        }
        .encode();
        let json = r#"{"op":"run","id":1,"endpoint":"ws://e","code":"1","target":null,"limit":5,"left_ms":900}"#;
        assert_eq!(frame, self::frame(json));
    }
}
