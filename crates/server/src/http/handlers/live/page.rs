//! `GET /live/{id}`: the page, and what it consists of.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::admit;
use crate::http::assets::{self, NO_SNIFFING};
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::state::AppState;
use crate::live_view::page;

/// The same page for everybody. The status is for programs; the page finds out by itself and says
/// it in words.
pub(crate) async fn show(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    uri: Uri,
) -> Response {
    let status = match admit(&state, &id, &uri) {
        Ok(_) => StatusCode::OK,
        Err(error) => error.status(),
    };
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CONTENT_SECURITY_POLICY, state.page_policy().clone()),
        // The address is a secret.
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        NO_SNIFFING,
    ];
    (status, headers, page::HTML).into_response()
}

/// `GET /live/page/{part}`: a script of the page, or its style.
pub(crate) async fn part(name: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    assets::serve(&page::PARTS, name)
}
