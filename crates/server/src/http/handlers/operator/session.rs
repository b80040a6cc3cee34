//! `GET /operator/sessions/{id}/picture` and `DELETE /operator/sessions/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use hearth_browser::Viewport;
use hearth_contract::{DestroyedReason, EndedResponse};

use super::find;
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::state::AppState;

/// The largest picture, in pixels.
const SMALL: Viewport = Viewport {
    width: 480,
    height: 480,
};

/// No page of others may show it (Fetch Standard, Cross-Origin-Resource-Policy).
const ONLY_OURS: (HeaderName, &str) = (
    HeaderName::from_static("cross-origin-resource-policy"),
    "same-origin",
);

/// A small JPEG of what the session's current tab shows; 204 when that is nothing.
pub(crate) async fn picture(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let session = find(&state, &id, &headers)?;
    if session.ending().is_some() {
        return Err(ApiError::SessionDestroyed);
    }
    Ok(match session.glance(SMALL).await {
        Some(jpeg) => {
            let headers = [
                (CONTENT_TYPE, "image/jpeg"),
                (CACHE_CONTROL, "no-store"),
                ONLY_OURS,
            ];
            (headers, jpeg).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// As if its caller had deleted it.
pub(crate) async fn end(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    headers: HeaderMap,
) -> Result<Json<EndedResponse>, ApiError> {
    let session = find(&state, &id, &headers)?;
    tracing::info!(session = %session.id(), "an operator ends a session");
    session.end(DestroyedReason::Deleted).await;
    Ok(Json(EndedResponse::default()))
}
