//! Responses for web pages and the files they load.

use anyhow::Context;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::embedded::Page;
use crate::http::error::ApiError;

/// Stops browsers from guessing a content type.
const NOSNIFF: (HeaderName, HeaderValue) =
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// Responds with a page's HTML.
pub(crate) fn html(
    page: &'static Page,
    status: StatusCode,
    content_security_policy: HeaderValue,
    cache_control: &'static str,
) -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CONTENT_SECURITY_POLICY, content_security_policy),
        // A page's URL can contain a secret.
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static(cache_control)),
        NOSNIFF,
    ];
    (status, headers, page.html).into_response()
}

/// Responds with the asset that the path names.
pub(crate) fn asset(
    page: &'static Page,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let asset = name
        .ok()
        .and_then(|Path(name)| page.assets.iter().find(|asset| asset.name == name))
        .ok_or(ApiError::UnknownPath)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        // A later version of the server can serve a different asset under this name.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        NOSNIFF,
    ];
    Ok((headers, asset.text).into_response())
}

/// The operator page's `Content-Security-Policy`. No other page may show it in a frame, because it
/// has a button that ends sessions.
pub(crate) const OPERATOR_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The workbench's `Content-Security-Policy`. It shows the live view in a frame. No other page may
/// show the workbench in one, because it runs code.
pub(crate) const WORKBENCH_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; \
     frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Returns the live view page's `Content-Security-Policy`. It allows the page to load its own
/// files, and allows the given sources to show the page in a frame.
pub(crate) fn live_view_policy(frame_ancestors: &str) -> anyhow::Result<HeaderValue> {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors {frame_ancestors}"
    );
    HeaderValue::try_from(policy).context("cannot use HEARTH_FRAME_ANCESTORS in a header")
}
