//! Fields of a head that are between two neighbours only, and are not carried on (RFC 9110, 7.6.1).
//! Pure.

use hyper::HeaderMap;
use hyper::header::{
    CONNECTION, EXPECT, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATE: HeaderName = HeaderName::from_static("proxy-authenticate");
pub(crate) const PROXY_AUTHORIZATION: HeaderName = HeaderName::from_static("proxy-authorization");

/// What always ends here. How long a body is, is told anew by whoever writes it on.
static HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    // Answered here, when the body is asked for.
    EXPECT,
    KEEP_ALIVE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    PROXY_CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes away what is not carried on, and what `Connection` names besides.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter_map(|token| token.parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Whether the head asks for a WebSocket, or grants one.
pub(crate) fn is_websocket_upgrade(headers: &HeaderMap) -> bool {
    let has = |name: &HeaderName, wanted: &str| {
        tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
    };
    let is_alone = tokens(headers, &UPGRADE).count() == 1;
    has(&CONNECTION, "upgrade") && has(&UPGRADE, "websocket") && is_alone
}

/// Asks for a WebSocket, or grants one, from here on.
pub(crate) fn set_websocket_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| {
            (
                name.parse::<HeaderName>().expect("a name"),
                value.parse::<HeaderValue>().expect("a value"),
            )
        };
        lines.iter().map(parse).collect()
    }

    #[test]
    fn what_is_between_neighbours_ends_here() {
        let mut stripped = headers(&[
            ("connection", "close, X-Private"),
            ("connection", "x-other"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("x-private", "1"),
            ("x-other", "1"),
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
        ]);
        strip(&mut stripped);
        assert_eq!(
            stripped,
            headers(&[("accept", "*/*"), ("authorization", "Bearer x")])
        );
    }

    #[test]
    fn of_all_upgrades_only_web_sockets_are_known() {
        assert!(is_websocket_upgrade(&headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket")
        ])));
        for lines in [
            vec![("upgrade", "websocket")],
            vec![("connection", "upgrade")],
            vec![("connection", "upgrade"), ("upgrade", "h2c")],
            vec![("connection", "upgrade"), ("upgrade", "websocket, h2c")],
            vec![
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("upgrade", "h2c"),
            ],
        ] {
            assert!(!is_websocket_upgrade(&headers(&lines)), "{lines:?}");
        }
    }
}
