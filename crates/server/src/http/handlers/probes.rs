//! `GET /livez` and `GET /readyz`, for whoever restarts servers and sends them work. No key needed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hearth_contract::{LivenessResponse, ReadinessResponse};

use crate::http::error::ApiError;
use crate::http::state::AppState;

pub(crate) async fn livez() -> Json<LivenessResponse> {
    Json(LivenessResponse::default())
}

pub(crate) async fn readyz(State(state): State<AppState>) -> (StatusCode, Json<ReadinessResponse>) {
    let answer = ReadinessResponse::new(&state.registry().not_ready());
    // The same status as that of the session that is not made.
    let status = if answer.ready {
        StatusCode::OK
    } else {
        ApiError::Stopping.status()
    };
    (status, Json(answer))
}
