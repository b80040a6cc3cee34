//! The two pipes of `--remote-debugging-pipe`. Frames end with a NUL byte; their content does not
//! matter here.
//!
//! Two properties of Chromium shape this file. Chromium stops reading for good, without exiting,
//! when one message reaches 100 MB, so a pipe that does not drain means that the browser is stuck.
//! And Chromium blocks while its output is not read, so the reader never waits for a client.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use hearth_budget::{Budget, Reservation};
use nix::fcntl::{FcntlArg, fcntl};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::Notify;

/// The largest pipe that an unprivileged process gets by default (`/proc/sys/fs/pipe-max-size`).
const PIPE_BYTES: i32 = 1024 * 1024;

/// The number of queued bytes above which clients wait before they send more.
const BACKPRESSURE_BYTES: usize = 64 * 1024 * 1024;

/// The time after which a browser that reads nothing while bytes are queued counts as stuck. It
/// will not read again.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The size of the kept beginning of an oversized frame, which shows the call that it answers.
pub(crate) const BEGINNING_BYTES: usize = 64;

/// The size of messages above which their buffer is released.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// The minimum space for one read.
const READ_BYTES: usize = 64 * 1024;

/// The server's ends of the two pipes, and Chromium's.
pub(crate) struct Pipes {
    pub(crate) to_browser: pipe::Sender,
    pub(crate) from_browser: pipe::Receiver,
    /// Chromium's descriptor 3.
    pub(crate) browser_reads: OwnedFd,
    /// Chromium's descriptor 4.
    pub(crate) browser_writes: OwnedFd,
}

/// Creates both pipes. All four ends close on exec; Chromium's ends are passed by descriptor
/// number.
pub(crate) fn open() -> io::Result<Pipes> {
    let (browser_reads, server_writes) = io::pipe()?;
    let (server_reads, browser_writes) = io::pipe()?;
    for end in [server_writes.as_fd(), server_reads.as_fd()] {
        // This fails if the user already has many pipes. The pipes are then only slower.
        let _ = fcntl(end, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    }
    Ok(Pipes {
        to_browser: pipe::Sender::from_owned_fd(OwnedFd::from(server_writes))?,
        from_browser: pipe::Receiver::from_owned_fd(OwnedFd::from(server_reads))?,
        browser_reads: OwnedFd::from(browser_reads),
        browser_writes: OwnedFd::from(browser_writes),
    })
}

/// The reason why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    /// The frame does not fit into the session's budget.
    Full,
    /// The browser or the server has closed its end.
    Closed,
}

/// The writing end to the browser. Every sender holds it; [`drain`](PipeWriter::drain) runs in one
/// task.
pub(crate) struct PipeWriter {
    sender: pipe::Sender,
    waiting: Mutex<Waiting>,
    /// Notified when bytes are left for [`drain`](PipeWriter::drain).
    left: Notify,
    /// Notified when there is room again.
    drained: Notify,
}

struct Waiting {
    frames: VecDeque<Vec<u8>>,
    /// The bytes of the first frame that are written.
    written: usize,
    /// The size of all `frames`, including the written part.
    bytes: usize,
    /// Counts `bytes` in the session's budget.
    reserved: Reservation,
    closed: bool,
}

impl PipeWriter {
    /// Creates the writing end. Queued frames count in `budget`.
    pub(crate) fn new(sender: pipe::Sender, budget: &Budget) -> PipeWriter {
        PipeWriter {
            sender,
            waiting: Mutex::new(Waiting {
                frames: VecDeque::new(),
                written: 0,
                bytes: 0,
                reserved: budget.empty(),
                closed: false,
            }),
            left: Notify::new(),
            drained: Notify::new(),
        }
    }

    /// Sends one frame, with its final NUL. Never waits: queues what the pipe does not take at
    /// once.
    pub(crate) fn push(&self, frame: Vec<u8>) -> Result<(), PushError> {
        debug_assert_eq!(frame.last(), Some(&0), "a frame ends with a NUL");
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(PushError::Closed);
        }
        waiting
            .reserved
            .grow(frame.len())
            .map_err(|_| PushError::Full)?;
        let was_empty = waiting.frames.is_empty();
        waiting.bytes += frame.len();
        waiting.frames.push_back(frame);
        // The usual case: the pipe has room, and no task needs to be woken.
        if was_empty && self.write_once(&mut waiting).is_err() {
            waiting.close();
            return Err(PushError::Closed);
        }
        if was_empty && !waiting.frames.is_empty() {
            self.left.notify_one();
        }
        Ok(())
    }

    /// Waits until the browser has read most of the queued bytes. Returns at once if the pipe is
    /// closed.
    pub(crate) async fn writable(&self) {
        loop {
            let drained = self.drained.notified();
            if self.lock().bytes <= BACKPRESSURE_BYTES {
                return;
            }
            drained.await;
        }
    }

    /// Drops the queue and rejects further frames.
    pub(crate) fn close(&self) {
        self.lock().close();
        self.left.notify_one();
        self.drained.notify_waiters();
    }

    /// Writes the frames that [`push`](PipeWriter::push) queued. Returns `Ok` when the pipe is
    /// closed, or an error when it stops draining.
    pub(crate) async fn drain(&self) -> Result<(), Stuck> {
        loop {
            self.left.notified().await;
            loop {
                {
                    let waiting = self.lock();
                    if waiting.closed {
                        return Ok(());
                    }
                    if waiting.frames.is_empty() {
                        break;
                    }
                }
                let writable = tokio::time::timeout(STUCK_AFTER, self.sender.writable())
                    .await
                    .map_err(|_| Stuck)?;
                let mut waiting = self.lock();
                if writable
                    .and_then(|()| self.write_once(&mut waiting))
                    .is_err()
                {
                    waiting.close();
                    self.drained.notify_waiters();
                    return Ok(());
                }
            }
        }
    }

    /// Writes the rest of the first frame once.
    fn write_once(&self, waiting: &mut Waiting) -> io::Result<()> {
        let Some(frame) = waiting.frames.front() else {
            return Ok(());
        };
        match self.sender.try_write(&frame[waiting.written..]) {
            Ok(count) => waiting.written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        if waiting.written == frame.len() {
            let was_full = waiting.bytes > BACKPRESSURE_BYTES;
            waiting.bytes -= frame.len();
            let left = waiting.bytes;
            waiting.reserved.shrink_to(left);
            waiting.written = 0;
            waiting.frames.pop_front();
            if was_full && waiting.bytes <= BACKPRESSURE_BYTES {
                self.drained.notify_waiters();
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn close(&mut self) {
        self.frames = VecDeque::new();
        self.written = 0;
        self.bytes = 0;
        self.reserved.shrink_to(0);
        self.closed = true;
    }
}

/// The error of a browser that has stopped reading.
#[derive(Debug)]
pub(crate) struct Stuck;

/// The reason why reading from the browser ended.
#[derive(Debug)]
pub(crate) enum ReadEnd {
    /// The browser closed its end: it is exiting or gone.
    Closed,
    /// The browser sent bytes that cannot be a protocol message.
    InvalidMessage(&'static str),
}

/// A frame of the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Whole(&'a str),
    /// A frame that does not fit into the session's budget. Its beginning, up to
    /// [`BEGINNING_BYTES`].
    Oversized(&'a [u8]),
}

/// Reads frames and passes each to `take`, in order and without its NUL, until the pipe ends. The
/// frame that is not complete counts in `budget`.
pub(crate) async fn read_frames(
    mut from: pipe::Receiver,
    budget: &Budget,
    mut take: impl FnMut(Frame<'_>),
) -> ReadEnd {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let mut reserved = budget.empty();
    // The number of leading bytes known to contain no NUL, so that a large message is searched only
    // once.
    let mut searched = 0;
    // True while the rest of an oversized frame is discarded.
    let mut discards = false;
    loop {
        buffer.reserve(READ_BYTES);
        match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return ReadEnd::Closed,
            Ok(_) => {}
        }
        let mut taken = 0;
        while let Some(length) = find_nul(&buffer[searched..]).map(|at| searched + at) {
            if !std::mem::take(&mut discards) {
                match std::str::from_utf8(&buffer[..length]) {
                    Ok(frame) => take(Frame::Whole(frame)),
                    Err(_) => return ReadEnd::InvalidMessage("a message that is not UTF-8"),
                }
            }
            buffer.advance(length + 1);
            taken += length + 1;
            searched = 0;
        }
        let counted = usize::try_from(reserved.bytes()).unwrap_or(usize::MAX);
        let fits = buffer.len() <= counted || reserved.grow(buffer.len() - counted).is_ok();
        if !fits && !std::mem::replace(&mut discards, true) {
            take(Frame::Oversized(
                &buffer[..buffer.len().min(BEGINNING_BYTES)],
            ));
        }
        if discards {
            buffer.clear();
        }
        searched = buffer.len();
        reserved.shrink_to(searched);
        // The buffer still owns the memory of what was taken or discarded.
        if taken > KEPT_BUFFER_BYTES || buffer.capacity() > KEPT_BUFFER_BYTES.max(4 * searched) {
            buffer = BytesMut::from(&buffer[..]);
        }
    }
}

/// Finds the first NUL with the standard library's vectorized search.
fn find_nul(bytes: &[u8]) -> Option<usize> {
    CStr::from_bytes_until_nul(bytes)
        .ok()
        .map(CStr::count_bytes)
}

#[cfg(test)]
mod tests;
