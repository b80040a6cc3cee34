//! `GET /cdp/{id}/json/version` and `/json/list`: what a browser on a debugging port tells of itself, for clients
//! that are given an `http` address. Field names are Chromium's.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Query, admit};
use crate::error::ApiError;
use crate::sessions::Session;
use crate::state::AppState;

/// What the browser is, and where its WebSocket is.
pub(crate) async fn version(
    State(state): State<AppState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = Query::new(query.as_ref());
    let session = admit(&state, &id, &query, &headers, Session::token)?;
    describe(&state, &session, &query, &headers).await
}

pub(super) async fn describe(
    state: &AppState,
    session: &Session,
    query: &Query<'_>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let identity = session.identity().await?;
    // Some clients refuse an answer without it. Chromium writes its revision there.
    let webkit = format!("537.36 ({})", identity.revision);
    let body = json!({
        "Browser": identity.product,
        "Protocol-Version": identity.protocol_version,
        "User-Agent": identity.user_agent,
        "V8-Version": identity.js_version,
        "WebKit-Version": webkit,
        "webSocketDebuggerUrl": address(state, session, "", query, headers),
    });
    Ok(Json(body).into_response())
}

/// What a client may attach to, each with a WebSocket of its own.
pub(crate) async fn list(
    State(state): State<AppState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = Query::new(query.as_ref());
    let session = admit(&state, &id, &query, &headers, Session::token)?;
    let targets = session.targets().await?.into_iter().map(|target| {
        json!({
            "description": "",
            "devtoolsFrontendUrl": "",
            "id": target.id,
            "title": target.title,
            "type": target.kind,
            "url": target.url,
            "webSocketDebuggerUrl":
                address(&state, &session, &format!("/devtools/page/{}", target.id), &query, &headers),
        })
    });
    Ok(Json(Value::Array(targets.collect())).into_response())
}

/// An address below the session's, with the query of the request: whatever let this client in lets it in there.
fn address(state: &AppState, session: &Session, path: &str, query: &Query<'_>, headers: &HeaderMap) -> String {
    let base = state.cdp_base(session, headers);
    if query.text.is_empty() { format!("{base}{path}") } else { format!("{base}{path}?{}", query.text) }
}
