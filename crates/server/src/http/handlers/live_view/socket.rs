//! `GET /live/{id}/socket`: the WebSocket that the page opens.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::access::authorize;
use crate::clock;
use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::origin::is_same_origin;
use crate::http::state::AppState;
use crate::http::ws;
use crate::live_view::SessionEnded;

pub(crate) async fn connect(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    headers: HeaderMap,
    uri: Uri,
    Extension(connection): Extension<Arc<ClientConnection>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    if !is_same_origin(&headers, state.public_url()) {
        return Err(ApiError::ForeignOrigin);
    }
    let (session, access) = authorize(&state, &id, &uri).await?;
    let upgrade = upgrade.map_err(|_| ApiError::LiveViewUpgradeRequired)?;
    connection.authenticate();
    let live_view = session.live_view()?;
    let budget = session.budget()?;
    let ended = async move {
        let ending = session.ended().await;
        SessionEnded {
            reason: ending.reason,
            sentence: ending.sentence(),
            at: clock::format(ending.at),
        }
    };
    Ok(ws::live_view::accept(
        upgrade,
        live_view,
        access,
        ended,
        &connection,
        &budget,
        state.registry().tracker().clone(),
    ))
}
