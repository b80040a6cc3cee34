//! `GET /cdp/{id}` and `/cdp/{id}/devtools/page/{target}`: a WebSocket to a session's browser or to
//! one of its targets.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use hearth_browser::ClientOrigin;

use super::access::CdpRequest;
use super::describe;
use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::links::Links;
use crate::http::state::AppState;
use crate::http::ws;
use crate::http::ws::upgrade::Upgrade;
use crate::sessions::{ProgramAccess, Session, SessionError};

type UpgradeResult = Result<Upgrade, ApiError>;

/// Connects an external client to the browser. The client has the token in `cdpUrl`.
pub(crate) async fn browser(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    request: CdpRequest,
    links: Links,
    Extension(connection): Extension<Arc<ClientConnection>>,
    upgrade: UpgradeResult,
) -> Result<Response, ApiError> {
    let session = request.authorize(&state, &id).await?;
    if upgrade.is_err() && request.asks_for_version {
        return describe::browser_version(&session, &request, &links).await;
    }
    connection.authenticate();
    connect(
        &state,
        &session,
        None,
        ClientOrigin::External,
        connection,
        upgrade,
    )
    .await
}

/// Connects an external client to one target, by its id in `/json/list`.
pub(crate) async fn target(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: CdpRequest,
    Extension(connection): Extension<Arc<ClientConnection>>,
    upgrade: UpgradeResult,
) -> Result<Response, ApiError> {
    // A path that is not UTF-8 cannot name a session.
    let (id, target) = path.map(|Path(names)| names).unwrap_or_default();
    let session = request.authorize(&state, &id).await?;
    connection.authenticate();
    connect(
        &state,
        &session,
        Some(&target),
        ClientOrigin::External,
        connection,
        upgrade,
    )
    .await
}

/// Connects a kernel or daemon of the session to the browser. The client has the token of the
/// session's own programs.
pub(crate) async fn internal(
    State(state): State<AppState>,
    Extension(access): Extension<Arc<ProgramAccess>>,
    request: CdpRequest,
    Extension(connection): Extension<Arc<ClientConnection>>,
    upgrade: UpgradeResult,
) -> Result<Response, ApiError> {
    let session = request.authorize_program(&state, &access)?;
    connection.authenticate();
    let upgrade = upgrade?;
    let client = match session {
        Some(session) => session.attach_client(None, ClientOrigin::Internal).await?,
        None => access.attach_client().await?,
    };
    let tracker = state.registry().tracker();
    Ok(ws::cdp::accept(
        upgrade,
        client,
        connection,
        access.budget(),
        state.large_calls().clone(),
        tracker,
        None,
    ))
}

/// Starts the agent-browser daemon of the session. The `agent-browser` command of a kernel's
/// program requests it.
pub(crate) async fn start_agent(
    State(state): State<AppState>,
    Extension(access): Extension<Arc<ProgramAccess>>,
    request: CdpRequest,
    Extension(connection): Extension<Arc<ClientConnection>>,
) -> Result<StatusCode, ApiError> {
    let session = authorized_session(&state, &access, &request, &connection)?;
    session.start_agent().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes the browser ignore certificate errors. Launches with such an option request it, because
/// the default context of a running browser has no such option. The `agent-browser` command
/// requests it for `--ignore-https-errors`, because the daemon ignores this option when it connects
/// to a browser.
pub(crate) async fn ignore_certificate_errors(
    State(state): State<AppState>,
    Extension(access): Extension<Arc<ProgramAccess>>,
    request: CdpRequest,
    Extension(connection): Extension<Arc<ClientConnection>>,
) -> Result<StatusCode, ApiError> {
    let session = authorized_session(&state, &access, &request, &connection)?;
    session.ignore_certificate_errors().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the session of a program that has the token. Programs run only in sessions that a client
/// has.
fn authorized_session(
    state: &AppState,
    access: &ProgramAccess,
    request: &CdpRequest,
    connection: &ClientConnection,
) -> Result<Arc<Session>, ApiError> {
    let session = request.authorize_program(state, access)?;
    connection.authenticate();
    Ok(session.ok_or(SessionError::Ended)?)
}

async fn connect(
    state: &AppState,
    session: &Session,
    target: Option<&str>,
    origin: ClientOrigin,
    connection: Arc<ClientConnection>,
    upgrade: UpgradeResult,
) -> Result<Response, ApiError> {
    let upgrade = upgrade?;
    // Attach before the 101 response: clients report an HTTP error at once, but some hang when the
    // WebSocket closes directly after the upgrade.
    let client = session.attach_client(target, origin).await?;
    let budget = session.budget()?;
    let mode = state.registry().test_mode();
    Ok(ws::cdp::accept(
        upgrade,
        client,
        connection,
        &budget,
        state.large_calls().clone(),
        state.registry().tracker(),
        mode.map(|mode| mode.connection(session.id())),
    ))
}
