//! Relays bytes between two sockets in both directions.
//!
//! Long transfers use a large buffer. That is cheaper than `splice(2)`, which moves single pages
//! and so makes the receiving program's reads more expensive.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::meter::Meter;

/// Size of the normal read buffer.
const BUFFER_BYTES: usize = 32 * 1024;

/// Size of the read buffer for long transfers.
const LARGE_BUFFER_BYTES: usize = 1024 * 1024;

/// Maximum number of large buffers of a session.
pub(crate) const MAX_LARGE_BUFFERS: usize = 16;

/// Number of bytes without a pause after which a transfer counts as long.
const LONG_TRANSFER_BYTES: u64 = 256 * 1024;

/// Time without data after which a connection releases its buffer.
const PAUSE: Duration = Duration::from_secs(1);

/// One side of a relay.
pub(crate) struct Endpoint {
    pub(crate) stream: TcpStream,
    /// Bytes that were already read from the stream.
    pub(crate) buffered: Bytes,
}

/// Relays bytes until both sides have closed or one side fails. Bytes from `client` count as
/// upload. `large_buffers` has one permit for each large buffer.
pub(crate) async fn relay(
    client: &Endpoint,
    server: &Endpoint,
    meter: &Meter,
    large_buffers: &Semaphore,
) -> io::Result<()> {
    let up = relay_one_way(client, server, large_buffers, |bytes| meter.add_up(bytes));
    let down = relay_one_way(server, client, large_buffers, |bytes| meter.add_down(bytes));
    tokio::try_join!(up, down)?;
    Ok(())
}

/// Relays one direction until its end, then shuts down the write side of `to`.
async fn relay_one_way(
    from: &Endpoint,
    to: &Endpoint,
    large_buffers: &Semaphore,
    count: impl Fn(usize),
) -> io::Result<()> {
    write_all(&to.stream, &from.buffered).await?;
    count(from.buffered.len());
    copy(&from.stream, &to.stream, u64::MAX, large_buffers, count).await?;
    // Fails if the other side has already disconnected.
    let _ = shutdown(to.stream.as_raw_fd(), Shutdown::Write);
    Ok(())
}

/// Copies up to `max_bytes` bytes, or until the end of the stream.
pub(crate) async fn copy(
    from: &TcpStream,
    to: &TcpStream,
    max_bytes: u64,
    large_buffers: &Semaphore,
    count: impl Fn(usize),
) -> io::Result<()> {
    let (mut buffer, mut permit) = (Vec::new(), None);
    let (mut left, mut without_pause) = (max_bytes, 0_u64);
    while left > 0 {
        if timeout(PAUSE, from.readable()).await.is_err() {
            (buffer, permit, without_pause) = (Vec::new(), None, 0);
            from.readable().await?;
        }
        if without_pause > LONG_TRANSFER_BYTES && permit.is_none() {
            permit = large_buffers.try_acquire().ok();
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
            Ok(length) => {
                write_all(to, &buffer[..length]).await?;
                count(length);
                left -= length as u64;
                without_pause += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all `bytes`.
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
