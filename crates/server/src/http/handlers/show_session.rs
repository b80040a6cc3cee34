//! `GET /v2/browser/{id}`: one session, active or ended.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use hearth_contract::{SessionStatus, StatusResponse, True};

use crate::clock;
use crate::http::error::ApiError;
use crate::http::extract::{Caller, SessionId};
use crate::http::state::AppState;

pub(crate) async fn show_session(
    State(state): State<AppState>,
    caller: Caller,
    SessionId(id): SessionId,
    headers: HeaderMap,
) -> Result<Json<StatusResponse>, ApiError> {
    let known = state.find(&id, &caller.team)?;
    let live_view = state.live_view_urls_of(&known, &headers);
    let session = known.record();
    let ending = session.ending;
    Ok(Json(StatusResponse {
        success: True,
        id: session.id.to_string(),
        status: if ending.is_some() {
            SessionStatus::Destroyed
        } else {
            SessionStatus::Active
        },
        cdp_url: state.cdp_url_of(&known, &headers),
        live_view_url: live_view.watch,
        interactive_live_view_url: live_view.steer,
        created_at: clock::format(session.created_at),
        last_activity: clock::format(session.last_activity),
        expires_at: clock::format(session.expires_at),
        session_duration_ms: ending.map(|ending| ending.duration_ms),
        destroyed_reason: ending.map(|ending| ending.reason),
    }))
}
