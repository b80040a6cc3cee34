//! `GET /v2/concurrency-check`: counts the team's active sessions.

use axum::Json;
use axum::extract::State;
use hearth_contract::ConcurrencyResponse;

use crate::http::extract::AuthenticatedTeam;
use crate::http::state::AppState;

pub(crate) async fn concurrency(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
) -> Json<ConcurrencyResponse> {
    let (active, max) = state.registry().concurrency(&team);
    Json(ConcurrencyResponse::new(active, max))
}
