//! Lets web pages of configured origins call the API (`HEARTH_CORS_ORIGINS`).

use std::time::Duration;

use axum::http::header::{
    AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
    RETRY_AFTER,
};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::request_log::REQUEST_ID;

/// The time for which browsers may remember the response to a preflight request.
const MAX_AGE: Duration = Duration::from_mins(10);

/// Returns a layer that answers preflight requests, which have no key, and adds the headers of the
/// Fetch standard to other responses. Returns `None` if there are no origins.
pub(crate) fn allow_origins(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins.iter().filter_map(|origin| origin.parse().ok());
    let origins: Vec<HeaderValue> = origins.collect();
    let request_id = HeaderName::from_static(REQUEST_ID);
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_RANGE,
            RANGE,
            request_id.clone(),
        ])
        .expose_headers([
            CONTENT_DISPOSITION,
            CONTENT_RANGE,
            ETAG,
            RETRY_AFTER,
            request_id,
        ])
        .max_age(MAX_AGE);
    Some(layer)
}
