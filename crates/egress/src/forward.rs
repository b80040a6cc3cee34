//! Forwards plain HTTP requests, which clients send to a proxy in absolute form.
//!
//! The proxy parses each request completely, checks it, and writes a new request on a separate
//! connection. No two parsers can therefore disagree about where a request ends.

use std::pin::pin;
use std::sync::Arc;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::authority::Authority;
use crate::connection::Connection;
use crate::denied::{Denied, Reason};
use crate::dial::OutboundConnection;
use crate::headers::{self, PROXY_AUTHORIZATION};
use crate::policy::Route;
use crate::response::{self, Body};
use crate::splice;
use crate::tunnel;

/// Maximum size of a response head, in bytes. Browsers accept the same size.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// Maximum number of response header fields, more than any site sends.
const MAX_FIELDS: usize = 256;

/// Forwards one request and returns its response.
pub(crate) async fn forward(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    let target = match parse_target(request.uri()) {
        Ok(target) => target,
        Err(reason) => {
            connection.state.recent_denials().remember(None, &reason);
            return response::bad_request(&reason);
        }
    };
    exchange(connection, request, &target)
        .await
        .unwrap_or_else(|denied| response::denied(&denied))
}

/// Connects to the target and exchanges the request for a response.
async fn exchange(
    connection: &Connection,
    request: Request<Incoming>,
    target: &Authority,
) -> Result<Response<Body>, Denied> {
    let outbound = connection.state.dial(target).await?;
    send(connection, request, target, outbound)
        .await
        .map_err(|reason| connection.state.deny(target, reason))
}

/// Sends the request on a new connection and prepares the response for the client.
async fn send(
    connection: &Connection,
    mut request: Request<Incoming>,
    target: &Authority,
    outbound: OutboundConnection,
) -> Result<Response<Body>, Reason> {
    let OutboundConnection { stream, route, .. } = outbound;
    let wants_websocket = headers::is_websocket_upgrade(request.headers());
    let upgrade = wants_websocket.then(|| hyper::upgrade::on(&mut request));
    rewrite(connection, &mut request, target, route, wants_websocket).ok_or(Reason::Broken)?;
    let (mut sender, outgoing) = http1::Builder::new()
        .preserve_header_case(true)
        .max_header_size(MAX_HEAD_BYTES)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Reason::Broken)?;
    let response = if wants_websocket {
        drive(connection, outgoing.with_upgrades());
        sender.send_request(request).await.ok()
    } else {
        receive(connection, sender, outgoing, request).await
    };
    let mut response = response.ok_or(Reason::Broken)?;
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {
            // Only a client that requested a WebSocket may get another protocol.
            let upgrade = upgrade.ok_or(Reason::Broken)?;
            open_websocket(connection, upgrade, &mut response, route)
                .await
                .ok_or(Reason::Broken)?;
        }
        status if response::is_proxy_auth_required(status) => return Err(Reason::Upstream),
        _ => headers::strip(response.headers_mut()),
    }
    Ok(response.map(Either::Left))
}

/// Starts to relay a WebSocket that the server accepted. Returns `None` if it did not.
async fn open_websocket(
    connection: &Connection,
    upgrade: OnUpgrade,
    response: &mut Response<Incoming>,
    route: Route,
) -> Option<()> {
    if !headers::is_websocket_upgrade(response.headers()) {
        return None;
    }
    let upgraded = hyper::upgrade::on(&mut *response);
    headers::strip(response.headers_mut());
    headers::set_websocket_upgrade(response.headers_mut());
    let outbound = tunnel::outbound_connection(upgraded.await.ok()?, route)?;
    tunnel::relay_bytes(connection, upgrade, outbound);
    Some(())
}

/// Spawns the task that drives an outbound connection. The code that reads the response detects the
/// end of the connection.
fn drive(connection: &Connection, outgoing: impl Future + Send + 'static) {
    let state = Arc::clone(&connection.state);
    connection.state.spawn(async move {
        tokio::select! {
            _ = outgoing => {}
            () = state.stopped() => {}
        }
    });
}

/// Sends the request and returns the response, if one arrives. Never returns for a long response,
/// because `splice` takes that over.
async fn receive(
    connection: &Connection,
    mut sender: http1::SendRequest<Incoming>,
    mut outgoing: http1::Connection<TokioIo<TcpStream>, Incoming>,
    request: Request<Incoming>,
) -> Option<Response<Incoming>> {
    let is_spliceable = splice::is_spliceable_request(&request);
    let mut receiving = pin!(sender.send_request(request));
    let response = tokio::select! {
        biased;
        response = &mut receiving => response.ok()?,
        // hyper has already read a short response to its end.
        _ = &mut outgoing => return receiving.await.ok(),
    };
    if is_spliceable && splice::is_spliceable_response(&response) {
        return connection.splice(splice::take(response, outgoing)?).await;
    }
    drive(connection, outgoing);
    Some(response)
}

/// Returns the target of a request in absolute form. Only `http://` is forwarded in this form.
fn parse_target(uri: &Uri) -> Result<Authority, String> {
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err("This is a proxy: send an absolute URL or a CONNECT request".to_owned());
    };
    if *scheme != Scheme::HTTP {
        return Err(
            "The proxy forwards only http:// URLs in this form; use CONNECT for everything else"
                .to_owned(),
        );
    }
    Authority::parse(authority.as_str(), Some(80))
        .map_err(|error| format!("Invalid request target: {error}"))
}

/// Rewrites a request to the proxy into one to the next hop. Returns `None` if a value is invalid.
fn rewrite(
    connection: &Connection,
    request: &mut Request<Incoming>,
    target: &Authority,
    route: Route,
    wants_websocket: bool,
) -> Option<()> {
    let host = if target.port == 80 {
        target.host.to_string()
    } else {
        target.to_string()
    };
    let path = request
        .uri()
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = match route {
        Route::Direct => Uri::from(path),
        Route::Upstream => Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(host.as_str())
            .path_and_query(path)
            .build()
            .ok()?,
    };
    *request.version_mut() = Version::HTTP_11;
    let fields = request.headers_mut();
    headers::strip(fields);
    // Overwrites the client's value: the request goes to the target that was checked.
    fields.insert(HOST, HeaderValue::try_from(host).ok()?);
    if wants_websocket {
        headers::set_websocket_upgrade(fields);
    }
    let policy = connection.state.policy();
    let upstream = policy
        .upstream
        .as_ref()
        .filter(|_| route == Route::Upstream);
    if let Some(authorization) = upstream.and_then(|upstream| upstream.authorization.clone()) {
        fields.insert(PROXY_AUTHORIZATION, authorization);
    }
    Some(())
}
