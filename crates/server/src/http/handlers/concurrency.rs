//! `GET /v2/concurrency-check`: counts the team's active sessions.

use axum::Json;
use axum::extract::State;
use hearth_contract::ConcurrencyResponse;

use crate::http::error::ApiError;
use crate::http::extract::AuthenticatedTeam;
use crate::http::state::AppState;

pub(crate) async fn concurrency(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
) -> Result<Json<ConcurrencyResponse>, ApiError> {
    let counted = state.registry().concurrency(&team).await;
    let (active, max) = counted.map_err(|error| ApiError::StoreUnreadable(error.to_string()))?;
    Ok(Json(ConcurrencyResponse::new(active, max)))
}
