//! Authorizes requests of the operator page and of the workbench about one session.

use std::sync::Arc;

use crate::api_keys::Principal;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::sessions::{Session, SessionEntry};

/// Finds a session of this server process that the principal can see.
pub(in crate::http::handlers) async fn find_session(
    state: &AppState,
    id: &str,
    principal: &Principal,
) -> Result<Arc<Session>, ApiError> {
    match state.session(id).await? {
        // Teams do not see the sessions of scrapes.
        session if !session.is_listed() && *principal != Principal::Operator => {
            Err(ApiError::SessionNotFound)
        }
        session if !principal.can_see(session.team()) => Err(ApiError::Forbidden),
        SessionEntry::Current(session) => Ok(session),
        SessionEntry::Recorded(_) => Err(ApiError::SessionDestroyed),
    }
}
