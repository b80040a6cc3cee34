//! `GET /cdp/{id}`: the WebSocket to a session's browser. The token in the address is the only key.

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use hearth_contract::ErrorBody;
use uuid::Uuid;

use crate::auth::Token;
use crate::cdp_socket;
use crate::error::ApiError;
use crate::sessions::Session;
use crate::state::AppState;

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;
type Pairs = Query<Vec<(String, String)>>;

/// From outside, with the token of `cdpUrl`.
pub(crate) async fn open_public(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(query): Pairs,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    open(&state, &id, &query, upgrade, Session::token).await
}

/// From the session's own kernels and daemon, with the token that only they get.
pub(crate) async fn open_internal(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(query): Pairs,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    open(&state, &id, &query, upgrade, Session::internal_token).await
}

async fn open(
    state: &AppState,
    id: &str,
    query: &[(String, String)],
    upgrade: Upgrade,
    expected: impl Fn(&Session) -> &Token,
) -> Result<Response, ApiError> {
    let presented = query.iter().find(|(name, _)| name == "token").map(|(_, value)| value.as_str());
    let presented = presented.ok_or_else(|| ApiError::Unauthorized(ErrorBody::token_missing()))?;
    // An unknown session and a wrong token look the same: the address is a secret as a whole.
    let session = Uuid::parse_str(id).ok().and_then(|id| state.registry().find(id));
    let session = session.filter(|session| expected(session).matches(presented));
    let session = session.ok_or_else(|| ApiError::Unauthorized(ErrorBody::invalid_token()))?;
    let upgrade = upgrade.map_err(|_| ApiError::UpgradeRequired)?;
    // Before the 101: a client that is refused now knows at once, one that is closed after it hangs.
    let client = session.attach_client().await?;
    let tracker = state.registry().tracker().clone();
    Ok(cdp_socket::accept(upgrade, client, tracker))
}
