//! Reads the two output pipes of a program.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::read;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::capture::Capture;

/// Bytes per read, which is the default capacity of a pipe (`pipe(7)`).
const CHUNK_BYTES: usize = 64 * 1024;

/// Maximum number of bytes that are read without waiting after the end.
///
/// It exceeds the capacity of a pipe, so all output from before the end is read. A program that
/// keeps writing cannot delay the server.
const DRAIN_BYTES: usize = 1024 * 1024 + CHUNK_BYTES;

/// The server's ends of a program's stdout and stderr.
pub(crate) struct Output {
    stdout: Stream,
    stderr: Stream,
}

struct Stream {
    pipe: pipe::Receiver,
    buffer: Vec<u8>,
    open: bool,
    capture: Capture,
}

/// The program's ends of its stdout and stderr.
pub(crate) struct OutputEnds {
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

impl Output {
    pub fn new() -> io::Result<(Output, OutputEnds)> {
        let (stdout, stdout_end) = Stream::new()?;
        let (stderr, stderr_end) = Stream::new()?;
        Ok((
            Output { stdout, stderr },
            OutputEnds {
                stdout: stdout_end,
                stderr: stderr_end,
            },
        ))
    }

    /// Starts to capture up to `limit_bytes` of each stream. Drops the current content of the
    /// pipes.
    pub fn begin(&mut self, limit_bytes: usize) {
        for stream in [&mut self.stdout, &mut self.stderr] {
            stream.capture = Capture::new(0);
            stream.drain();
            stream.capture = Capture::new(limit_bytes);
        }
    }

    /// Reads once from a stream that has data. Never returns if both streams have ended. Cancel
    /// safe.
    pub async fn read(&mut self) {
        let Output { stdout, stderr } = self;
        tokio::select! {
            () = stdout.read(), if stdout.open => {}
            () = stderr.read(), if stderr.open => {}
            else => std::future::pending().await,
        }
    }

    /// Reads the current content of the pipes and ends the capture. Returns stdout, stderr, and the
    /// number of dropped bytes.
    pub fn finish(&mut self) -> (String, String, usize) {
        let (stdout, stdout_dropped) = self.stdout.finish();
        let (stderr, stderr_dropped) = self.stderr.finish();
        (stdout, stderr, stdout_dropped + stderr_dropped)
    }
}

impl Stream {
    fn new() -> io::Result<(Stream, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let stream = Stream {
            pipe,
            buffer: vec![0; CHUNK_BYTES],
            open: true,
            capture: Capture::new(0),
        };
        Ok((stream, OwnedFd::from(writer)))
    }

    async fn read(&mut self) {
        match self.pipe.read(&mut self.buffer).await {
            Ok(0) | Err(_) => self.open = false,
            Ok(length) => self.capture.push(&self.buffer[..length]),
        }
    }

    /// Reads the current content of the pipe with `read(2)`, bypassing tokio. Its readiness state
    /// may lag behind, and output written just before the end would be lost.
    fn drain(&mut self) {
        let mut left = DRAIN_BYTES;
        while left > 0 {
            match read(&self.pipe, &mut self.buffer) {
                Ok(0) => {
                    self.open = false;
                    return;
                }
                Ok(length) => {
                    self.capture.push(&self.buffer[..length]);
                    left = left.saturating_sub(length);
                }
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn finish(&mut self) -> (String, usize) {
        self.drain();
        std::mem::replace(&mut self.capture, Capture::new(0)).finish()
    }
}
