//! `GET /livez` and `GET /readyz`: probes for orchestrators and load balancers. Require no key.

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
    let mut response = ReadinessResponse::new(&state.not_ready());
    response.firecrawl = state.firecrawl().map(|firecrawl| firecrawl.answers());
    response.test_mode = state.registry().test_mode().is_some();
    // A request to create a session would get the same status.
    let status = if response.ready {
        StatusCode::OK
    } else {
        ApiError::Stopping.status()
    };
    (status, Json(response))
}
