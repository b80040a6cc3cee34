//! `DELETE /v2/browser/{id}`: ends a session. The request is idempotent.

use axum::Json;
use axum::extract::State;
use hearth_contract::{DeleteResponse, DestroyedReason, ProfileWarning};

use crate::http::error::ApiError;
use crate::http::extract::{AuthenticatedTeam, SessionId};
use crate::http::state::AppState;
use crate::sessions::SessionEntry;

pub(crate) async fn delete_session(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
    SessionId(id): SessionId,
) -> Result<Json<DeleteResponse>, ApiError> {
    let session = state.team_session(&id, &team).await?;
    Ok(Json(end_session(session).await))
}

/// Ends a session, unless it has ended already.
pub(super) async fn end_session(session: SessionEntry) -> DeleteResponse {
    let (duration_ms, warning) = match session {
        SessionEntry::Current(session) => (
            session.end(DestroyedReason::Deleted).await.duration_ms,
            session.end_warning(),
        ),
        SessionEntry::Recorded(record) => {
            (record.ending.map_or(0, |ending| ending.duration_ms), None)
        }
    };
    DeleteResponse::new(duration_ms, warning.as_ref().map(ProfileWarning::sentence))
}
