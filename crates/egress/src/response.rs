//! What a program is told when its request is not carried on: the only place of the proxy with
//! status codes.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

use crate::denied::{Reason, Refusal};

/// Carried bytes, or words of our own.
pub(crate) type Body = Either<Incoming, Full<Bytes>>;

/// Whether whoever sent these headers reads pages.
pub(crate) fn reads_pages(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .any(|value| value.as_bytes().windows(9).any(|part| part == b"text/html"))
}

/// The answer to a request for something that is refused or not there.
pub(crate) fn refused(refusal: &Refusal, as_page: bool) -> Response<Body> {
    let (text, kind) = if as_page {
        (refusal.as_page(), "text/html; charset=utf-8")
    } else {
        (refusal.as_text(), "text/plain; charset=utf-8")
    };
    told(status_of(refusal.reason), text, kind)
}

/// The answer to a CONNECT. Most programs show nothing of it but the first line, so that has the
/// reason.
pub(crate) fn refused_tunnel(refusal: &Refusal) -> Response<Body> {
    let mut response = refused(refusal, false);
    if let Ok(phrase) = ReasonPhrase::try_from(refusal.in_a_line()) {
        response.extensions_mut().insert(phrase);
    }
    response
}

/// The answer to what cannot be understood.
pub(crate) fn bad(why: &str) -> Response<Body> {
    told(
        StatusCode::BAD_REQUEST,
        format!("{why}.\n"),
        "text/plain; charset=utf-8",
    )
}

/// Whether a status says that the body is there as it was asked for.
pub(crate) fn is_whole(status: StatusCode) -> bool {
    [StatusCode::OK, StatusCode::PARTIAL_CONTENT].contains(&status)
}

/// Whether a status is about us and not about the program: a proxy beyond ours wants another
/// password.
pub(crate) fn is_for_a_proxy(status: StatusCode) -> bool {
    status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
}

/// The answer after which bytes are carried as they are.
pub(crate) fn connected() -> Response<Body> {
    Response::new(Either::Right(Full::default()))
}

fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::TooSlow => StatusCode::GATEWAY_TIMEOUT,
        reason if reason.is_rule() => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_GATEWAY,
    }
}

fn told(status: StatusCode, text: String, kind: &'static str) -> Response<Body> {
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
