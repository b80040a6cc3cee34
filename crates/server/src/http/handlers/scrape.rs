//! `POST /v2/scrape`: scrapes a page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hearth_contract::ScrapeRequest;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::extract::KeptRequest;
use crate::http::forward::place;
use crate::http::state::AppState;
use crate::scrape::Scraped;

/// The time that a client has for reading a response.
const SEND_TIME: Duration = Duration::from_mins(1);

/// The size of the pieces of a response.
const PIECE_BYTES: usize = 64 * 1024;

pub(crate) async fn scrape(
    State(state): State<AppState>,
    Extension(connection): Extension<Arc<ClientConnection>>,
    request: KeptRequest,
) -> Result<Response, ApiError> {
    let KeptRequest {
        team,
        body,
        parts,
        bytes,
    } = request;
    let scrape = ScrapeRequest::parse(&body).map_err(ApiError::Validation)?;
    drop(body);
    let (scrapes, tracker) = (state.scrapes(), state.registry().tracker());
    let run = || async move {
        let response = scrapes.scrape(team, scrape).await?;
        Ok::<_, ApiError>(stream_response(response, connection, tracker))
    };
    place(&state, &parts, bytes, run).await
}

/// Sends a response piece by piece. Its memory stays reserved until it is sent, which the client
/// must allow in time.
fn stream_response(
    scraped: Scraped,
    connection: Arc<ClientConnection>,
    tracker: &TaskTracker,
) -> Response {
    let Scraped { json, reserved } = scraped;
    let sent = CancellationToken::new();
    let owned = (reserved, sent.clone().drop_guard());
    let json = Bytes::from(json);
    let pieces = (0..json.len()).step_by(PIECE_BYTES).map(move |start| {
        // The closure owns them until the last piece is sent.
        let _ = &owned;
        let end = json.len().min(start + PIECE_BYTES);
        Ok::<_, Infallible>(json.slice(start..end))
    });
    let end = Instant::now() + SEND_TIME;
    tracker.spawn(async move {
        tokio::select! {
            () = sent.cancelled() => {}
            () = sleep_until(end) => connection.abort(),
        }
    });
    let body = Body::from_stream(stream::iter(pieces));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
