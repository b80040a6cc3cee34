//! `GET /workbench/sessions/{id}/lines`: the console and network lines of a session's page, as
//! server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hearth_contract::KEEP_ALIVE_COMMENT;
use tokio::time::{Instant, sleep_until};

use super::access::find_readable;
use crate::api_keys::Principal;
use crate::http::error::ApiError;
use crate::http::event_headers::EVENT_HEADERS;
use crate::http::extract::SessionId;
use crate::http::state::AppState;
use crate::workbench::PageLogReader;

/// The time without a line after which a comment is sent, which reveals a client that has left.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Responds with the lines from now on, until the session ends or the client leaves.
pub(crate) async fn lines(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    principal: Principal,
) -> Result<Response, ApiError> {
    let session = find_readable(&state, &id, &principal).await?;
    let reader = session.read_page_log(state.registry().tracker())?;
    let events = stream::unfold(reader, async |mut reader| {
        let event = next_event(&mut reader).await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    Ok((EVENT_HEADERS, Body::from_stream(events)).into_response())
}

async fn next_event(reader: &mut PageLogReader) -> Option<String> {
    tokio::select! {
        line = reader.next() => line.map(|line| format!("data: {line}\n\n")),
        () = sleep_until(Instant::now() + KEEP_ALIVE) => Some(KEEP_ALIVE_COMMENT.to_owned()),
    }
}
