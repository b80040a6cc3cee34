//! `POST /v2/browser/{id}/execute`: runs code in a session.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hearth_contract::ExecuteRequest;
use tokio::time::Instant;

use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::event_stream::answer_run;
use crate::http::execution::Answer;
use crate::http::extract::{ApiRequest, SessionId};
use crate::http::state::AppState;
use crate::metrics::ExecuteOutcome;
use crate::sessions::{Executed, SessionEntry};

pub(crate) async fn execute(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    Extension(connection): Extension<Arc<ClientConnection>>,
    headers: HeaderMap,
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
    let run = |live| async move {
        let executed = session.execute(execute, deadline, live).await?;
        let Executed {
            response,
            taken_bytes,
            reserved,
        } = executed;
        Ok(Answer {
            pieces: response.into_json(),
            taken_bytes,
            reserved,
            session,
        })
    };
    answer_run(&state, connection, &headers, run).await
}
