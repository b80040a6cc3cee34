//! `GET /live/{id}`: the page and its assets.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use super::access::authorize;
use crate::http::assets;
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::state::AppState;
use crate::live_view::page::PAGE;

/// Responds with the page, which is identical for every link. The status code tells programs
/// whether the link works. The page shows a message if the server rejects its WebSocket.
pub(crate) async fn html(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    uri: Uri,
) -> Response {
    let status = match authorize(&state, &id, &uri).await {
        Ok(_) => StatusCode::OK,
        Err(error) => error.status(),
    };
    assets::html(&PAGE, status, state.live_view_policy().clone(), "no-store")
}

/// `GET /live/page/{part}`: a script or stylesheet of the page.
pub(crate) async fn asset(name: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    assets::asset(&PAGE, name)
}
