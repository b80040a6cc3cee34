//! Reads the two output pipes of a program.

use std::io;
use std::os::fd::OwnedFd;

use hearth_budget::{Budget, Reservation};
use nix::errno::Errno;
use nix::unistd::read;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::capture::{Capture, CapturedText};
use crate::live::{LiveOutput, OutputStream};

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
    /// Bytes that are missing from output before the capture.
    dropped_earlier_bytes: usize,
}

struct Stream {
    pipe: pipe::Receiver,
    buffer: Vec<u8>,
    open: bool,
    /// Output is discarded while there is none.
    capture: Option<Capture>,
}

/// The output of a run.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub stdout: String,
    pub stderr: String,
    /// The number of bytes that the program wrote to stdout and to stderr.
    pub written_bytes: [usize; 2],
    pub dropped_bytes: usize,
    /// The sizes of the parts of stdout and stderr that a reader of live output has taken.
    pub taken_bytes: [usize; 2],
    pub reserved: Vec<Reservation>,
}

impl Captured {
    pub fn is_empty(&self) -> bool {
        self.stdout.is_empty() && self.stderr.is_empty()
    }
}

/// The output of a kernel after its last run, and before it exited. The next run of that language
/// gets it, in another kernel.
#[derive(Debug, Default)]
pub struct LastOutput {
    pub(crate) captured: Captured,
    /// Set if the kernel had run code, whose variables are lost.
    pub(crate) had_run: bool,
    /// Set if a line in `captured` already tells what it is.
    pub(crate) is_marked: bool,
    /// Set if the response to the last run tells that the process exits.
    pub(crate) is_expected: bool,
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
            Output {
                stdout,
                stderr,
                dropped_earlier_bytes: 0,
            },
            OutputEnds {
                stdout: stdout_end,
                stderr: stderr_end,
            },
        ))
    }

    /// Starts to capture up to `limit_bytes` of each stream. A reader can take it from `live`.
    pub fn begin(&mut self, limit_bytes: usize, budget: &Budget, live: Option<&LiveOutput>) {
        let streams = [
            (OutputStream::Stdout, &mut self.stdout),
            (OutputStream::Stderr, &mut self.stderr),
        ];
        for (name, stream) in streams {
            let head = live.map(|live| live.head(name));
            stream.capture = Some(Capture::new(limit_bytes, budget.empty(), head));
        }
    }

    /// Puts output from before the capture in front of it, with a line on stderr that tells what it
    /// is.
    pub fn prepend(&mut self, earlier: &Captured) {
        if earlier.is_empty() {
            return;
        }
        let [stdout, stderr] = earlier.written_bytes;
        let note = format!(
            "[written between calls: {stdout} bytes to stdout, {stderr} bytes to stderr]\n"
        );
        self.stderr.push(note.as_bytes());
        self.prepend_unmarked(earlier);
    }

    fn prepend_unmarked(&mut self, earlier: &Captured) {
        self.stdout.push(earlier.stdout.as_bytes());
        self.stderr.push(earlier.stderr.as_bytes());
        self.dropped_earlier_bytes += earlier.dropped_bytes;
    }

    /// Does the same with the output of a kernel of `language` that has exited.
    pub fn prepend_last(&mut self, last: &LastOutput, language: &str) {
        if !last.had_run {
            return;
        }
        if last.is_marked {
            self.prepend_unmarked(&last.captured);
        } else {
            self.prepend(&last.captured);
        }
        if last.is_expected {
            return;
        }
        let note = format!(
            "[the {language} process exited between calls, so the variables of earlier calls are lost]\n"
        );
        self.stderr.push(note.as_bytes());
    }

    /// Reads once from a stream that has data. Never returns if both streams have ended. Cancel
    /// safe.
    pub async fn read(&mut self) {
        let Output { stdout, stderr, .. } = self;
        tokio::select! {
            () = stdout.read(), if stdout.open => {}
            () = stderr.read(), if stderr.open => {}
            else => std::future::pending().await,
        }
    }

    /// Reads the current content of the pipes and ends the capture.
    pub fn finish(&mut self) -> Captured {
        self.stdout.drain();
        self.stderr.drain();
        let written_bytes = [&self.stdout, &self.stderr].map(Stream::received_bytes);
        let dropped_earlier = std::mem::take(&mut self.dropped_earlier_bytes);
        let mut captured = Captured {
            written_bytes,
            dropped_bytes: dropped_earlier,
            ..Captured::default()
        };
        let texts = [&mut captured.stdout, &mut captured.stderr];
        let streams = [&mut self.stdout, &mut self.stderr];
        for (index, (stream, text)) in streams.into_iter().zip(texts).enumerate() {
            let Some(found) = stream.capture.take().map(Capture::finish) else {
                continue;
            };
            let CapturedText {
                text: found_text,
                dropped_bytes,
                taken_bytes,
                reserved,
            } = found;
            *text = found_text;
            captured.dropped_bytes += dropped_bytes;
            captured.taken_bytes[index] = taken_bytes;
            captured.reserved.push(reserved);
        }
        captured
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
            capture: None,
        };
        Ok((stream, OwnedFd::from(writer)))
    }

    async fn read(&mut self) {
        match self.pipe.read(&mut self.buffer).await {
            Ok(0) | Err(_) => self.open = false,
            Ok(length) => self.keep(length),
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
                    self.keep(length);
                    left = left.saturating_sub(length);
                }
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(capture) = &mut self.capture {
            capture.push(bytes);
        }
    }

    fn keep(&mut self, length: usize) {
        if let Some(capture) = &mut self.capture {
            capture.push(&self.buffer[..length]);
        }
    }

    /// Returns the number of bytes since the capture began, including those that were dropped.
    fn received_bytes(&self) -> usize {
        self.capture.as_ref().map_or(0, Capture::received_bytes)
    }
}
