//! `DELETE /v2/browser/{id}`: ends a session. Doing it again answers the same.

use axum::Json;
use axum::extract::State;
use hearth_contract::{DeleteResponse, DestroyedReason};

use crate::error::ApiError;
use crate::request::{Caller, SessionId};
use crate::sessions::Known;
use crate::state::AppState;

pub(crate) async fn delete_session(
    State(state): State<AppState>,
    caller: Caller,
    SessionId(id): SessionId,
) -> Result<Json<DeleteResponse>, ApiError> {
    let duration_ms = match state.find(&id, &caller.team)? {
        Known::Own(session) => session.end(DestroyedReason::Deleted).await.duration_ms,
        Known::Past(record) => record.ending.map_or(0, |ending| ending.duration_ms),
    };
    Ok(Json(DeleteResponse::new(duration_ms)))
}
