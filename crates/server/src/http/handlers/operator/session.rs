//! `GET /operator/sessions/{id}/picture` and `DELETE /operator/sessions/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use hearth_browser::Viewport;
use hearth_contract::{DestroyedReason, EndedResponse};

use super::access::find_session;
use crate::api_keys::Principal;
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::state::AppState;
use crate::team::display_name;

/// The maximum size of a thumbnail, in pixels.
const THUMBNAIL_SIZE: Viewport = Viewport {
    width: 480,
    height: 480,
};

/// Prevents pages of other origins from embedding the response (Fetch Standard,
/// Cross-Origin-Resource-Policy).
const SAME_ORIGIN: (HeaderName, &str) = (
    HeaderName::from_static("cross-origin-resource-policy"),
    "same-origin",
);

/// Responds with a small JPEG of the session's current tab, or 204 when there is nothing to show.
pub(crate) async fn thumbnail(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    principal: Principal,
) -> Result<Response, ApiError> {
    let session = find_session(&state, &id, &principal).await?;
    if session.ending().is_some() {
        return Err(ApiError::SessionDestroyed);
    }
    Ok(match session.thumbnail(THUMBNAIL_SIZE).await {
        Some(jpeg) => {
            let headers = [
                (CONTENT_TYPE, "image/jpeg"),
                (CACHE_CONTROL, "no-store"),
                SAME_ORIGIN,
            ];
            (headers, jpeg).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Ends a session with the same reason as if its client had deleted it.
pub(crate) async fn end(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    principal: Principal,
) -> Result<Json<EndedResponse>, ApiError> {
    let session = find_session(&state, &id, &principal).await?;
    tracing::info!(
        session = %session.id(),
        team = display_name(session.team()),
        "operator ended session"
    );
    session.end(DestroyedReason::Deleted).await;
    Ok(Json(EndedResponse::default()))
}
