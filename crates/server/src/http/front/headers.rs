//! Headers that belong to one connection, and those that name a server.

use axum::http::header::{
    CONNECTION, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri, Version};

use crate::http::ws::upgrade::is_websocket;
use crate::outgoing::RemoteServer;

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

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Turns the head of a client's request into that of a request to `server`. Leaves the key alone.
///
/// Firecrawl builds links from `Host`, so they lead back here. Only a server with HTTPS gets its
/// own name, because it usually has other names on the same address.
pub(super) fn readdress(parts: &mut Parts, server: &RemoteServer) {
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
    // Reading the body has sent the answer to it.
    headers.remove(EXPECT);
    if let Some(host) = named.and_then(|host| HeaderValue::try_from(host).ok()) {
        headers.insert(HOST, host);
    }
    if let Some(own) = server.host_header()
        && (server.is_https() || !headers.contains_key(HOST))
        && let Some(host) = headers.insert(HOST, own)
    {
        headers.entry(FORWARDED_HOST).or_insert(host);
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

/// Removes and returns the subprotocol of a WebSocket without an `Authorization` header, which is
/// where Firecrawl's clients put the key.
pub(super) fn take_protocol_key(parts: &mut Parts) -> Option<HeaderValue> {
    if is_websocket(parts)
        && !parts
            .headers
            .contains_key(axum::http::header::AUTHORIZATION)
    {
        parts.headers.remove(SEC_WEBSOCKET_PROTOCOL)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn readdressed(server: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder()
            .uri("/v2/map?a=%20b")
            .body(())
            .expect("a request");
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a name");
            request
                .headers_mut()
                .append(name, value.parse().expect("a value"));
        }
        let (mut parts, ()) = request.into_parts();
        readdress(&mut parts, &server.parse().expect("an origin"));
        parts
    }

    fn text(parts: &Parts) -> Vec<String> {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().expect("text"))
        };
        let mut lines: Vec<String> = parts.headers.iter().map(line).collect();
        lines.sort();
        lines
    }

    #[test]
    fn only_headers_of_the_connection_are_removed() {
        let parts = readdressed(
            "http://api:3002",
            &[
                ("host", "front.example:8080"),
                ("connection", "close, x-hop"),
                ("x-hop", "1"),
                ("keep-alive", "timeout=5"),
                ("te", "trailers"),
                ("expect", "100-continue"),
                ("x-request-id", "7"),
                ("content-type", "application/json"),
                ("cookie", "a=b"),
            ],
        );
        assert_eq!(parts.uri, "/v2/map?a=%20b");
        assert_eq!(
            text(&parts),
            [
                "content-type: application/json",
                "cookie: a=b",
                "host: front.example:8080",
                "x-request-id: 7"
            ]
        );
    }

    #[test]
    fn a_server_with_https_gets_its_own_name() {
        let headers = [("host", "front.example")];
        let parts = readdressed("https://firecrawl.example", &headers);
        let expected = ["host: firecrawl.example", "x-forwarded-host: front.example"];
        assert_eq!(text(&parts), expected);
        let nameless = readdressed("http://api:3002", &[]);
        assert_eq!(text(&nameless), ["host: api:3002"]);
    }

    #[test]
    fn only_an_upgrade_to_a_websocket_is_passed_on() {
        let upgrade = |protocol| {
            [
                ("host", "h"),
                ("connection", "keep-alive, Upgrade"),
                ("upgrade", protocol),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ]
        };
        let parts = readdressed("http://api", &upgrade("websocket"));
        assert!(text(&parts).contains(&"upgrade: websocket".to_owned()));
        let parts = readdressed("http://api", &upgrade("h2c"));
        assert!(!parts.headers.contains_key(UPGRADE));
    }
}
