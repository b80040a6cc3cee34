//! Builds the proxy's own responses. No other module of the proxy chooses status codes.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

use crate::denied::{Denied, Reason};

/// A forwarded body, or a text of the proxy.
pub(crate) type Body = Either<Incoming, Full<Bytes>>;

/// Returns whether the client accepts HTML.
pub(crate) fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .any(|value| value.as_bytes().windows(9).any(|part| part == b"text/html"))
}

/// Builds the response to a request that was denied or failed.
pub(crate) fn denied(denied: &Denied, as_html: bool) -> Response<Body> {
    let (text, kind) = if as_html {
        (denied.to_page(), "text/html; charset=utf-8")
    } else {
        (denied.to_text(), "text/plain; charset=utf-8")
    };
    build(status_of(denied.reason), text, kind)
}

/// Builds the response to a CONNECT request that was denied or failed. Most programs show only its
/// first line, so the reason phrase contains the explanation.
pub(crate) fn denied_tunnel(denied: &Denied) -> Response<Body> {
    let mut response = self::denied(denied, false);
    if let Ok(phrase) = ReasonPhrase::try_from(denied.to_line()) {
        response.extensions_mut().insert(phrase);
    }
    response
}

/// Builds the response to an invalid request.
pub(crate) fn bad_request(reason: &str) -> Response<Body> {
    build(
        StatusCode::BAD_REQUEST,
        format!("{reason}.\n"),
        "text/plain; charset=utf-8",
    )
}

/// Returns whether the status announces the body that the client requested.
pub(crate) fn has_requested_body(status: StatusCode) -> bool {
    [StatusCode::OK, StatusCode::PARTIAL_CONTENT].contains(&status)
}

/// Returns whether the upstream proxy rejected the credentials of this proxy.
pub(crate) fn is_proxy_auth_required(status: StatusCode) -> bool {
    status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
}

/// Builds the response that opens a tunnel.
pub(crate) fn connected() -> Response<Body> {
    Response::new(Either::Right(Full::default()))
}

fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        reason if reason.is_rule() => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_GATEWAY,
    }
}

fn build(status: StatusCode, text: String, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
