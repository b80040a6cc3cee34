//! `POST /v2/browser/{id}/execute`: runs code in a session.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hearth_contract::ExecuteRequest;

use crate::http::error::ApiError;
use crate::http::extract::{ApiRequest, SessionId};
use crate::http::state::AppState;
use crate::metrics::ExecuteOutcome;
use crate::sessions::{Executed, SessionEntry};

pub(crate) async fn execute(
    State(state): State<AppState>,
    SessionId(id): SessionId,
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
    Ok(stream_response(executed))
}

/// Sends a response piece by piece, because output can be large. The memory of the output stays
/// reserved until it is sent.
fn stream_response(executed: Executed) -> Response {
    let Executed { response, reserved } = executed;
    let pieces = response.into_json().map(move |piece| {
        // The closure owns the reservations.
        let _ = &reserved;
        Ok::<_, Infallible>(piece)
    });
    let body = Body::from_stream(stream::iter(pieces));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
