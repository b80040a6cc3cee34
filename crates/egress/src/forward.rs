//! Plain requests, in absolute form: each is read whole, decided about, and written anew on a
//! connection of its own, so that no two readers can disagree about where one ends.

use std::pin::pin;
use std::sync::Arc;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::authority::Authority;
use crate::denied::{Denied, Reason};
use crate::dial::OutboundConnection;
use crate::headers::{self, PROXY_AUTHORIZATION};
use crate::policy::Route;
use crate::proxy::Connection;
use crate::response::{self, Body};
use crate::splice;
use crate::tunnel;

/// The longest head of an answer, in bytes: what browsers take.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// More fields than any site sends.
const MAX_FIELDS: usize = 256;

/// Carries one request and its answer.
pub(crate) async fn carry(
    connection: &Connection,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let as_html = response::accepts_html(request.headers());
    let target = match target_of(request.uri()) {
        Ok(target) => target,
        Err(why) => return response::bad_request(&why),
    };
    let OutboundConnection { stream, way, .. } = match connection.state.dial(&target).await {
        Ok(outside) => outside,
        Err(denied) => return response::denied(&denied, as_html),
    };
    let broken = || {
        let denied = Denied {
            target: target.clone(),
            reason: Reason::Broken,
        };
        connection.state.note(&denied);
        response::denied(&denied, as_html)
    };
    let wants_websocket = headers::is_websocket_upgrade(request.headers());
    let upgrade = wants_websocket.then(|| hyper::upgrade::on(&mut request));
    if prepare(connection, &mut request, &target, way, wants_websocket).is_none() {
        return broken();
    }
    let mut builder = http1::Builder::new();
    builder
        .preserve_header_case(true)
        .max_header_size(MAX_HEAD_BYTES)
        .max_headers(MAX_FIELDS);
    let Ok((mut sender, outgoing)) = builder.handshake(TokioIo::new(stream)).await else {
        return broken();
    };
    let answered = if wants_websocket {
        drive(connection, outgoing.with_upgrades());
        sender.send_request(request).await.ok()
    } else {
        answered(connection, sender, outgoing, request).await
    };
    let Some(mut response) = answered else {
        return broken();
    };
    match (response.status(), upgrade) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade))
            if headers::is_websocket_upgrade(response.headers()) =>
        {
            let granted = hyper::upgrade::on(&mut response);
            headers::strip(response.headers_mut());
            headers::set_websocket_upgrade(response.headers_mut());
            let Some(outside) = granted
                .await
                .ok()
                .and_then(|granted| tunnel::outbound_connection(granted, way))
            else {
                return broken();
            };
            tunnel::carry(connection, upgrade, outside);
        }
        // Nobody has asked for another protocol.
        (StatusCode::SWITCHING_PROTOCOLS, _) => return broken(),
        (status, _) if response::is_proxy_auth_required(status) => {
            let denied = Denied {
                target,
                reason: Reason::Upstream,
            };
            connection.state.note(&denied);
            return response::denied(&denied, as_html);
        }
        _ => headers::strip(response.headers_mut()),
    }
    response.map(Either::Left)
}

/// Has a connection go on by itself. Its end is seen where the answer is read.
fn drive(connection: &Connection, outgoing: impl Future + Send + 'static) {
    let state = Arc::clone(&connection.state);
    connection.state.spawn(async move {
        tokio::select! {
            _ = outgoing => {}
            () = state.stopped() => {}
        }
    });
}

/// The answer to a request, if one comes. A long one is spliced over, and this never comes back.
async fn answered(
    connection: &Connection,
    mut sender: http1::SendRequest<Incoming>,
    mut outgoing: http1::Connection<TokioIo<TcpStream>, Incoming>,
    request: Request<Incoming>,
) -> Option<Response<Incoming>> {
    let is_spliceable = splice::is_spliceable_request(&request);
    let mut answering = pin!(sender.send_request(request));
    let response = tokio::select! {
        biased;
        response = &mut answering => response.ok()?,
        // A short answer has been read to its end already.
        _ = &mut outgoing => return answering.await.ok(),
    };
    if is_spliceable && splice::is_spliceable_response(&response) {
        return connection.splice(splice::take(response, outgoing)?).await;
    }
    drive(connection, outgoing);
    Some(response)
}

/// What the request names; only plain HTTP is carried in this form.
fn target_of(uri: &Uri) -> Result<Authority, String> {
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(
            "This is a proxy: it takes requests for whole addresses, and CONNECT".to_owned(),
        );
    };
    if *scheme != Scheme::HTTP {
        return Err(
            "Only http:// is carried in this form; everything else goes by CONNECT".to_owned(),
        );
    }
    Authority::parse(authority.as_str(), Some(80))
        .map_err(|why| format!("The request is refused: {why}"))
}

/// Makes of a request to us one to whoever is next. None if it cannot be.
fn prepare(
    connection: &Connection,
    request: &mut Request<Incoming>,
    target: &Authority,
    way: Route,
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
    *request.uri_mut() = match way {
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
    // Whatever the program has put there: this is where the request goes.
    fields.insert(HOST, HeaderValue::try_from(host).ok()?);
    if wants_websocket {
        headers::set_websocket_upgrade(fields);
    }
    let upstream = connection
        .state
        .policy()
        .upstream
        .as_ref()
        .filter(|_| way == Route::Upstream);
    if let Some(authorization) = upstream.and_then(|upstream| upstream.authorization.clone()) {
        fields.insert(PROXY_AUTHORIZATION, authorization);
    }
    Some(())
}
