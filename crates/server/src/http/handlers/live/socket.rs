//! `GET /live/{id}/socket`: what the page connects to.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::admit;
use crate::clock;
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::state::AppState;
use crate::http::ws::live_view;
use crate::live_view::Farewell;

pub(crate) async fn open(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    if !state.is_own_origin(&headers) {
        return Err(ApiError::ForeignOrigin);
    }
    let (session, right) = admit(&state, &id, &uri)?;
    let upgrade = upgrade.map_err(|_| ApiError::LiveViewUpgradeRequired)?;
    let live_view = session.live_view()?;
    let ended = async move {
        let ending = session.ended().await;
        Farewell {
            reason: ending.reason,
            sentence: ending.sentence(),
            at: clock::format(ending.at),
        }
    };
    Ok(live_view::accept(
        upgrade,
        live_view,
        right,
        ended,
        state.registry().tracker().clone(),
    ))
}
