//! Serves a router on a listener.

use axum::Router;
use axum::serve::ListenerExt;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long a client may leave sent data unacknowledged before the kernel drops its connection, in
/// milliseconds. See `TCP_USER_TIMEOUT` in tcp(7).
const TCP_USER_TIMEOUT_MS: u32 = 10_000;

/// Serves requests until `stop`, and returns when open requests are finished.
pub(crate) async fn listen(listener: TcpListener, router: Router, stop: CancellationToken) {
    let listener = listener.tap_io(|stream| {
        // Responses and CDP messages are small and must not wait for each other (Nagle's
        // algorithm).
        let _ = stream.set_nodelay(true);
        let _ = setsockopt(stream, sockopt::TcpUserTimeout, &TCP_USER_TIMEOUT_MS);
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "listener failed");
    }
}
