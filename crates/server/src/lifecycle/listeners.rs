//! The listeners of the server, and their limits.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ServerLimits;
use crate::http::connections::ConnectionLimits;
use crate::http::router;
use crate::http::serve::{FIRST_REQUEST_TIME, Listener, serve_sessions};
use crate::http::state::AppState;
use crate::sessions::CdpListener;

/// The listeners of the server.
pub(super) struct Listeners {
    /// The listener for clients.
    pub public: TcpListener,
    /// The loopback listeners for the programs of sessions, one per session.
    pub sessions: mpsc::Receiver<CdpListener>,
}

/// Returns the limits for connections of clients. Connections through a reverse proxy share one
/// address, so an address may have three quarters of them.
pub(super) fn connection_limits(
    max_connections: usize,
    max_descriptors: u64,
    limits: ServerLimits,
) -> ConnectionLimits {
    let by_descriptors = usize::try_from(max_descriptors / limits.descriptors_per_connection);
    let total = max_connections.min(by_descriptors.unwrap_or(usize::MAX));
    ConnectionLimits {
        total,
        per_address: total - total / 4,
    }
}

/// Returns the number of connections that the proxy of each of `sessions` sessions may have. All of
/// them together use at most three eighths of the descriptors, if that leaves a browser enough.
pub(super) fn egress_connections(max_descriptors: u64, sessions: usize) -> usize {
    // Each connection has a socket on both sides.
    let all = usize::try_from(max_descriptors / 16 * 3).unwrap_or(usize::MAX);
    (all / sessions.max(1)).clamp(32, 128)
}

/// Serves all listeners as tasks of `servers`, until `stop`.
pub(super) fn serve_all(
    listeners: Listeners,
    state: &AppState,
    servers: &TaskTracker,
    stop: &CancellationToken,
) {
    let load = state.load();
    let public = Listener {
        socket: listeners.public,
        connections: Arc::clone(&load.connections),
        pause: load.accept_paused.clone(),
        limits: state.limits(),
        first_request_time: FIRST_REQUEST_TIME,
    };
    servers.spawn(public.serve(router::public(state.clone()), stop.clone()));
    servers.spawn(serve_sessions(
        listeners.sessions,
        router::internal(state.clone()),
        load.accept_paused.clone(),
        state.limits(),
        stop.clone(),
    ));
}
