//! The routes of the test mode, and the layer that inserts faults. A server without test mode has
//! neither.
//!
//! docs/test-mode.md describes them. They are not part of the API, so openapi.json does not have
//! them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hearth_contract::{
    ClockRequest, DestroyedReason, FaultKind, FaultRequest, RequestKind, TestModeResponse,
};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use crate::http::auth;
use crate::http::error::ApiError;
use crate::http::extract::{ApiRequest, AuthenticatedTeam};
use crate::http::paths::PREFIXES;
use crate::http::state::AppState;
use crate::sessions::{Session, SessionEntry};
use crate::team::{self, Team};
use crate::test_mode::{Fault, TestMode, TooManyFaults};

/// The time limit for a browser to crash after it was told to.
const CRASH_TIMEOUT: Duration = Duration::from_secs(10);

/// Adds the routes and the layer of the test mode to a router, if the server is in test mode.
pub(super) fn extend(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    let Some(mode) = state.registry().test_mode() else {
        return router;
    };
    let shared = (state.clone(), Arc::clone(mode));
    let control = Router::new()
        .route("/v2/test/faults", post(add).get(show).delete(clear))
        .route("/v2/test/clock", get(show).post(set_clock));
    router
        .layer(from_fn_with_state(shared, insert_fault))
        .merge(control)
}

fn mode(state: &AppState) -> Result<&Arc<TestMode>, ApiError> {
    let mode = state.registry().test_mode();
    mode.ok_or(ApiError::UnknownApiPath)
}

/// Requests a fault: now for a session, or for later requests.
async fn add(
    State(state): State<AppState>,
    request: ApiRequest,
) -> Result<Json<TestModeResponse>, ApiError> {
    let ApiRequest { team, body } = request;
    let fault = FaultRequest::parse(&body).map_err(ApiError::Validation)?;
    let mode = mode(&state)?;
    let session = match &fault.session {
        Some(id) => match state.team_session(id, &team).await? {
            SessionEntry::Current(session) if session.ending().is_none() => Some(session),
            _ => return Err(ApiError::SessionDestroyed),
        },
        None => None,
    };
    match session {
        Some(session) if fault.kind.is_of_session() && fault.requests.is_none() => {
            tracing::info!(fault = fault.kind.as_str(), session = %session.id(), "fault inserted");
            sleep(fault.delay_ms.into()).await;
            strike(mode, &session, fault.kind).await;
        }
        session => {
            let id = session.map(|session| session.id());
            mode.add(&fault, id).map_err(too_many)?;
        }
    }
    Ok(Json(mode.state()))
}

async fn show(
    State(state): State<AppState>,
    AuthenticatedTeam(_): AuthenticatedTeam,
) -> Result<Json<TestModeResponse>, ApiError> {
    Ok(Json(mode(&state)?.state()))
}

async fn clear(
    State(state): State<AppState>,
    AuthenticatedTeam(_): AuthenticatedTeam,
) -> Result<Json<TestModeResponse>, ApiError> {
    let mode = mode(&state)?;
    mode.clear();
    Ok(Json(mode.state()))
}

async fn set_clock(
    State(state): State<AppState>,
    request: ApiRequest,
) -> Result<Json<TestModeResponse>, ApiError> {
    let ClockRequest { speed } =
        ClockRequest::parse(&request.body).map_err(ApiError::Validation)?;
    let mode = mode(&state)?;
    mode.set_speed(speed);
    Ok(Json(mode.state()))
}

fn too_many(TooManyFaults(max): TooManyFaults) -> ApiError {
    ApiError::Validation(FaultRequest::too_many(max))
}

/// Answers a request with its fault, if one waits for it.
async fn insert_fault(
    State((state, mode)): State<(AppState, Arc<TestMode>)>,
    request: Request,
    next: Next,
) -> Response {
    let (on, session) = classify(request.method(), request.uri().path());
    // A request without a valid key gets its 401.
    let keys = state.keys();
    let key = on.and_then(|_| auth::authenticate(&keys, request.headers()).ok());
    let Some(key) = key else {
        return next.run(request).await;
    };
    let team = key.map_or_else(team::everybody, |key| Team::clone(&key.team));
    // A session that has ended, or that the request may not use, uses up no fault.
    let session = session.and_then(|id| match state.registry().find(id) {
        Some(SessionEntry::Current(session))
            if session.ending().is_none() && *session.team() == team =>
        {
            Some(session)
        }
        _ => None,
    });
    let Some(fault) = mode.take(on, session.as_ref().map(|session| session.id())) else {
        return next.run(request).await;
    };
    tracing::info!(fault = fault.kind.as_str(), "fault inserted");
    let Fault { kind, delay } = fault;
    let waiting = sleep_until(Instant::now() + delay);
    let error = match kind {
        FaultKind::Conflict => ApiError::ProfileBusy("test".to_owned()),
        FaultKind::TooManyRequests => ApiError::LimitReached,
        FaultKind::Unavailable => ApiError::Stopping,
        FaultKind::Slow => {
            waiting.await;
            return next.run(request).await;
        }
        FaultKind::BrowserCrash | FaultKind::CdpDrop | FaultKind::Expiry => {
            let Some(session) = session else {
                return next.run(request).await;
            };
            if delay.is_zero() {
                strike(&mode, &session, kind).await;
                return next.run(request).await;
            }
            state.registry().tracker().spawn(async move {
                tokio::select! {
                    _ = session.ended() => {}
                    () = waiting => strike(&mode, &session, kind).await,
                }
            });
            return next.run(request).await;
        }
    };
    waiting.await;
    error.into_response()
}

/// Makes a session have a fault.
async fn strike(mode: &TestMode, session: &Session, kind: FaultKind) {
    match kind {
        FaultKind::BrowserCrash => {
            if let Err(error) = session.crash_browser().await {
                tracing::debug!(?error, "browser not crashed");
            }
            // The session ends when its supervisor has noticed.
            let _ = timeout(CRASH_TIMEOUT, session.ended()).await;
        }
        FaultKind::CdpDrop => mode.break_connections(session.id()),
        FaultKind::Expiry => {
            session.end(DestroyedReason::Ttl).await;
        }
        FaultKind::Conflict
        | FaultKind::TooManyRequests
        | FaultKind::Unavailable
        | FaultKind::Slow => {}
    }
}

async fn sleep(milliseconds: u64) {
    sleep_until(Instant::now() + Duration::from_millis(milliseconds)).await;
}

/// Returns the kind of a request about sessions, and the id of the session that it names.
fn classify(method: &Method, path: &str) -> (Option<RequestKind>, Option<Uuid>) {
    let below = PREFIXES
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(rest) = below else {
        return (None, None);
    };
    let mut parts = rest.split('/').filter(|part| !part.is_empty());
    let (id, action) = (parts.next(), parts.next());
    let session = id.and_then(|id| Uuid::parse_str(id).ok());
    let kind = match (method, id, action) {
        (&Method::POST, None, None) => RequestKind::Create,
        (&Method::GET, None, None) => RequestKind::List,
        (&Method::GET, Some(_), None) if session.is_some() => RequestKind::Status,
        (&Method::DELETE, Some(_), None) if session.is_some() => RequestKind::Delete,
        (&Method::POST, Some(_), Some("execute")) => RequestKind::Execute,
        _ => return (None, None),
    };
    (Some(kind), session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_by_method_and_path() {
        const ID: &str = "00000000-0000-7000-8000-000000000001";
        let of = |method: Method, path: &str| {
            let (kind, session) = classify(&method, &path.replace("ID", ID));
            (kind, session.is_some())
        };
        for (method, path, kind, names_session) in [
            (Method::POST, "/v2/browser", RequestKind::Create, false),
            (Method::POST, "/v2/interact/", RequestKind::Create, false),
            (Method::GET, "/v2/interact", RequestKind::List, false),
            (Method::GET, "/v2/interact/ID", RequestKind::Status, true),
            (
                Method::DELETE,
                "/v2/interact/ID/",
                RequestKind::Delete,
                true,
            ),
            (
                Method::POST,
                "/v2/interact/ID/execute",
                RequestKind::Execute,
                true,
            ),
        ] {
            assert_eq!(of(method, path), (Some(kind), names_session), "{path}");
        }
        for (method, path) in [
            (Method::GET, "/v2/interact/profiles"),
            (Method::GET, "/v2/interactive"),
            (Method::POST, "/v2/scrape"),
            (Method::GET, "/readyz"),
        ] {
            assert_eq!(of(method, path), (None, false), "{path}");
        }
    }
}
