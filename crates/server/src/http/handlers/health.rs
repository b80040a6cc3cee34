//! `GET /health`: whether the server answers, and how sessions are kept apart. No key needed.

use axum::Json;
use axum::extract::State;
use hearth_contract::HealthResponse;

use crate::http::state::AppState;

pub(crate) async fn health(State(state): State<AppState>) -> Json<HealthResponse> {
    Json(HealthResponse::new(
        env!("CARGO_PKG_VERSION"),
        state.isolation().as_str(),
    ))
}
