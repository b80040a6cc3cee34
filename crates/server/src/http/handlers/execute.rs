//! `POST /v2/browser/{id}/execute`: runs code in a session.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hearth_contract::ExecuteRequest;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::error::ApiError;
use crate::http::extract::{ApiRequest, SessionId};
use crate::http::peer::Peer;
use crate::http::state::AppState;
use crate::metrics::ExecuteOutcome;
use crate::sessions::{Executed, Session, SessionEntry};

pub(crate) async fn execute(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    Extension(peer): Extension<Arc<Peer>>,
    request: ApiRequest,
) -> Result<Response, ApiError> {
    let execute = ExecuteRequest::parse(&request.body).map_err(ApiError::Validation)?;
    let SessionEntry::Current(session) = state.team_session(&id, &request.team)? else {
        return Err(ApiError::SessionDestroyed);
    };
    if session.ending().is_none() && state.registry().is_stopping() {
        state.registry().metrics().execution_finished(
            execute.language,
            ExecuteOutcome::NotStarted,
            Duration::ZERO,
        );
        return Err(ApiError::Stopping);
    }
    let executed = session.execute(execute).await?;
    let tracker = state.registry().tracker();
    let release_time = state.limits().release_time;
    Ok(stream_response(
        executed,
        session,
        peer,
        release_time,
        tracker,
    ))
}

/// Sends a response piece by piece, because output can be large. The memory of the output stays
/// reserved until it is sent, or until `release_time` after the end of the session.
fn stream_response(
    executed: Executed,
    session: Arc<Session>,
    peer: Arc<Peer>,
    release_time: Duration,
    tracker: &TaskTracker,
) -> Response {
    let Executed { response, reserved } = executed;
    let sent = CancellationToken::new();
    let owned = (reserved, sent.clone().drop_guard());
    let pieces = response.into_json().map(move |piece| {
        // The closure owns them until the last piece is sent.
        let _ = &owned;
        Ok::<_, Infallible>(piece)
    });
    tracker.spawn(async move {
        let released = async {
            session.ended().await;
            sleep_until(Instant::now() + release_time).await;
        };
        tokio::select! {
            () = sent.cancelled() => {}
            () = released => peer.abort(),
        }
    });
    let body = Body::from_stream(stream::iter(pieces));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
