//! Authorizes live view links. The token in a link is the only credential, and determines whether
//! its holder may only watch or also control the session.

use std::sync::Arc;

use axum::http::Uri;
use hearth_contract::ErrorBody;

use crate::http::error::ApiError;
use crate::http::extract::token_in;
use crate::http::state::AppState;
use crate::live_view::ViewerAccess;
use crate::sessions::{Session, SessionEntry, record_team};
use crate::store::SessionRecord;
use crate::token::matches_digest;

/// Returns the session of a link and the access that the link grants. If the session has ended and
/// the link is valid, the error says how it ended.
pub(super) async fn authorize(
    state: &AppState,
    id: &str,
    uri: &Uri,
) -> Result<(Arc<Session>, ViewerAccess), ApiError> {
    let token = token_in(uri.query().unwrap_or_default())
        .ok_or_else(|| ApiError::Unauthorized(ErrorBody::token_missing()))?;
    let session = match state.session(id).await? {
        SessionEntry::Current(session) => session,
        SessionEntry::Recorded(record) => return Err(ended_session_error(&record, token)),
    };
    let access = session
        .live_view_access(token)
        .ok_or_else(|| ApiError::Unauthorized(ErrorBody::invalid_token()))?;
    record_team(session.team());
    match session.ending() {
        Some(ending) => Err(ApiError::SessionEnded(ending.sentence(), ending.at)),
        None => Ok((session, access)),
    }
}

/// Returns the error for a session of an earlier server process, of which only a record is left.
fn ended_session_error(session: &SessionRecord, token: &str) -> ApiError {
    let is_link = session
        .links
        .as_ref()
        .is_some_and(|digests| matches_digest(digests, token));
    match session.ending {
        Some(ending) if is_link => ApiError::SessionEnded(ending.sentence(), ending.at),
        _ => ApiError::Unauthorized(ErrorBody::invalid_token()),
    }
}
