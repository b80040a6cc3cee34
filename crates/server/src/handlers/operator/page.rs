//! `GET /`: the page itself. It says nothing of the server, and asks for a key by itself.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::operator;

/// It may be itself, and in nobody's frame: it has a button that ends sessions.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) async fn show() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, operator::HTML).into_response()
}

/// `GET /operator/page/{part}`: a script of the page, or its style.
pub(crate) async fn part(name: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let part = name.ok().and_then(|Path(name)| operator::part(&name)).ok_or(ApiError::UnknownPath)?;
    let headers = [
        (CONTENT_TYPE, part.kind),
        // A newer server may have another one.
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, part.text).into_response())
}
