//! `POST /v2/browser/{id}/execute`: runs code in a session.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use hearth_contract::ExecuteRequest;
use tokio::time::Instant;

use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::execution::ExecutionStream;
use crate::http::extract::{ApiRequest, SessionId};
use crate::http::state::AppState;
use crate::metrics::ExecuteOutcome;
use crate::sessions::{Executed, SessionEntry};

pub(crate) async fn execute(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    Extension(connection): Extension<Arc<ClientConnection>>,
    request: ApiRequest,
) -> Result<Response, ApiError> {
    let execute = ExecuteRequest::parse(&request.body).map_err(ApiError::Validation)?;
    let SessionEntry::Current(session) = state.team_session(&id, &request.team).await? else {
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
    let deadline = Instant::now() + execute.timeout;
    let Executed { response, reserved } = session.execute(execute, deadline).await?;
    let stream = ExecutionStream {
        pieces: response.into_json(),
        reserved,
        session,
        connection,
        release_time: state.limits().release_time,
    };
    Ok(stream.into_response(state.registry().tracker()))
}
