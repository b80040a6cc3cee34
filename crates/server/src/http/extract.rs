//! Request extractors. They check a request's body before its key, because clients expect this
//! order.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::{Duration, Instant, timeout_at};

use crate::api_keys::Principal;
use crate::http::auth;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::team::Team;

/// The maximum size of a request body.
const MAX_BODY_BYTES: usize = 10_000_000;

/// The maximum number of bytes beyond the limit that are read and discarded. Most clients do not
/// read a response while they are sending, so they would otherwise miss the error.
const MAX_DISCARDED_BYTES: usize = 64_000_000;

/// The time limit for a client to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The `{id}` path segment, unvalidated. Text that is not a UUID yields 404.
pub(crate) struct SessionId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for SessionId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<SessionId, Infallible> {
        let names = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let id = names.ok().and_then(|Path(mut names)| names.remove("id"));
        Ok(SessionId(id.unwrap_or_default()))
    }
}

/// The team that the request's API key belongs to.
pub(crate) struct AuthenticatedTeam(pub Team);

impl FromRequestParts<AppState> for AuthenticatedTeam {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<AuthenticatedTeam, ApiError> {
        auth::authenticate(state.keys(), &parts.headers).map(AuthenticatedTeam)
    }
}

impl FromRequestParts<AppState> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Principal, ApiError> {
        auth::identify(state.keys(), &parts.headers)
    }
}

/// An authenticated request with a JSON body.
pub(crate) struct ApiRequest {
    pub team: Team,
    /// The JSON body, or `{}` when it is empty or its content type is not JSON.
    pub body: Value,
}

impl FromRequest<AppState> for ApiRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<ApiRequest, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(&parts.headers, body).await?;
        let body = parse_body(&parts, &bytes)?;
        let team = auth::authenticate(state.keys(), &parts.headers)?;
        Ok(ApiRequest { team, body })
    }
}

/// Returns the `token` parameter of a query. Tokens need no percent-decoding.
pub(crate) fn token_in(query: &str) -> Option<&str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="))
}

async fn read_body(headers: &HeaderMap, mut body: Body) -> Result<Vec<u8>, ApiError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY_BYTES) {
        let waits_for_continue = headers.contains_key(EXPECT);
        // The client has not started to send, or announced more than the server discards.
        if waits_for_continue || announced > Some(MAX_BODY_BYTES + MAX_DISCARDED_BYTES) {
            return Err(ApiError::TooLarge);
        }
    }
    let deadline = Instant::now() + BODY_TIMEOUT;
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0).min(MAX_BODY_BYTES));
    let mut received = 0;
    loop {
        let frame = timeout_at(deadline, body.frame())
            .await
            .map_err(|_| ApiError::IncompleteBody)?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| ApiError::IncompleteBody)?.into_data() else {
            continue;
        };
        received += data.len();
        if received <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
        }
        if received > MAX_BODY_BYTES + MAX_DISCARDED_BYTES {
            break;
        }
    }
    if received > MAX_BODY_BYTES {
        Err(ApiError::TooLarge)
    } else {
        Ok(bytes)
    }
}

fn parse_body(parts: &Parts, bytes: &[u8]) -> Result<Value, ApiError> {
    let empty = || Value::Object(serde_json::Map::new());
    if parts.method == Method::GET || bytes.is_empty() || !is_json(&parts.headers) {
        return Ok(empty());
    }
    match serde_json::from_slice(bytes) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Ok(_) | Err(_) => Err(ApiError::InvalidJson),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}
