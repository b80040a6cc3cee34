//! Sends scrapes to Firecrawl, and remembers their pages.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use hearth_budget::Reservation;
use hearth_contract::{Format, ScrapeContext, ScrapeRequest};
use http_body_util::BodyExt;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::headers::readdress;
use super::kept::Kept;
use super::pass::pass;
use super::scrape_id::{Change, ScrapeId, scrape_id};
use super::send::{answer, send};
use crate::config::ScrapeServer;
use crate::firecrawl::Firecrawl;
use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::extract::KeptRequest;
use crate::http::handlers;
use crate::http::hop_by_hop::strip;
use crate::http::state::AppState;
use crate::outgoing::Received;
use crate::team::Team;

/// The maximum size of a response that is read before it is sent. A client that wants to interact
/// with the page of a larger one names the page.
const MAX_READ_BYTES: usize = 32 << 20;

/// The size above which a response is searched on another thread.
const MAX_INLINE_BYTES: usize = 64 << 10;

/// The maximum size of a request whose page is remembered. Contexts are smaller.
const MAX_REMEMBERED_BYTES: usize = 256 << 10;

/// Answers a request for a scrape, or sends it to Firecrawl.
pub(crate) async fn scrape(
    State(state): State<AppState>,
    Extension(connection): Extension<Arc<ClientConnection>>,
    request: Request,
) -> Result<Response, ApiError> {
    let firecrawl = state.firecrawl().cloned();
    let firecrawl = firecrawl.filter(|firecrawl| firecrawl.scrape() != ScrapeServer::Own);
    let Some(firecrawl) = firecrawl else {
        let request = KeptRequest::from_request(request, &state).await?;
        return handlers::scrape::scrape(State(state), Extension(connection), request).await;
    };
    if request.headers().contains_key(CONTENT_ENCODING) {
        return pass(&state, &firecrawl, request).await;
    }
    let kept = KeptRequest::from_request(request, &state).await?;
    if firecrawl.scrape() == ScrapeServer::Auto && needs_this_server(&kept.body) {
        return handlers::scrape::scrape(State(state), Extension(connection), kept).await;
    }
    forward(&state, &firecrawl, kept).await
}

/// Returns true if the default setup of Firecrawl rejects a scrape, and this server does not.
fn needs_this_server(body: &hearth_contract::Body) -> bool {
    ScrapeRequest::parse(body).is_ok_and(|request| {
        let is_screenshot = |format: &Format| matches!(format, Format::Screenshot { .. });
        !request.actions.is_empty()
            || request.profile.is_some()
            || request.formats.iter().any(is_screenshot)
    })
}

/// Sends a scrape to Firecrawl, remembers its page, and returns the response.
async fn forward(
    state: &AppState,
    firecrawl: &Firecrawl,
    request: KeptRequest,
) -> Result<Response, ApiError> {
    let KeptRequest {
        team,
        mut parts,
        bytes,
        body,
    } = request;
    let is_small = bytes.len() <= MAX_REMEMBERED_BYTES;
    let context = is_small.then(|| ScrapeContext::from_accepted(&body));
    drop(body);
    readdress(&mut parts, firecrawl.connector().server());
    parts.headers.remove(TRANSFER_ENCODING);
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    // The response is read here.
    parts
        .headers
        .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let request = Request::from_parts(parts, Body::from(bytes));
    let response = send(state, firecrawl, &team, request).await?;
    if !is_readable(response.status(), response.headers()) {
        return Ok(answer(response));
    }
    let (mut parts, mut body) = response.into_parts();
    strip(&mut parts.headers);
    let mut reserved = state.buffers().empty();
    let (first, is_whole) = read(&mut body, &mut reserved).await?;
    if !is_whole {
        let body = Kept::new([first], Some(body), reserved);
        return Ok(Response::from_parts(parts, Body::new(body)));
    }
    let mut pieces = vec![first.clone()];
    if let Some(ScrapeId { id, change }) = search(state, &team, first.clone()).await? {
        if let Some(Change { range, text }) = change {
            let length = first.len() - range.len() + text.len();
            parts
                .headers
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
            let (before, after) = (first.slice(..range.start), first.slice(range.end..));
            pieces = vec![before, text.into(), after];
        }
        // The team can then interact with the page.
        if let Some(context) = context.flatten() {
            state.scrapes().remember(id, &team, &context).await;
        }
    }
    let body = Kept::new(pieces, None, reserved);
    Ok(Response::from_parts(parts, Body::new(body)))
}

/// Returns true for a response that can contain the id of a scrape, and is small enough.
fn is_readable(status: StatusCode, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(&CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    let media_type = text(&CONTENT_TYPE).and_then(|value| value.split(';').next());
    status == StatusCode::OK
        && media_type.is_some_and(|name| name.trim().eq_ignore_ascii_case("application/json"))
        && text(&CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity")
        && length.is_none_or(|length| length <= MAX_READ_BYTES)
}

/// Reads a body, and returns true if it is complete. Stops when it is too large, or when the
/// buffers of the server are full.
async fn read(body: &mut Received, reserved: &mut Reservation) -> Result<(Bytes, bool), ApiError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::FirecrawlUnavailable(error.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        bytes.extend_from_slice(&data);
        // A part that is not accounted for has the size of one read.
        if reserved.grow(data.len()).is_err() || bytes.len() > MAX_READ_BYTES {
            return Ok((bytes.into(), false));
        }
    }
    Ok((bytes.into(), true))
}

/// Searches a response for the id of the scrape. A large one waits for a turn.
async fn search(
    state: &AppState,
    team: &Team,
    response: Bytes,
) -> Result<Option<ScrapeId>, ApiError> {
    let fresh = Uuid::now_v7();
    if response.len() <= MAX_INLINE_BYTES {
        return Ok(scrape_id(&response, fresh));
    }
    let turn = state.turn(state.large_bodies(), team).await?;
    let searching = spawn_blocking(move || {
        let _turn = turn;
        scrape_id(&response, fresh)
    });
    searching
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))
}
