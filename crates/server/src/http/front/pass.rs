//! Sends the requests that no route of this server has to Firecrawl.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;

use super::headers::{readdress, take_protocol_key};
use super::relay::relay;
use super::send::{answer, send};
use crate::firecrawl::Firecrawl;
use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::extract::admit;
use crate::http::hop_by_hop::{set_websocket, strip};
use crate::http::paths::{is_own_path, unknown_path};
use crate::http::state::AppState;
use crate::outgoing::{Received, is_upgraded};

/// Answers a path without a route: sends the request to Firecrawl if there is one.
pub(crate) async fn fallback(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, ApiError> {
    let Some(firecrawl) = state.firecrawl().cloned() else {
        return Err(unknown_path(request.uri()));
    };
    if is_own_path(request.uri().path()) {
        return Err(unknown_path(request.uri()));
    }
    // CONNECT names another server, and the response to TRACE would show Firecrawl's key.
    if [Method::CONNECT, Method::TRACE].contains(request.method()) {
        return Err(ApiError::WrongMethod);
    }
    pass(&state, &firecrawl, request).await
}

/// Sends a request to Firecrawl, and returns its response.
pub(super) async fn pass(
    state: &AppState,
    firecrawl: &Arc<Firecrawl>,
    request: Request,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let protocol = take_protocol_key(&mut parts);
    if let Some(key) = &protocol {
        let authorization = [b"Bearer ", key.as_bytes()].concat();
        if let Ok(value) = HeaderValue::from_bytes(&authorization) {
            parts.headers.insert(AUTHORIZATION, value);
        }
    }
    let team = admit(&parts, state)?;
    let upgrade = Upgrade {
        client: parts.extensions.remove(),
        connection: parts.extensions.get().cloned(),
        protocol,
    };
    readdress(&mut parts, firecrawl.connector().server());
    let request = Request::from_parts(parts, body);
    let response = send(state, firecrawl, &team, request).await?;
    upgrade.answer(firecrawl, response)
}

/// The parts of an upgrade of the client's connection.
struct Upgrade {
    client: Option<OnUpgrade>,
    connection: Option<Arc<ClientConnection>>,
    /// The subprotocol that contained the key. The client expects it in the response.
    protocol: Option<HeaderValue>,
}

impl Upgrade {
    /// Returns Firecrawl's response, and relays the WebSocket that follows it.
    fn answer(
        self,
        firecrawl: &Arc<Firecrawl>,
        mut response: axum::http::Response<Received>,
    ) -> Result<Response, ApiError> {
        if !is_upgraded(&response) {
            return Ok(answer(response));
        }
        let (Some(client), Some(connection)) = (self.client, self.connection) else {
            let reason = "it changed the protocol, which the request did not ask for";
            return Err(ApiError::FirecrawlUnavailable(reason.to_owned()));
        };
        let server = hyper::upgrade::on(&mut response);
        let (mut parts, body) = response.into_parts();
        strip(&mut parts.headers);
        set_websocket(&mut parts.headers);
        if let Some(protocol) = self.protocol {
            parts
                .headers
                .entry(SEC_WEBSOCKET_PROTOCOL)
                .or_insert(protocol);
        }
        connection.tunnel();
        firecrawl.spawn(relay(client, server, body, connection));
        Ok(Response::from_parts(parts, Body::empty()))
    }
}
