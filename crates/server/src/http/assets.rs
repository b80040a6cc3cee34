//! What pages for browsers consist of, in the executable. The pages themselves are in
//! `live_view/page` and `operator/page`.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::http::error::ApiError;

/// Browsers are not to guess.
pub(crate) const NO_SNIFFING: (HeaderName, HeaderValue) =
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// A script, or a style.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

impl Part {
    pub const fn script(name: &'static str, text: &'static str) -> Part {
        Part {
            name,
            content_type: "text/javascript; charset=utf-8",
            text,
        }
    }

    pub const fn style(name: &'static str, text: &'static str) -> Part {
        Part {
            name,
            content_type: "text/css; charset=utf-8",
            text,
        }
    }
}

/// The part that a path names, if there is one.
pub(crate) fn serve(
    parts: &'static [Part],
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let part = name
        .ok()
        .and_then(|Path(name)| parts.iter().find(|part| part.name == name));
    let Part {
        content_type, text, ..
    } = part.ok_or(ApiError::UnknownPath)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        // A newer server may have another one.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        NO_SNIFFING,
    ];
    Ok((headers, *text).into_response())
}
