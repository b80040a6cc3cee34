//! `POST /v2/browser/{id}/execute`: runs code in a session.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hearth_contract::{ExecuteRequest, ExecuteResponse};

use crate::http::error::ApiError;
use crate::http::extract::{ApiRequest, SessionId};
use crate::http::state::AppState;
use crate::metrics::ExecuteOutcome;
use crate::sessions::SessionEntry;

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
    let response = session.execute(execute).await?;
    Ok(json_stream(response))
}

/// Sends a response piece by piece, because output can be large.
fn json_stream(response: ExecuteResponse) -> Response {
    let pieces = response.into_json().map(Ok::<_, std::convert::Infallible>);
    let body = Body::from_stream(stream::iter(pieces));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
