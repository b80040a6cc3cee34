//! The two output pipes of a program.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::read;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::capture::Capture;

/// Bytes of one read: what a pipe holds by default (`pipe(7)`).
const CHUNK_BYTES: usize = 64 * 1024;

/// How much is read without waiting after the end: more than a pipe can hold, so everything that
/// was written before the end is there, and a program that goes on writing cannot hold us.
const DRAIN_BYTES: usize = 1024 * 1024 + CHUNK_BYTES;

/// Our ends of a program's stdout and stderr.
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

/// The program's ends.
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

    /// Starts to keep `limit_bytes` of each stream; what is in the pipes by now is dropped.
    pub fn begin(&mut self, limit_bytes: usize) {
        for stream in [&mut self.stdout, &mut self.stderr] {
            stream.capture = Capture::new(0);
            stream.drain();
            stream.capture = Capture::new(limit_bytes);
        }
    }

    /// Reads once from whichever stream has something. Never returns when both are at their end.
    /// Cancel safe.
    pub async fn read(&mut self) {
        let Output { stdout, stderr } = self;
        tokio::select! {
            () = stdout.read(), if stdout.open => {}
            () = stderr.read(), if stderr.open => {}
            else => std::future::pending().await,
        }
    }

    /// Takes what is in the pipes now and ends the capture: stdout, stderr, and how many bytes are
    /// missing.
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

    /// Takes what is in the pipe at this moment. The system is asked directly: the runtime's own
    /// idea of what can be read lags behind, and what was written just before the end would be
    /// lost.
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
