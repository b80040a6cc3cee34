//! One client connection: its timeouts, its slot, and the memory that its unread messages take.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hearth_budget::{Budget, Reservation};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connections::ConnectionSlot;
use crate::config::ServerLimits;

/// The period over which the rate of a client that reads slowly is measured.
const RATE_PERIOD: Duration = Duration::from_secs(10);

/// The shared state of a connection.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    slot: ConnectionSlot,
    limits: ServerLimits,
    abort: CancellationToken,
    phase: AtomicU8,
    /// Notified when the head of a request is complete.
    started: Notify,
    is_authenticated: AtomicBool,
    /// Set after the upgrade to a WebSocket.
    is_metered: AtomicBool,
    /// Counts bytes of messages that are not complete.
    incomplete: Mutex<Option<Reservation>>,
    /// The socket, unless this is a connection of another node.
    socket: OnceLock<Weak<TcpStream>>,
    /// True if the connection must close when its client leaves.
    is_watched: AtomicBool,
    /// Notified when that begins.
    watched: Notify,
}

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const REQUEST: u8 = 2;
const UPGRADED: u8 = 3;

impl ClientConnection {
    pub fn new(slot: ConnectionSlot, limits: ServerLimits) -> Arc<ClientConnection> {
        Arc::new(ClientConnection {
            slot,
            limits,
            abort: CancellationToken::new(),
            phase: AtomicU8::new(HEAD),
            started: Notify::new(),
            is_authenticated: AtomicBool::new(false),
            is_metered: AtomicBool::new(false),
            incomplete: Mutex::new(None),
            socket: OnceLock::new(),
            is_watched: AtomicBool::new(false),
            watched: Notify::new(),
        })
    }

    /// Closes the connection.
    pub fn abort(&self) {
        self.abort.cancel();
    }

    /// Waits until the connection must close: its slot is needed, or it was aborted.
    pub async fn must_close(&self) {
        tokio::select! {
            () = self.slot.replaced() => {}
            () = self.abort.cancelled() => {}
        }
    }

    /// Sets the socket, which is set once.
    pub fn set_socket(&self, socket: &Arc<TcpStream>) {
        let _ = self.socket.set(Arc::downgrade(socket));
    }

    /// Makes the connection close as soon as its client leaves, also if the client has sent more
    /// than was read. hyper does not notice that, because it reads nothing during a request.
    pub fn watch(&self) {
        self.is_watched.store(true, Ordering::Relaxed);
        self.watched.notify_waiters();
    }

    /// Waits until the client of a watched connection has left.
    pub async fn left(&self) {
        loop {
            let watched = self.watched.notified();
            if self.is_watched.load(Ordering::Relaxed) {
                break;
            }
            watched.await;
        }
        let Some(socket) = self.socket.get().and_then(Weak::upgrade) else {
            return pending().await;
        };
        // Ready if the other side is closed, but not for bytes to read.
        match socket.ready(Interest::PRIORITY).await {
            Ok(ready) if ready.is_read_closed() => {}
            _ => pending().await,
        }
    }

    /// Records that the client has sent an authenticated request.
    pub fn authenticate(&self) {
        self.is_authenticated.store(true, Ordering::Relaxed);
        self.slot.keep();
    }

    /// Returns true if the client has sent an authenticated request.
    pub fn is_authenticated(&self) -> bool {
        self.is_authenticated.load(Ordering::Relaxed)
    }

    /// Records that the head of a request is complete.
    pub fn request_started(&self) {
        self.phase.store(REQUEST, Ordering::Relaxed);
        self.started.notify_waiters();
    }

    /// Waits until the head of a request is complete. Returns at once between two requests, when
    /// none is expected. Cancel safe.
    pub async fn head_received(&self) {
        loop {
            let started = self.started.notified();
            if self.phase.load(Ordering::Relaxed) != HEAD {
                return;
            }
            started.await;
        }
    }

    /// Records that the next bytes belong to another request, unless the connection was upgraded.
    pub fn request_finished(&self) {
        let _ = self
            .phase
            .compare_exchange(REQUEST, IDLE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Records that the connection becomes a WebSocket. Counts every byte that arrives from now on
    /// in `budget`, until [`ClientConnection::take_message`]. The connection fails when the budget
    /// is exhausted.
    pub fn upgrade(&self, budget: &Budget) {
        self.phase.store(UPGRADED, Ordering::Relaxed);
        *self.lock() = Some(budget.empty());
        self.is_metered.store(true, Ordering::Relaxed);
    }

    /// Records that the connection becomes a tunnel, whose bytes are not kept.
    pub fn tunnel(&self) {
        self.phase.store(UPGRADED, Ordering::Relaxed);
    }

    /// Returns the reservation of the message that is now complete.
    pub fn take_message(&self) -> Option<Reservation> {
        self.lock().as_mut().map(Reservation::take)
    }

    fn received(&self, bytes: usize) -> io::Result<()> {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.phase.store(HEAD, Ordering::Relaxed);
        }
        if self.is_metered.load(Ordering::Relaxed)
            && let Some(incomplete) = self.lock().as_mut()
        {
            return incomplete.grow(bytes).map_err(io::Error::other);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Reservation>> {
        self.incomplete
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream of a connection. It fails when the client is too slow, or when its slot is needed.
pub(crate) struct ClientStream<S> {
    stream: S,
    connection: Arc<ClientConnection>,
    head_deadline: Option<Pin<Box<Sleep>>>,
    blocked: Option<Blocked>,
}

/// A period in which the client did not read everything.
struct Blocked {
    until: Pin<Box<Sleep>>,
    bytes: u64,
    /// True if the last write had to wait.
    is_waiting: bool,
}

impl<S> ClientStream<S> {
    pub fn new(stream: S, connection: Arc<ClientConnection>) -> ClientStream<S> {
        ClientStream {
            stream,
            connection,
            head_deadline: None,
            blocked: None,
        }
    }

    /// Fails if the head of a request has taken too long.
    fn check_head(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.connection.phase.load(Ordering::Relaxed) != HEAD {
            self.head_deadline = None;
            return Ok(());
        }
        let head_time = self.connection.limits.head_time;
        let deadline = self
            .head_deadline
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + head_time)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Fails if the client reads slower than the minimum rate.
    fn check_rate(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let new = || Blocked {
            until: Box::pin(sleep_until(Instant::now() + RATE_PERIOD)),
            bytes: 0,
            is_waiting: false,
        };
        let blocked = self.blocked.get_or_insert_with(new);
        if blocked.until.as_mut().poll(cx).is_ready() {
            if blocked.is_waiting && blocked.bytes < self.connection.limits.min_read_bytes {
                return Err(io::ErrorKind::TimedOut.into());
            }
            *blocked = new();
            // Registers the new deadline.
            let _ = blocked.until.as_mut().poll(cx);
        }
        blocked.is_waiting = true;
        Ok(())
    }

    fn written(&mut self, bytes: usize) {
        if let Some(blocked) = &mut self.blocked {
            blocked.bytes += bytes as u64;
            blocked.is_waiting = false;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                let count = buffer.filled().len() - before;
                if count > 0 {
                    self.connection.received(count)?;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.check_head(cx)?;
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.after_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.after_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> ClientStream<S> {
    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(count)) => {
                self.written(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.check_rate(cx)?;
                Poll::Pending
            }
        }
    }
}
