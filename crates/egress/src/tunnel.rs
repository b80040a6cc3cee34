//! CONNECT, and whatever else becomes plain bytes both ways.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::authority::Authority;
use crate::dial::OutboundConnection;
use crate::meter::Metered;
use crate::policy::Route;
use crate::proxy::Connection;
use crate::relay::{Endpoint, relay};
use crate::response::{self, Body};

/// Answers a CONNECT, and carries bytes from then on.
pub(crate) async fn open(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    // A whole URL names more than a host, and so does not name one.
    let authority = request
        .uri()
        .authority()
        .filter(|authority| *request.uri() == authority.as_str());
    let named = authority.map(|authority| Authority::parse(authority.as_str(), None));
    let target = match named {
        Some(Ok(target)) => target,
        Some(Err(why)) => return response::bad_request(&format!("CONNECT is refused: {why}")),
        None => return response::bad_request("CONNECT is refused: it names no host"),
    };
    let state = Arc::clone(&connection.state);
    match state.dial_tunnel(&target).await {
        Err(denied) => response::denied_tunnel(&denied),
        Ok(outside) => {
            carry(connection, hyper::upgrade::on(request), outside);
            response::connected()
        }
    }
}

/// Carries bytes between a program, once it has its answer, and the outside.
pub(crate) fn carry(connection: &Connection, upgrade: OnUpgrade, outside: OutboundConnection) {
    let connection = connection.clone();
    let state = Arc::clone(&connection.state);
    state.spawn(async move {
        let carrying = async {
            let inside = client_endpoint(upgrade.await.ok()?)?;
            let outside = Endpoint {
                stream: outside.stream,
                early: outside.early,
            };
            relay(
                &inside,
                &outside,
                &connection.meter,
                connection.state.large_buffers(),
            )
            .await
            .ok()
        };
        tokio::select! {
            // Either end may break off at any time; the other one is told by the end of its
            // connection.
            _ = carrying => {}
            () = connection.state.stopped() => {}
            () = connection.meter.idle() => {}
        }
    });
}

/// The program's own connection, with what was read of it beyond the request.
fn client_endpoint(upgraded: Upgraded) -> Option<Endpoint> {
    let parts = upgraded.downcast::<TokioIo<Metered>>().ok()?;
    Some(Endpoint {
        stream: parts.io.into_inner().stream,
        early: parts.read_buf,
    })
}

/// What a proxy beyond ours, or a server that has granted a WebSocket, leaves of its connection.
pub(crate) fn outbound_connection(upgraded: Upgraded, way: Route) -> Option<OutboundConnection> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some(OutboundConnection {
        stream: parts.io.into_inner(),
        early: parts.read_buf,
        way,
    })
}
