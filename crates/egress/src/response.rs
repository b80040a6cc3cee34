//! Builds the proxy's own responses. No other module of the proxy chooses status codes.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::denied::{Denied, Reason};

/// A forwarded body, or a text of the proxy.
pub(crate) type Body = Either<Incoming, Full<Bytes>>;

/// Builds the response to a plain request that was denied or failed.
pub(crate) fn denied(denied: &Denied) -> Response<Body> {
    fail_in_browsers(build(status_of(denied.reason), denied.to_text()))
}

/// Builds the response to a CONNECT request that was denied or failed. Most programs show only its
/// first line, so the reason phrase contains the explanation.
pub(crate) fn denied_tunnel(denied: &Denied) -> Response<Body> {
    let mut response = build(status_of(denied.reason), denied.to_text());
    if let Ok(phrase) = ReasonPhrase::try_from(denied.to_line()) {
        response.extensions_mut().insert(phrase);
    }
    response
}

/// Builds the response to an invalid plain request.
pub(crate) fn bad_request(reason: &str) -> Response<Body> {
    fail_in_browsers(bad_tunnel_request(reason))
}

/// Builds the response to an invalid CONNECT request.
pub(crate) fn bad_tunnel_request(reason: &str) -> Response<Body> {
    build(StatusCode::BAD_REQUEST, format!("{reason}.\n"))
}

/// Makes Chromium report a network error, as for a denied tunnel. Otherwise it would show the
/// response as if it were the page. Chromium rejects responses with two different values of this
/// field; other clients ignore it and read the text.
fn fail_in_browsers(mut response: Response<Body>) -> Response<Body> {
    for value in ["inline", "attachment"] {
        response
            .headers_mut()
            .append(CONTENT_DISPOSITION, HeaderValue::from_static(value));
    }
    response
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

fn build(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
