//! `GET /`: the page itself. It says nothing of the server, and asks for a key by itself.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};

use crate::http::assets::{self, NO_SNIFFING};
use crate::http::error::ApiError;
use crate::operator::page;

/// It may be itself, and in nobody's frame: it has a button that ends sessions.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) async fn show() -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        NO_SNIFFING,
    ];
    (headers, page::HTML).into_response()
}

/// `GET /operator/page/{part}`: a script of the page, or its style.
pub(crate) async fn part(name: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    assets::serve(&page::PARTS, name)
}
