//! Counts bytes in both directions and detects idle connections.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// Time without data after which a connection ends. It ends after twice this time at the latest.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);

/// Bytes that one session or all sessions sent and received through the proxy, including message
/// heads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that clients sent.
    pub up_bytes: u64,
    /// Bytes that clients received.
    pub down_bytes: u64,
}

/// Byte counters of one session or of all sessions. Every connection shares them.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    up: AtomicU64,
    down: AtomicU64,
    /// The counters of all sessions, which also count these bytes.
    all: Option<Arc<Totals>>,
}

impl Totals {
    /// Creates the counters of one session. `all` counts the same bytes.
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

/// The byte counter of one connection.
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

    /// Waits until no data has moved for [`IDLE_TIMEOUT`].
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

/// A client's socket that counts its bytes.
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
        self.count(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.count(polled)
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
    fn count(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.meter.add_down(bytes);
        }
        polled
    }
}
