//! Bytes between two sockets, both ways.
//!
//! What is long goes through a large buffer. That costs less than having the kernel move it by
//! `splice(2)`, which hands on single log: the program that reads them pays for those.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::meter::Meter;

/// How much is read at once.
const BUFFER_BYTES: usize = 32 * 1024;

/// How much is read at once of what is long.
const LARGE_BUFFER_BYTES: usize = 1024 * 1024;

/// How many of the large buffers a session may have.
pub(crate) const MAX_LARGE_BUFFERS: usize = 16;

/// What is long: more than this without a pause.
const LONG_TRANSFER_BYTES: u64 = 256 * 1024;

/// A connection on which nothing comes for so long gives its buffer back.
const PAUSE: Duration = Duration::from_secs(1);

/// One end of a relay.
pub(crate) struct Endpoint {
    pub(crate) stream: TcpStream,
    /// Was read from it already.
    pub(crate) early: Bytes,
}

/// Carries bytes until both ends have closed, or one breaks off. What comes from `inside` goes up.
/// `long` has a permit for each of the large buffers.
pub(crate) async fn relay(
    inside: &Endpoint,
    outside: &Endpoint,
    meter: &Meter,
    long: &Semaphore,
) -> io::Result<()> {
    let up = carry(inside, outside, long, |bytes| meter.add_up(bytes));
    let down = carry(outside, inside, long, |bytes| meter.add_down(bytes));
    tokio::try_join!(up, down)?;
    Ok(())
}

/// One direction, up to its end, which is told on.
async fn carry(
    from: &Endpoint,
    to: &Endpoint,
    long: &Semaphore,
    note: impl Fn(usize),
) -> io::Result<()> {
    write_all(&to.stream, &from.early).await?;
    note(from.early.len());
    copy(&from.stream, &to.stream, u64::MAX, long, note).await?;
    // Whoever is gone already needs no telling.
    let _ = shutdown(to.stream.as_raw_fd(), Shutdown::Write);
    Ok(())
}

/// Copies `most` bytes, or what there is until the end.
pub(crate) async fn copy(
    from: &TcpStream,
    to: &TcpStream,
    most: u64,
    long: &Semaphore,
    note: impl Fn(usize),
) -> io::Result<()> {
    let (mut buffer, mut permit) = (Vec::new(), None);
    let (mut left, mut in_a_row) = (most, 0_u64);
    while left > 0 {
        if timeout(PAUSE, from.readable()).await.is_err() {
            (buffer, permit, in_a_row) = (Vec::new(), None, 0);
            from.readable().await?;
        }
        if in_a_row > LONG_TRANSFER_BYTES && permit.is_none() {
            permit = long.try_acquire().ok();
        }
        let size = if permit.is_some() {
            LARGE_BUFFER_BYTES
        } else {
            BUFFER_BYTES
        };
        if buffer.len() != size {
            buffer = vec![0; size];
        }
        let wanted = usize::try_from(left).map_or(size, |left| left.min(size));
        match from.try_read(&mut buffer[..wanted]) {
            Ok(0) => break,
            Ok(count) => {
                write_all(to, &buffer[..count]).await?;
                note(count);
                left -= count as u64;
                in_a_row += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
