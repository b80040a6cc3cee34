//! The live view's links: a page, and the socket behind it. The token in the address is the only
//! key, and says whether its bearer may only watch or also steer.

pub(crate) mod page;
pub(crate) mod socket;

use std::sync::Arc;

use axum::http::Uri;
use hearth_contract::ErrorBody;
use uuid::Uuid;

use crate::http::auth::is_digest_of;
use crate::http::error::ApiError;
use crate::http::extract::token_in;
use crate::http::state::AppState;
use crate::live_view::Right;
use crate::sessions::{Known, Session};
use crate::store::SessionRecord;

/// The session that a link leads to, and what it allows. A link that was good is known after the
/// session's end.
fn admit(state: &AppState, id: &str, uri: &Uri) -> Result<(Arc<Session>, Right), ApiError> {
    let presented = token_in(uri.query().unwrap_or_default());
    let presented = presented.ok_or_else(|| ApiError::Unauthorized(ErrorBody::token_missing()))?;
    let session = Uuid::parse_str(id)
        .ok()
        .and_then(|id| state.registry().find(id));
    let session = match session.ok_or(ApiError::SessionNotFound)? {
        Known::Own(session) => session,
        Known::Past(record) => return Err(why_it_is_over(&record, presented)),
    };
    let right = session
        .right_of(presented)
        .ok_or_else(|| ApiError::Unauthorized(ErrorBody::invalid_token()))?;
    match session.ending() {
        Some(ending) => Err(ApiError::SessionEnded(ending.sentence(), ending.at)),
        None => Ok((session, right)),
    }
}

/// What the bearer of a link is told of a session of an earlier life.
fn why_it_is_over(session: &SessionRecord, presented: &str) -> ApiError {
    let is_link = session
        .links
        .as_ref()
        .is_some_and(|digests| is_digest_of(digests, presented));
    match session.ending {
        Some(ending) if is_link => ApiError::SessionEnded(ending.sentence(), ending.at),
        _ => ApiError::Unauthorized(ErrorBody::invalid_token()),
    }
}
