//! `GET /cdp/{id}/json/version` and `/json/list`: what a browser on a debugging port tells of
//! itself, for clients that are given an `http` address. Field names are Chromium's.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Address;
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::state::AppState;
use crate::sessions::Session;

/// What the browser is, and where its WebSocket is.
pub(crate) async fn version(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    address: Address,
) -> Result<Response, ApiError> {
    describe(
        &state,
        &*address.admit(&state, &id, Session::token)?,
        &address,
    )
    .await
}

pub(super) async fn describe(
    state: &AppState,
    session: &Session,
    address: &Address,
) -> Result<Response, ApiError> {
    let identity = session.identity().await?;
    let body = json!({
        "Browser": identity.product,
        "Protocol-Version": identity.protocol_version,
        "User-Agent": identity.user_agent,
        "V8-Version": identity.js_version,
        // Some clients refuse an answer without it. Chromium writes its revision there.
        "WebKit-Version": format!("537.36 ({})", identity.revision),
        "webSocketDebuggerUrl": address.of_socket(state, session, ""),
    });
    Ok(Json(body).into_response())
}

/// What a client may attach to, each with a WebSocket of its own.
pub(crate) async fn list(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    address: Address,
) -> Result<Response, ApiError> {
    let session = address.admit(&state, &id, Session::token)?;
    let targets = session.targets().await?.into_iter().map(|target| {
        json!({
            "description": "",
            "devtoolsFrontendUrl": "",
            "id": target.id,
            "title": target.title,
            "type": target.kind,
            "url": target.url,
            "webSocketDebuggerUrl": address.of_socket(&state, &session, &format!("/devtools/page/{}", target.id)),
        })
    });
    Ok(Json(Value::Array(targets.collect())).into_response())
}
