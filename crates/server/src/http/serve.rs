//! The HTTP server on a listener, and the headers of its pages.

use anyhow::Context;
use axum::Router;
use axum::http::HeaderValue;
use axum::serve::ListenerExt;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long a peer may accept no data, in milliseconds (`TCP_USER_TIMEOUT` in `tcp(7)`).
const NO_PROGRESS_MS: u32 = 10_000;

/// Answers requests until `stop`, and then finishes open responses.
pub(crate) async fn listen(listener: TcpListener, router: Router, stop: CancellationToken) {
    let listener = listener.tap_io(|stream| {
        // Responses and CDP messages are small and must not wait for each other (Nagle).
        let _ = stream.set_nodelay(true);
        let _ = setsockopt(stream, sockopt::TcpUserTimeout, &NO_PROGRESS_MS);
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "listener failed");
    }
}

/// Returns the `Content-Security-Policy` of the live view: only its own scripts and styles, in a
/// frame of `frame_ancestors`.
pub(crate) fn page_policy(frame_ancestors: &str) -> anyhow::Result<HeaderValue> {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors {frame_ancestors}"
    );
    HeaderValue::try_from(policy).context("cannot use HEARTH_FRAME_ANCESTORS in a header")
}
