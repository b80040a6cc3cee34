//! `GET /cdp/{id}/json/version` and `/json/list`: Chromium's HTTP endpoints for clients that start
//! from an `http` URL. The field names are Chromium's.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::access::CdpRequest;
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::links::Links;
use crate::http::state::AppState;
use crate::sessions::Session;

/// Describes the browser and its WebSocket URL.
pub(crate) async fn version(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    request: CdpRequest,
    links: Links,
) -> Result<Response, ApiError> {
    let session = request.authorize(&state, &id).await?;
    browser_version(&session, &request, &links).await
}

pub(super) async fn browser_version(
    session: &Session,
    request: &CdpRequest,
    links: &Links,
) -> Result<Response, ApiError> {
    let info = session.browser_info().await?;
    let body = json!({
        "Browser": info.product,
        "Protocol-Version": info.protocol_version,
        "User-Agent": info.user_agent,
        "V8-Version": info.js_version,
        // Some clients reject a response without this field. Chromium puts its revision here.
        "WebKit-Version": format!("537.36 ({})", info.revision),
        "webSocketDebuggerUrl": request.socket_url(links, session, ""),
    });
    Ok(Json(body).into_response())
}

/// Lists the targets that a client can attach to, each with its WebSocket URL.
pub(crate) async fn list(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    request: CdpRequest,
    links: Links,
) -> Result<Response, ApiError> {
    let session = request.authorize(&state, &id).await?;
    let targets = session.targets().await?.into_iter().map(|target| {
        let path = format!("/devtools/page/{}", target.id);
        json!({
            "description": "",
            "devtoolsFrontendUrl": "",
            "id": target.id,
            "title": target.title,
            "type": target.kind,
            "url": target.url,
            "webSocketDebuggerUrl": request.socket_url(&links, &session, &path),
        })
    });
    Ok(Json(Value::Array(targets.collect())).into_response())
}
