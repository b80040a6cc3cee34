//! `GET /health`: whether the server answers. No key needed.

use axum::Json;
use hearth_contract::HealthResponse;

pub(crate) async fn health() -> Json<HealthResponse> {
    Json(HealthResponse::new(env!("CARGO_PKG_VERSION")))
}
