//! Headers that belong to one connection, and not to the request or response that it carries.

use axum::http::header::{
    CONNECTION, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri, Version};

use crate::http::ws::upgrade::is_websocket;

/// Headers that belong to one connection (RFC 9110, section 7.6.1), and two that clients send
/// instead.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Turns the head of a client's request into that of a request on another connection. An upgrade to
/// a WebSocket stays one.
pub(super) fn take_over(parts: &mut Parts) {
    let is_websocket = is_websocket(parts);
    let path = parts
        .uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    let named = parts.uri.authority().map(ToString::to_string);
    parts.uri = Uri::from(path);
    parts.version = Version::HTTP_11;
    parts.extensions = Extensions::new();
    let headers = &mut parts.headers;
    strip(headers);
    // hyper answers it when the body is read.
    headers.remove(EXPECT);
    if let Some(host) = named.and_then(|host| HeaderValue::try_from(host).ok()) {
        headers.insert(HOST, host);
    }
    if is_websocket {
        set_websocket(headers);
    }
}

/// Removes the headers that belong to one connection.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Adds the headers of an upgrade to a WebSocket.
pub(super) fn set_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}
