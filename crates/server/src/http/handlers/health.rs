//! `GET /health`: the server's version and isolation level. Requires no key.

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
