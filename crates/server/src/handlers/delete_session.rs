//! `DELETE /v2/browser/{id}`: ends a session. Doing it again answers the same.

use axum::Json;
use axum::extract::State;
use hearth_contract::{DeleteResponse, DestroyedReason};

use crate::error::ApiError;
use crate::request::{Caller, SessionId};
use crate::state::AppState;

pub(crate) async fn delete_session(
    State(state): State<AppState>,
    caller: Caller,
    SessionId(id): SessionId,
) -> Result<Json<DeleteResponse>, ApiError> {
    let session = state.find(&id, &caller.team)?;
    let ending = session.end(DestroyedReason::Deleted).await;
    Ok(Json(DeleteResponse::new(ending.duration_ms)))
}
