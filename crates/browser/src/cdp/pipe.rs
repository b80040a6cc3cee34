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

/// How much of an oversized frame is kept, to find the call that it answers.
pub(crate) const BEGINNING_BYTES: usize = 64;

/// The capacity above which a read buffer is released after a large message.
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
        while let Some(length) = find_nul(&buffer[searched..]).map(|at| searched + at) {
            if !std::mem::take(&mut discards) {
                match std::str::from_utf8(&buffer[..length]) {
                    Ok(frame) => take(Frame::Whole(frame)),
                    Err(_) => return ReadEnd::InvalidMessage("a message that is not UTF-8"),
                }
            }
            buffer.advance(length + 1);
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
        if buffer.is_empty() && buffer.capacity() > KEPT_BUFFER_BYTES {
            buffer = BytesMut::with_capacity(READ_BYTES);
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
mod tests {
    use std::io::{Read, Write};
    use std::sync::Arc;

    use nix::fcntl::FdFlag;

    use super::*;

    fn budget() -> Budget {
        Budget::new("this test", 100 << 20)
    }

    fn text(frame: Frame<'_>) -> String {
        match frame {
            Frame::Whole(text) => text.to_owned(),
            Frame::Oversized(beginning) => {
                format!("oversized: {}", String::from_utf8_lossy(beginning))
            }
        }
    }

    fn reading_end() -> (pipe::Receiver, io::PipeWriter) {
        let (server_end, browser_end) = io::pipe().expect("a pipe");
        (
            pipe::Receiver::from_owned_fd(OwnedFd::from(server_end)).expect("a reading end"),
            browser_end,
        )
    }

    fn writing_end() -> (PipeWriter, io::PipeReader) {
        let (browser_end, server_end) = io::pipe().expect("a pipe");
        (
            PipeWriter::new(
                pipe::Sender::from_owned_fd(OwnedFd::from(server_end)).expect("a writing end"),
                &budget(),
            ),
            browser_end,
        )
    }

    /// Rule P5.
    #[tokio::test]
    async fn server_ends_close_on_exec_and_are_large() {
        let pipes = open().expect("pipes");
        for end in [pipes.to_browser.as_fd(), pipes.from_browser.as_fd()] {
            let flags = fcntl(end, FcntlArg::F_GETFD).expect("flags");
            assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
            assert_eq!(fcntl(end, FcntlArg::F_GETPIPE_SZ), Ok(PIPE_BYTES));
        }
    }

    async fn frames_of(written: &'static [u8]) -> (Vec<String>, ReadEnd) {
        let (server_end, mut browser_end) = reading_end();
        let writing = std::thread::spawn(move || browser_end.write_all(written));
        let mut frames = Vec::new();
        let end = read_frames(server_end, &budget(), |frame| frames.push(text(frame))).await;
        writing.join().expect("no panic").expect("written");
        (frames, end)
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order() {
        let (frames, end) = frames_of(b"one\0two\0\0three\0unfinished").await;
        assert_eq!(frames, ["one", "two", "", "three"]);
        assert!(matches!(end, ReadEnd::Closed));
    }

    #[tokio::test]
    async fn frames_larger_than_the_pipe_arrive_whole() {
        let (server_end, mut browser_end) = reading_end();
        let writing = std::thread::spawn(move || {
            let mut frame = vec![b'x'; 3_000_000];
            frame.push(0);
            browser_end.write_all(&frame)
        });
        let mut lengths = Vec::new();
        read_frames(server_end, &budget(), |frame| {
            lengths.push(text(frame).len());
        })
        .await;
        writing.join().expect("no panic").expect("written");
        assert_eq!(lengths, [3_000_000]);
    }

    #[tokio::test]
    async fn invalid_utf8_ends_reading() {
        let (frames, end) = frames_of(b"ok\0\xff\xfe\0later\0").await;
        assert_eq!(frames, ["ok"]);
        assert!(matches!(end, ReadEnd::InvalidMessage(_)));
    }

    #[tokio::test]
    async fn queued_frames_are_written_in_order() {
        let (writer, mut browser_end) = writing_end();
        let writer = Arc::new(writer);
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            browser_end.read_to_end(&mut all).map(|_| all)
        });
        let expected = {
            let mut expected = Vec::new();
            for number in 0..20_u8 {
                let mut frame = vec![b'a' + number; 100_000];
                frame.push(0);
                expected.extend_from_slice(&frame);
                writer.push(frame).expect("taken");
            }
            expected
        };
        let all_written = async {
            while writer.lock().bytes > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            end = writer.drain() => panic!("the drain ended: {end:?}"),
            () = all_written => {}
        }
        drop(writer);
        assert!(
            reading.join().expect("no panic").expect("read") == expected,
            "bytes were lost or moved"
        );
    }

    /// Rule P3.
    #[tokio::test]
    async fn frames_beyond_the_budget_are_rejected() {
        let (writer, _theirs) = writing_end();
        let mut large = vec![b'x'; 90 << 20];
        large.push(0);
        assert_eq!(writer.push(large.clone()), Ok(()));
        assert_eq!(writer.push(large), Err(PushError::Full));
        assert_eq!(writer.push(b"small\0".to_vec()), Ok(()));
    }

    #[tokio::test]
    async fn a_frame_beyond_the_budget_is_skipped() {
        let (server_end, mut browser_end) = reading_end();
        let writing = std::thread::spawn(move || {
            browser_end.write_all(b"first\0{\"id\":7,\"result\":\"")?;
            browser_end.write_all(&vec![b'x'; 1_000_000])?;
            browser_end.write_all(b"\"}\0last\0")
        });
        let budget = Budget::new("this test", 200_000);
        let mut frames = Vec::new();
        read_frames(server_end, &budget, |frame| frames.push(text(frame))).await;
        writing.join().expect("no panic").expect("written");
        assert_eq!(frames.len(), 3, "{frames:?}");
        assert!(frames[1].starts_with("oversized: {\"id\":7,"), "{frames:?}");
        assert_eq!((frames[0].as_str(), frames[2].as_str()), ("first", "last"));
        assert_eq!(budget.used(), 0);
    }

    /// Rule P3.
    #[tokio::test]
    async fn writable_returns_after_the_browser_has_read() {
        let (writer, mut browser_end) = writing_end();
        writer.writable().await;
        let mut large = vec![b'x'; BACKPRESSURE_BYTES + 1];
        large.push(0);
        writer.push(large).expect("taken");
        writer.push(b"own\0".to_vec()).expect("the frame is queued");
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            browser_end.read_to_end(&mut all).map(|_| all.len())
        });
        tokio::select! {
            end = writer.drain() => panic!("the drain ended: {end:?}"),
            () = writer.writable() => {}
        }
        assert!(writer.lock().bytes <= BACKPRESSURE_BYTES);
        drop(writer);
        assert!(reading.join().expect("no panic").expect("read") > BACKPRESSURE_BYTES);
    }

    /// Rule P3.
    #[tokio::test]
    async fn closed_pipe_always_has_room() {
        let (writer, _theirs) = writing_end();
        let mut large = vec![b'x'; BACKPRESSURE_BYTES + 1];
        large.push(0);
        writer.push(large).expect("taken");
        let closing = async { writer.close() };
        tokio::join!(writer.writable(), closing);
    }

    /// Rule P2.
    #[tokio::test(start_paused = true)]
    async fn browser_that_reads_nothing_is_stuck() {
        let (writer, _theirs) = writing_end();
        let mut large = vec![b'x'; 2_000_000];
        large.push(0);
        writer.push(large).expect("taken");
        assert!(writer.drain().await.is_err());
    }

    #[tokio::test]
    async fn closed_pipe_rejects_frames() {
        let (writer, browser_end) = writing_end();
        drop(browser_end);
        // The first write may be queued until the runtime has registered the pipe.
        let _ = writer.push(b"x\0".to_vec());
        let _ = tokio::time::timeout(Duration::from_secs(5), writer.drain())
            .await
            .expect("it ends");
        assert_eq!(writer.push(b"y\0".to_vec()), Err(PushError::Closed));
    }
}
