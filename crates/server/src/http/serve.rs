//! Serves a router on a listener.

use axum::Router;
use axum::serve::ListenerExt;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The maximum time in milliseconds that sent data may stay unacknowledged before Linux drops the
/// client's connection. See `TCP_USER_TIMEOUT` in tcp(7).
const TCP_USER_TIMEOUT_MS: u32 = 10_000;

/// Serves requests until `stop`, and returns once open requests are finished.
pub(crate) async fn listen(listener: TcpListener, router: Router, stop: CancellationToken) {
    let listener = listener.tap_io(|stream| {
        // Responses and CDP messages are small, and Nagle's algorithm would delay them.
        let _ = stream.set_nodelay(true);
        let _ = setsockopt(stream, sockopt::TcpUserTimeout, &TCP_USER_TIMEOUT_MS);
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "listener failed");
    }
}
