//! How many bytes went which way, and when nothing goes any more.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// A connection on which nothing moved for so long ends, at the latest after twice that.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);

/// Bytes that a session has sent and got through its proxy, or all sessions have, heads of messages
/// included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From programs.
    pub up_bytes: u64,
    /// To them.
    pub down_bytes: u64,
}

/// What all connections of a session have moved, or those of all sessions. Held by each of them.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    up: AtomicU64,
    down: AtomicU64,
    /// Of all sessions.
    all: Option<Arc<Totals>>,
}

impl Totals {
    /// Of a session. Everything counts for `all`, too.
    pub(crate) fn child_of(all: &Arc<Totals>) -> Arc<Totals> {
        Arc::new(Totals {
            all: Some(Arc::clone(all)),
            ..Totals::default()
        })
    }

    fn add(&self, up_bytes: u64, down_bytes: u64) {
        self.up.fetch_add(up_bytes, Ordering::Relaxed);
        self.down.fetch_add(down_bytes, Ordering::Relaxed);
        if let Some(all) = &self.all {
            all.add(up_bytes, down_bytes);
        }
    }

    pub(crate) fn read(&self) -> Traffic {
        Traffic {
            up_bytes: self.up.load(Ordering::Relaxed),
            down_bytes: self.down.load(Ordering::Relaxed),
        }
    }
}

/// What one connection has moved.
#[derive(Debug)]
pub(crate) struct Meter {
    totals: Arc<Totals>,
    moved: AtomicU64,
}

impl Meter {
    pub(crate) fn new(totals: Arc<Totals>) -> Arc<Meter> {
        Arc::new(Meter {
            totals,
            moved: AtomicU64::new(0),
        })
    }

    pub(crate) fn add_up(&self, bytes: usize) {
        self.totals.add(bytes as u64, 0);
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_down(&self, bytes: usize) {
        self.totals.add(0, bytes as u64);
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Waits until nothing has moved for a while.
    pub(crate) async fn idle(&self) {
        let mut seen = self.moved.load(Ordering::Relaxed);
        loop {
            sleep_until(Instant::now() + IDLE_TIMEOUT).await;
            let moved = self.moved.load(Ordering::Relaxed);
            if moved == seen {
                return;
            }
            seen = moved;
        }
    }
}

/// A program's connection whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Metered {
    pub(crate) stream: TcpStream,
    pub(crate) meter: Arc<Meter>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.meter.add_up(buffer.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Metered {
    fn note(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.meter.add_down(bytes);
        }
        polled
    }
}
