//! `GET /metrics`: the metrics in `OpenMetrics` text format. Requires the operator key. If no
//! operator key is configured, any API key works.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::api_keys::Principal;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::metrics;

pub(crate) async fn metrics(
    State(state): State<AppState>,
    principal: Principal,
) -> Result<Response, ApiError> {
    if !state.keys().can_read_metrics(&principal) {
        return Err(ApiError::OperatorsOnly);
    }
    let registry = state.registry();
    let text = registry
        .metrics()
        .render(&state.read_gauges(), |team| principal.can_see(team));
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
