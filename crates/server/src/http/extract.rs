//! Reading requests in the order that clients expect: the body first, then the key.

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

use crate::http::auth::Team;
use crate::http::error::ApiError;
use crate::http::state::AppState;

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 10_000_000;

/// A client that is still sending does not read. Up to this much more is thrown away, so that it
/// gets its answer.
const MAX_DISCARDED_BYTES: usize = 64_000_000;

/// How long a body may take.
const BODY_BOUND: Duration = Duration::from_secs(30);

/// The id of a session as a path names it, whatever that is. One that is no text is as unknown as
/// one that is no UUID.
pub(crate) struct SessionId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for SessionId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<SessionId, Infallible> {
        let names = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let id = names.ok().and_then(|Path(mut names)| names.remove("id"));
        Ok(SessionId(id.unwrap_or_default()))
    }
}

/// An authenticated caller.
pub(crate) struct Caller {
    pub team: Team,
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Caller, ApiError> {
        Ok(Caller {
            team: state.keys().authenticate(&parts.headers)?,
        })
    }
}

/// An authenticated caller and the JSON that they sent.
pub(crate) struct ApiRequest {
    pub team: Team,
    pub headers: HeaderMap,
    /// `{}` when there was no body, or one that is no JSON.
    pub body: Value,
}

impl FromRequest<AppState> for ApiRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<ApiRequest, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(&parts.headers, body).await?;
        let body = parse_body(&parts, &bytes)?;
        let team = state.keys().authenticate(&parts.headers)?;
        Ok(ApiRequest {
            team,
            headers: parts.headers,
            body,
        })
    }
}

/// The token in a query. Ours need no decoding.
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
        let waits_for_leave = headers.contains_key(EXPECT);
        // Either it has not begun to send, or it would send more than we care to throw away.
        if waits_for_leave || announced > Some(MAX_BODY_BYTES + MAX_DISCARDED_BYTES) {
            return Err(ApiError::TooLarge);
        }
    }
    let deadline = Instant::now() + BODY_BOUND;
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
    let nothing = || Value::Object(serde_json::Map::new());
    if parts.method == Method::GET || bytes.is_empty() || !is_json(&parts.headers) {
        return Ok(nothing());
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
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
