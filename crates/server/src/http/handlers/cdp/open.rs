//! `GET /cdp/{id}`: the WebSocket to a session's browser, and `/devtools/page/{target}` below it:
//! to one target.

use axum::extract::rejection::PathRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use hearth_browser::Side;

use super::{Address, describe};
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::state::AppState;
use crate::http::ws::cdp as cdp_socket;
use crate::sessions::Session;

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// The browser, from outside, with the token of `cdpUrl`.
pub(crate) async fn browser(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    address: Address,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    let session = address.admit(&state, &id, Session::token)?;
    if upgrade.is_err() && address.asks_for_version {
        return describe::describe(&state, &session, &address).await;
    }
    open(&state, &session, None, Side::Outside, upgrade).await
}

/// One target of it, as `/json/list` names it.
pub(crate) async fn target(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    address: Address,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    // A path that is no text leads to no session.
    let (id, target) = path.map(|Path(names)| names).unwrap_or_default();
    let session = address.admit(&state, &id, Session::token)?;
    open(&state, &session, Some(&target), Side::Outside, upgrade).await
}

/// The browser, from the session's own kernels and daemon, with the token that only they get.
pub(crate) async fn internal(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    address: Address,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    let session = address.admit(&state, &id, Session::internal_token)?;
    open(&state, &session, None, Side::Inside, upgrade).await
}

async fn open(
    state: &AppState,
    session: &Session,
    target: Option<&str>,
    side: Side,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::UpgradeRequired)?;
    // Before the 101: a client that is refused now knows at once, one that is closed after it
    // hangs.
    let client = session.attach_client(target, side).await?;
    let tracker = state.registry().tracker().clone();
    Ok(cdp_socket::accept(upgrade, client, tracker))
}
