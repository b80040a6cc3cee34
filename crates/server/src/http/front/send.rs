//! Sends a request to Firecrawl.

use axum::body::Body;
use axum::response::Response;

use crate::firecrawl::{Firecrawl, FirecrawlError};
use crate::http::error::ApiError;
use crate::http::hop_by_hop::strip;
use crate::http::state::AppState;
use crate::metrics::FirecrawlFailure;
use crate::outgoing::Received;
use crate::team::Team;

/// Sends a request to Firecrawl, and counts a failure.
pub(super) async fn send(
    state: &AppState,
    firecrawl: &Firecrawl,
    team: &Team,
    request: axum::http::Request<Body>,
) -> Result<axum::http::Response<Received>, ApiError> {
    firecrawl.send(team, request).await.map_err(|error| {
        let metrics = state.registry().metrics();
        metrics.firecrawl().failed(match &error {
            FirecrawlError::Silent(_) => FirecrawlFailure::Silent,
            FirecrawlError::Busy | FirecrawlError::TeamQueueFull(_) => FirecrawlFailure::Busy,
        });
        ApiError::from(error)
    })
}

/// Returns Firecrawl's response without the headers that belong to its connection.
pub(super) fn answer(response: axum::http::Response<Received>) -> Response {
    let mut response = response.map(Body::new);
    strip(response.headers_mut());
    response
}
