//! Bytes between two sockets, both ways. What is long is spliced: the kernel moves it, and it never comes here.

use std::io::{self, PipeReader, PipeWriter, pipe};
use std::os::fd::AsRawFd;

use bytes::Bytes;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::meter::Meter;

/// How much is read at once, of what is short.
const BUFFER_BYTES: usize = 32 * 1024;

/// What is longer than this is spliced, which needs two more descriptors.
const SHORT_BYTES: u64 = 512 * 1024;

/// How much a pipe is to hold: as much as anybody may ask for (`fs.pipe-max-size`).
const PIPE_BYTES: usize = 1024 * 1024;

/// One end of a relay.
pub(crate) struct End {
    pub(crate) stream: TcpStream,
    /// Was read from it already.
    pub(crate) early: Bytes,
}

/// Carries bytes until both ends have closed, or one breaks off. What comes from `inside` goes up.
pub(crate) async fn relay(inside: &End, outside: &End, meter: &Meter) -> io::Result<()> {
    let up = carry(inside, outside, |bytes| meter.went_up(bytes));
    let down = carry(outside, inside, |bytes| meter.went_down(bytes));
    tokio::try_join!(up, down)?;
    Ok(())
}

/// One direction, up to its end, which is told on.
async fn carry(from: &End, to: &End, note: impl Fn(usize)) -> io::Result<()> {
    write_all(&to.stream, &from.early).await?;
    note(from.early.len());
    if copy(&from.stream, &to.stream, SHORT_BYTES, &note).await? {
        move_all(&from.stream, &to.stream, u64::MAX, &note).await?;
    }
    // Whoever is gone already needs no telling.
    let _ = shutdown(to.stream.as_raw_fd(), Shutdown::Write);
    Ok(())
}

/// Copies until the end, or until more than `most` bytes have gone; tells whether there is more.
async fn copy(from: &TcpStream, to: &TcpStream, most: u64, note: impl Fn(usize)) -> io::Result<bool> {
    let mut buffer = Vec::new();
    let mut copied = 0;
    while copied < most {
        from.readable().await?;
        // A connection that waits for its peer holds no buffer.
        buffer.resize(BUFFER_BYTES, 0);
        match from.try_read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                write_all(to, &buffer[..count]).await?;
                note(count);
                copied += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => buffer = Vec::new(),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Writes all of it.
pub(crate) async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Has the kernel move up to `most` bytes, or all until the end. Gives back how many there were.
pub(crate) async fn move_all(from: &TcpStream, to: &TcpStream, most: u64, note: impl Fn(usize)) -> io::Result<u64> {
    let (reader, writer) = pipe()?;
    // A smaller one does as well, only slower.
    let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(i32::try_from(PIPE_BYTES).unwrap_or(i32::MAX)));
    let mut moved = 0;
    while moved < most {
        let wanted = usize::try_from(most - moved).unwrap_or(usize::MAX).min(PIPE_BYTES);
        let count = fill(from, &writer, wanted).await?;
        if count == 0 {
            break;
        }
        drain(&reader, to, count, &note).await?;
        moved += count as u64;
    }
    Ok(moved)
}

// Of the pipe, too, nothing is waited for: it is empty when it is filled, and holds what is drained.
const FLAGS: SpliceFFlags = SpliceFFlags::SPLICE_F_MOVE.union(SpliceFFlags::SPLICE_F_NONBLOCK);

async fn fill(from: &TcpStream, pipe: &PipeWriter, most: usize) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_io(Interest::READABLE, || Ok(splice(from, None, pipe, None, most, FLAGS)?)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            filled => return filled,
        }
    }
}

async fn drain(pipe: &PipeReader, to: &TcpStream, count: usize, note: impl Fn(usize)) -> io::Result<()> {
    let mut left = count;
    while left > 0 {
        to.writable().await?;
        match to.try_io(Interest::WRITABLE, || Ok(splice(pipe, None, to, None, left, FLAGS)?)) {
            Ok(count) => {
                left -= count;
                note(count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
