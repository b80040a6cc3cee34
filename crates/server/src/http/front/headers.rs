//! The headers of a request that is passed on, and those that name a server.

use axum::http::header::{HOST, SEC_WEBSOCKET_PROTOCOL};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};

use crate::http::hop_by_hop::take_over;
use crate::http::ws::upgrade::is_websocket;
use crate::outgoing::RemoteServer;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Turns the head of a client's request into that of a request to `server`. Leaves the key alone.
///
/// Firecrawl builds links from `Host`, so they lead back here. Only a server with HTTPS gets its
/// own name, because it usually has other names on the same address.
pub(super) fn readdress(parts: &mut Parts, server: &RemoteServer) {
    take_over(parts);
    let headers = &mut parts.headers;
    if let Some(own) = server.host_header()
        && (server.is_https() || !headers.contains_key(HOST))
        && let Some(host) = headers.insert(HOST, own)
    {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
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
    use axum::http::header::UPGRADE;

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
