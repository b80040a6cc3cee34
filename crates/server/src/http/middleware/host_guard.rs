//! Rejects requests from other sites when the server has no API keys.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::error::ApiError;
use crate::http::origin::is_loopback_host;
use crate::http::state::AppState;

/// Rejects a request with 403 when the server has no API keys and the request does not come from
/// this machine.
///
/// Otherwise, any web page could reach a server without API keys. The `Host` header reveals DNS
/// rebinding, and the `Origin` header reveals cross-site requests.
pub(crate) async fn reject_foreign_hosts(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let is_allowed = !state.keys().is_empty()
        || (has_loopback_host(&request) && has_allowed_origin(&request, state.allowed_origins()));
    if !is_allowed {
        return ApiError::ForeignHost.into_response();
    }
    next.run(request).await
}

/// Returns whether the headers and the URI contain at least one host, and only loopback hosts.
fn has_loopback_host(request: &Request) -> bool {
    let headers = request
        .headers()
        .get_all(HOST)
        .iter()
        .map(|host| host.to_str().unwrap_or_default());
    let mut hosts = headers
        .chain(request.uri().authority().map(Authority::as_str))
        .peekable();
    hosts.peek().is_some() && hosts.all(is_loopback_host)
}

/// Returns whether a request changes nothing, or comes from a page of this machine, from a page of
/// an allowed origin or from no page. Browsers send `Origin` with every request that can change
/// something.
fn has_allowed_origin(request: &Request, allowed: &[String]) -> bool {
    let mut origins = request
        .headers()
        .get_all(ORIGIN)
        .iter()
        .map(|origin| origin.to_str().unwrap_or_default());
    request.method().is_safe()
        || origins.all(|origin| {
            let is_local = origin
                .split_once("://")
                .is_some_and(|(_, host)| is_loopback_host(host));
            is_local || allowed.iter().any(|allowed| allowed == origin)
        })
}
