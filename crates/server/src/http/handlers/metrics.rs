//! `GET /metrics`: what Prometheus collects. With keys, for the operator's; any key where there is
//! none of an operator.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::metrics;

pub(crate) async fn metrics(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let onlooker = state.keys().onlooker(&headers)?;
    if !state.keys().admits_to_figures(&onlooker) {
        return Err(ApiError::OperatorsOnly);
    }
    let registry = state.registry();
    let text = registry.metrics().render(&registry.read().await);
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
