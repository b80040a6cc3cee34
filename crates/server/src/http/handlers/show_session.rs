//! `GET /v2/browser/{id}`: describes one session, active or ended.

use axum::Json;
use axum::extract::State;
use hearth_contract::{SessionStatus, StatusResponse, True};

use crate::clock;
use crate::http::error::ApiError;
use crate::http::extract::{AuthenticatedTeam, SessionId};
use crate::http::links::Links;
use crate::http::state::AppState;

pub(crate) async fn show_session(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
    SessionId(id): SessionId,
    links: Links,
) -> Result<Json<StatusResponse>, ApiError> {
    let session = state.team_session(&id, &team).await?;
    let (cdp_url, live_view) = links.of(&session);
    let record = session.record();
    let ending = record.ending;
    Ok(Json(StatusResponse {
        success: True,
        id: record.id.to_string(),
        status: if ending.is_some() {
            SessionStatus::Destroyed
        } else {
            SessionStatus::Active
        },
        cdp_url,
        live_view_url: live_view.watch,
        interactive_live_view_url: live_view.control,
        created_at: clock::format(record.created_at),
        last_activity: clock::format(record.last_activity),
        expires_at: clock::format(record.expires_at),
        session_duration_ms: ending.map(|ending| ending.duration_ms),
        destroyed_reason: ending.map(|ending| ending.reason),
    }))
}
