//! Handles CONNECT, and relays bytes once a connection is no longer HTTP.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::authority::Authority;
use crate::connection::Connection;
use crate::dial::OutboundConnection;
use crate::meter::Metered;
use crate::policy::Route;
use crate::relay::{Endpoint, relay};
use crate::response::{self, Body};

/// Responds to a CONNECT request and starts to relay bytes.
pub(crate) async fn open(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    // Accepts only `host:port`, not a complete URL.
    let authority = request
        .uri()
        .authority()
        .filter(|authority| *request.uri() == authority.as_str());
    let named = authority.map(|authority| Authority::parse(authority.as_str(), None));
    let target = match named {
        Some(Ok(target)) => target,
        Some(Err(error)) => {
            let reason = format!("Invalid CONNECT target: {error}");
            connection.state.recent_denials().remember(None, &reason);
            return response::bad_tunnel_request(&reason);
        }
        None => return response::bad_tunnel_request("Invalid CONNECT target: the host is missing"),
    };
    let state = Arc::clone(&connection.state);
    match state.dial_tunnel(&target).await {
        Err(denied) => response::denied_tunnel(&denied),
        Ok(outbound) => {
            relay_bytes(connection, hyper::upgrade::on(request), outbound);
            response::connected()
        }
    }
}

/// Spawns a task that relays bytes between the client, once it has its response, and the outbound
/// connection.
pub(crate) fn relay_bytes(
    connection: &Connection,
    upgrade: OnUpgrade,
    outbound: OutboundConnection,
) {
    let Connection {
        state,
        meter,
        permit,
        ..
    } = connection.clone();
    let spawner = Arc::clone(&state);
    spawner.spawn(async move {
        let _permit = permit;
        let relaying = async {
            let client = client_endpoint(upgrade.await.ok()?)?;
            let server = Endpoint {
                stream: outbound.stream,
                buffered: outbound.buffered,
            };
            relay(&client, &server, &meter, state.large_buffers())
                .await
                .ok()
        };
        tokio::select! {
            // Either side may disconnect at any time. The other side then sees its connection
            // close.
            _ = relaying => {}
            () = state.stopped() => {}
            () = meter.idle() => {}
        }
    });
}

/// Returns the client's socket and the bytes that were read beyond the request.
fn client_endpoint(upgraded: Upgraded) -> Option<Endpoint> {
    let parts = upgraded.downcast::<TokioIo<Metered>>().ok()?;
    Some(Endpoint {
        stream: parts.io.into_inner().stream,
        buffered: parts.read_buf,
    })
}

/// Returns the socket and the buffered bytes of a server that accepted a WebSocket.
pub(crate) fn outbound_connection(upgraded: Upgraded, route: Route) -> Option<OutboundConnection> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some(OutboundConnection {
        stream: parts.io.into_inner(),
        buffered: parts.read_buf,
        route,
    })
}
