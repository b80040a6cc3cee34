//! Request extractors. They check a request's body before its key, because clients expect this
//! order.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use hearth_budget::{Budget, Reservation};
use hearth_contract::Body as RequestBody;
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::{Duration, Instant, timeout_at};
use uuid::Uuid;

use crate::api_keys::Principal;
use crate::config::ServerLimits;
use crate::http::auth;
use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::metrics::Rejection;
use crate::sessions::record_team;
use crate::team::{self, Team};

/// The maximum size of a request body.
const MAX_BODY_BYTES: usize = 10_000_000;

/// The bytes beyond the maximum that are read and discarded. Most clients do not read a response
/// while they still send, so without this they would not see the error.
pub(crate) const MAX_DISCARDED_BYTES: usize = 64_000_000;

/// The minimum rate of a body after its first part.
const MIN_BYTES_PER_SECOND: u64 = 16 * 1024;

/// The number of characters of a header that an error quotes.
const MAX_NAMED_CHARS: usize = 100;

/// The `{id}` path segment, unvalidated. Text that is not a UUID yields 404.
pub(crate) struct SessionId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for SessionId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<SessionId, Infallible> {
        Ok(SessionId(segment(parts, state, "id").await))
    }
}

/// Returns a segment of the path, or an empty text.
async fn segment<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> String {
    let names = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
    let segment = names.ok().and_then(|Path(mut names)| names.remove(name));
    segment.unwrap_or_default()
}

/// The `{jobId}` path segment, unvalidated.
pub(crate) struct JobId(String);

impl JobId {
    /// The length of a UUID with hyphens. Other forms have other lengths.
    const CHARS: usize = 36;

    /// Returns the id of a scrape, or the error for text that is not a UUID. Called after the key
    /// has been checked, because clients expect this order.
    pub fn parse(&self) -> Result<Uuid, ApiError> {
        let text = Some(&self.0).filter(|text| text.len() == JobId::CHARS);
        let id = text.and_then(|text| Uuid::parse_str(text).ok());
        id.ok_or(ApiError::InvalidJobId)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for JobId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<JobId, Infallible> {
        Ok(JobId(segment(parts, state, "jobId").await))
    }
}

/// The team that the request's API key belongs to. The request counts towards the key's rate.
pub(crate) struct AuthenticatedTeam(pub Team);

impl FromRequestParts<AppState> for AuthenticatedTeam {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<AuthenticatedTeam, ApiError> {
        admit(parts, state).map(AuthenticatedTeam)
    }
}

impl FromRequestParts<AppState> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Principal, ApiError> {
        let principal = auth::identify(&state.keys(), &parts.headers)?;
        if let Principal::Team(team) = &principal {
            record_team(team);
        }
        keep_connection(parts);
        Ok(principal)
    }
}

/// An authenticated request with a JSON body.
pub(crate) struct ApiRequest {
    pub team: Team,
    /// `{}` when the body is empty.
    pub body: RequestBody,
}

impl FromRequest<AppState> for ApiRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<ApiRequest, ApiError> {
        let KeptRequest { team, body, .. } = KeptRequest::from_request(request, state).await?;
        Ok(ApiRequest { team, body })
    }
}

/// An authenticated request with a JSON body, whose bytes are kept.
pub(crate) struct KeptRequest {
    pub team: Team,
    pub body: RequestBody,
    pub parts: Parts,
    /// The body as it was received, which stays accounted for.
    pub bytes: Bytes,
}

impl FromRequest<AppState> for KeptRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<KeptRequest, ApiError> {
        let (parts, body) = request.into_parts();
        // A request counts once, although the key of a large one is checked several times.
        let admitted = OnceLock::new();
        let authenticate = || {
            if let Some(team) = admitted.get() {
                return Ok(Team::clone(team));
            }
            let team = admit(&parts, state)?;
            Ok(Team::clone(admitted.get_or_init(|| team)))
        };
        let mut buffer = BodyBuffer::new(state.buffers(), state.limits());
        let result = buffer.read(&parts.headers, body, &authenticate).await;
        result?;
        let buffer = Arc::new(buffer);
        let turn = async || {
            let team = authenticate()?;
            state.turn(state.large_bodies(), &team).await
        };
        let body = parse_body(&parts, Arc::clone(&buffer), turn).await?;
        let team = authenticate()?;
        Ok(KeptRequest {
            team,
            body,
            parts,
            bytes: Bytes::from_owner(KeptBytes(buffer)),
        })
    }
}

/// Checks the key of a request, counts the request towards the key's rate, and returns the team.
/// Without keys, all clients are one team.
pub(crate) fn admit(parts: &Parts, state: &AppState) -> Result<Team, ApiError> {
    let keys = state.keys();
    let key = auth::authenticate(&keys, &parts.headers)?;
    keep_connection(parts);
    let team = key.map_or_else(team::everybody, |key| Team::clone(&key.team));
    record_team(&team);
    let Some(key) = key else {
        return Ok(team);
    };
    if let Some(Err(exceeded)) = key.rate.as_ref().map(|rate| rate.count()) {
        let teams = state.registry().metrics().teams();
        teams.request_rejected(&key.team, Rejection::KeyRate);
        return Err(ApiError::RateExceeded(exceeded));
    }
    Ok(team)
}

/// Protects the connection of an authenticated request from being replaced by a new one.
pub(crate) fn keep_connection(parts: &Parts) {
    if let Some(connection) = parts.extensions.get::<Arc<ClientConnection>>() {
        connection.authenticate();
    }
}

/// Returns the `token` parameter of a query. Tokens need no percent-decoding.
pub(crate) fn token_in(query: &str) -> Option<&str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="))
}

/// The parts of a body that has a minimum rate.
pub(crate) struct BodyParts {
    body: Body,
    received: u64,
    /// The time at which the next part would be too late if nothing had arrived.
    first_deadline: Instant,
}

impl BodyParts {
    pub fn new(body: Body, limits: ServerLimits) -> BodyParts {
        BodyParts {
            body,
            received: 0,
            first_deadline: Instant::now() + limits.body_time,
        }
    }

    /// Returns the next part, or none at the end of the body.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let seconds = self.received / MIN_BYTES_PER_SECOND;
            let deadline = self.first_deadline + Duration::from_secs(seconds);
            let frame = timeout_at(deadline, self.body.frame())
                .await
                .map_err(|_| ApiError::IncompleteBody)?;
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(data) = frame.map_err(|_| ApiError::IncompleteBody)?.into_data() {
                self.received += data.len() as u64;
                return Ok(Some(data));
            }
        }
    }

    /// Reads and drops the rest of a body, up to a maximum.
    pub async fn discard(mut self) {
        while self.received < MAX_DISCARDED_BYTES as u64 {
            let Ok(Some(_)) = self.next().await else {
                return;
            };
        }
    }
}

/// A request's body while it arrives.
struct BodyBuffer {
    bytes: Vec<u8>,
    reserved: Reservation,
    received: usize,
    limits: ServerLimits,
}

/// The bytes of a body, with the buffer that accounts for them.
struct KeptBytes(Arc<BodyBuffer>);

impl AsRef<[u8]> for KeptBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl BodyBuffer {
    fn new(buffers: &Budget, limits: ServerLimits) -> BodyBuffer {
        BodyBuffer {
            bytes: Vec::new(),
            reserved: buffers.empty(),
            received: 0,
            limits,
        }
    }

    /// Reads the whole body. Checks the key before a large one.
    async fn read(
        &mut self,
        headers: &HeaderMap,
        body: Body,
        authenticate: impl Fn() -> Result<Team, ApiError>,
    ) -> Result<(), ApiError> {
        let max_unchecked = self.limits.unchecked_body_bytes;
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced > Some(max_unchecked) {
            authenticate()?;
        }
        if announced > Some(MAX_BODY_BYTES) {
            let waits_for_continue = headers.contains_key(EXPECT);
            // The client has not started to send, or would send more than is discarded.
            if waits_for_continue || announced > Some(MAX_BODY_BYTES + MAX_DISCARDED_BYTES) {
                return Err(ApiError::TooLarge);
            }
        }
        let mut parts = BodyParts::new(body, self.limits);
        while let Some(data) = parts.next().await? {
            let was_small = self.received <= max_unchecked;
            self.received += data.len();
            if was_small && self.received > max_unchecked {
                authenticate()?;
            }
            self.push(&data)?;
            if self.received > MAX_BODY_BYTES + MAX_DISCARDED_BYTES {
                break;
            }
        }
        if self.received > MAX_BODY_BYTES {
            return Err(ApiError::TooLarge);
        }
        Ok(())
    }

    /// Appends a part, or drops everything once the body is too large.
    fn push(&mut self, data: &[u8]) -> Result<(), ApiError> {
        if self.received > MAX_BODY_BYTES {
            self.bytes = Vec::new();
            self.reserved.shrink_to(0);
            return Ok(());
        }
        self.reserved
            .grow(data.len())
            .map_err(|_| ApiError::Overloaded)?;
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

/// Parses a body. A large one waits for a turn, and is parsed on its own thread, because that takes
/// long.
async fn parse_body(
    parts: &Parts,
    buffer: Arc<BodyBuffer>,
    turn: impl AsyncFnOnce() -> Result<OwnedSemaphorePermit, ApiError>,
) -> Result<RequestBody, ApiError> {
    if parts.method == Method::GET || buffer.bytes.is_empty() {
        return Ok(RequestBody::empty());
    }
    let encoding = header_text(&parts.headers, &CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Err(ApiError::CompressedBody(encoding));
    }
    if buffer.bytes.len() <= buffer.limits.unchecked_body_bytes {
        return RequestBody::parse(&buffer.bytes).map_err(|_| invalid_json(&parts.headers));
    }
    let turn = turn().await?;
    let parsing = spawn_blocking(move || {
        // Parsing continues when the client disconnects, so it holds its turn itself.
        let _turn = turn;
        RequestBody::parse(&buffer.bytes)
    });
    parsing
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?
        .map_err(|_| invalid_json(&parts.headers))
}

/// Returns the error for a body that is not JSON. Names the content type if that is another one.
fn invalid_json(headers: &HeaderMap) -> ApiError {
    let content_type = header_text(headers, &CONTENT_TYPE);
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        ApiError::InvalidJson
    } else {
        ApiError::NotJson(content_type)
    }
}

/// Returns the start of a header's value, or an empty text.
pub(crate) fn header_text(headers: &HeaderMap, name: &HeaderName) -> String {
    let text = headers.get(name).map(HeaderValue::as_bytes);
    let text = String::from_utf8_lossy(text.unwrap_or_default());
    text.chars().take(MAX_NAMED_CHARS).collect()
}

#[cfg(test)]
mod fuzz;
