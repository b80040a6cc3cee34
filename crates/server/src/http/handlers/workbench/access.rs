//! Authorizes the workbench's requests about one session.

use std::sync::Arc;

use crate::api_keys::Principal;
use crate::config::ExecutionHistory;
use crate::http::error::ApiError;
use crate::http::handlers::operator::find_session;
use crate::http::state::AppState;
use crate::sessions::Session;

/// Finds a session whose code and page the principal may read. The operator needs a setting for
/// that.
pub(super) async fn find_readable(
    state: &AppState,
    id: &str,
    principal: &Principal,
) -> Result<Arc<Session>, ApiError> {
    // Without keys, every client is the operator, and the owner of all sessions.
    let is_operator = *principal == Principal::Operator && !state.keys().is_empty();
    if is_operator && state.registry().execution_history() != ExecutionHistory::Operator {
        return Err(ApiError::Forbidden);
    }
    let session = find_session(state, id, principal).await?;
    if session.is_listed() {
        Ok(session)
    } else {
        Err(ApiError::SessionNotFound)
    }
}
