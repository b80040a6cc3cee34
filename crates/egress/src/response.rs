//! What a program is told when its request is not carried on: the only slot of the proxy with
//! status codes.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

use crate::denied::{Denied, Reason};

/// Carried bytes, or words of our own.
pub(crate) type Body = Either<Incoming, Full<Bytes>>;

/// Whether whoever sent these headers reads log.
pub(crate) fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .any(|value| value.as_bytes().windows(9).any(|part| part == b"text/html"))
}

/// The answer to a request for something that is refused or not there.
pub(crate) fn denied(denied: &Denied, as_html: bool) -> Response<Body> {
    let (text, kind) = if as_html {
        (denied.to_page(), "text/html; charset=utf-8")
    } else {
        (denied.to_text(), "text/plain; charset=utf-8")
    };
    build(status_of(denied.reason), text, kind)
}

/// The answer to a CONNECT. Most programs show nothing of it but the first line, so that has the
/// reason.
pub(crate) fn denied_tunnel(denied: &Denied) -> Response<Body> {
    let mut response = self::denied(denied, false);
    if let Ok(phrase) = ReasonPhrase::try_from(denied.to_line()) {
        response.extensions_mut().insert(phrase);
    }
    response
}

/// The answer to what cannot be understood.
pub(crate) fn bad_request(why: &str) -> Response<Body> {
    build(
        StatusCode::BAD_REQUEST,
        format!("{why}.\n"),
        "text/plain; charset=utf-8",
    )
}

/// Whether a status says that the body is there as it was asked for.
pub(crate) fn is_complete(status: StatusCode) -> bool {
    [StatusCode::OK, StatusCode::PARTIAL_CONTENT].contains(&status)
}

/// Whether a status is about us and not about the program: a proxy beyond ours wants another
/// password.
pub(crate) fn is_proxy_auth_required(status: StatusCode) -> bool {
    status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
}

/// The answer after which bytes are carried as they are.
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
