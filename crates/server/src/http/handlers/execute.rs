//! `POST /v2/browser/{id}/execute`: runs code in a session.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use hearth_contract::{ExecuteRequest, ExecuteResponse};

use crate::http::error::ApiError;
use crate::http::extract::{ApiRequest, SessionId};
use crate::http::state::AppState;
use crate::metrics::ExecuteOutcome;
use crate::sessions::SessionEntry;

pub(crate) async fn execute(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    request: ApiRequest,
) -> Result<Json<ExecuteResponse>, ApiError> {
    let execute = ExecuteRequest::parse(&request.body).map_err(ApiError::Validation)?;
    let SessionEntry::Current(session) = state.team_session(&id, &request.team)? else {
        return Err(ApiError::SessionDestroyed);
    };
    if session.ending().is_none() && state.registry().is_stopping() {
        state.registry().metrics().execution_finished(
            execute.language,
            ExecuteOutcome::NotStarted,
            Duration::ZERO,
        );
        return Err(ApiError::Stopping);
    }
    Ok(Json(session.execute(execute).await?))
}
