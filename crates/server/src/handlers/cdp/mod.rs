//! `cdpUrl`, as a WebSocket and as the base of Chromium's own HTTP endpoints. The token of the session is the only
//! key: in the query, or as a bearer token for clients that keep no query.

pub(crate) mod describe;
pub(crate) mod open;

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use hearth_contract::ErrorBody;
use uuid::Uuid;

use crate::auth::Token;
use crate::error::ApiError;
use crate::sessions::Session;
use crate::state::AppState;

/// What some clients put behind the whole address, its query included, to find the WebSocket.
const APPENDED: &str = "/json/version";

/// The query of a request to `cdpUrl` or below it.
struct Query<'a> {
    /// Without what was appended to it.
    text: &'a str,
    asks_for_version: bool,
}

impl<'a> Query<'a> {
    fn new(raw: Option<&'a String>) -> Query<'a> {
        let raw = raw.map_or("", String::as_str);
        let appended = raw.strip_suffix('/').unwrap_or(raw).strip_suffix(APPENDED);
        Query { text: appended.unwrap_or(raw), asks_for_version: appended.is_some() }
    }

    /// Our tokens need no decoding.
    fn token(&self) -> Option<&'a str> {
        self.text.split('&').find_map(|pair| pair.strip_prefix("token="))
    }
}

/// The session that a request may reach. An unknown session and a wrong token look the same: the address is a
/// secret as a whole.
fn admit(
    state: &AppState,
    id: &str,
    query: &Query<'_>,
    headers: &HeaderMap,
    expected: impl Fn(&Session) -> &Token,
) -> Result<Arc<Session>, ApiError> {
    let bearer = || headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ");
    let presented = query.token().or_else(bearer);
    let presented = presented.ok_or_else(|| ApiError::Unauthorized(ErrorBody::token_missing()))?;
    let session = Uuid::parse_str(id).ok().and_then(|id| state.registry().find(id));
    let session = session.filter(|session| expected(session).matches(presented.trim()));
    session.ok_or_else(|| ApiError::Unauthorized(ErrorBody::invalid_token()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> (Option<String>, bool) {
        let raw = raw.to_owned();
        let query = Query::new(Some(&raw));
        (query.token().map(str::to_owned), query.asks_for_version)
    }

    #[test]
    fn a_token_is_found_wherever_it_stands() {
        assert_eq!(read("token=abc"), (Some("abc".to_owned()), false));
        assert_eq!(read("a=1&token=abc&b=2"), (Some("abc".to_owned()), false));
        assert_eq!(read("atoken=abc"), (None, false));
        assert_eq!(Query::new(None).token(), None);
    }

    #[test]
    fn what_a_client_appends_is_no_part_of_the_token() {
        assert_eq!(read("token=abc/json/version"), (Some("abc".to_owned()), true));
        assert_eq!(read("token=abc/json/version/"), (Some("abc".to_owned()), true));
    }
}
