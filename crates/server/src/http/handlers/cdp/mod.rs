//! `cdpUrl`, as a WebSocket and as the base of Chromium's own HTTP endpoints. The token of the
//! session is the only key: in the query, or as a bearer token for clients that keep no query.

pub(crate) mod describe;
pub(crate) mod open;

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use hearth_contract::ErrorBody;
use uuid::Uuid;

use crate::http::auth::Token;
use crate::http::error::ApiError;
use crate::http::extract::token_in;
use crate::http::state::AppState;
use crate::sessions::{Known, Session};

/// What some clients put behind the whole address, its query included, to find the WebSocket.
const APPENDED: &str = "/json/version";

/// What a request to `cdpUrl`, or below it, brings along.
pub(crate) struct Address {
    /// Without what was appended to it.
    query: String,
    asks_for_version: bool,
    headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Address, Infallible> {
        Ok(Address::new(
            parts.uri.query().unwrap_or_default(),
            parts.headers.clone(),
        ))
    }
}

impl Address {
    fn new(query: &str, headers: HeaderMap) -> Address {
        let appended = query
            .strip_suffix('/')
            .unwrap_or(query)
            .strip_suffix(APPENDED);
        Address {
            query: appended.unwrap_or(query).to_owned(),
            asks_for_version: appended.is_some(),
            headers,
        }
    }

    fn token(&self) -> Option<&str> {
        let bearer = || {
            self.headers
                .get(AUTHORIZATION)?
                .to_str()
                .ok()?
                .strip_prefix("Bearer ")
        };
        token_in(&self.query).or_else(bearer).map(str::trim)
    }

    /// The session that a request may reach. An unknown session and a wrong token look the same:
    /// the address is a secret as a whole.
    fn admit(
        &self,
        state: &AppState,
        id: &str,
        expected: impl Fn(&Session) -> &Token,
    ) -> Result<Arc<Session>, ApiError> {
        let presented = self
            .token()
            .ok_or_else(|| ApiError::Unauthorized(ErrorBody::token_missing()))?;
        match Uuid::parse_str(id)
            .ok()
            .and_then(|id| state.registry().find(id))
        {
            Some(Known::Own(session)) if expected(&session).matches(presented) => Ok(session),
            _ => Err(ApiError::Unauthorized(ErrorBody::invalid_token())),
        }
    }

    /// A WebSocket address below the session's, with the query of the request: whatever let this
    /// client in lets it in there.
    fn of_socket(&self, state: &AppState, session: &Session, path: &str) -> String {
        let base = state.cdp_base(session, &self.headers);
        if self.query.is_empty() {
            format!("{base}{path}")
        } else {
            format!("{base}{path}?{}", self.query)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(raw: &str) -> (Option<String>, bool) {
        let address = Address::new(raw, HeaderMap::new());
        (address.token().map(str::to_owned), address.asks_for_version)
    }

    #[test]
    fn a_token_is_found_wherever_it_stands() {
        assert_eq!(read("token=abc"), (Some("abc".to_owned()), false));
        assert_eq!(read("a=1&token=abc&b=2"), (Some("abc".to_owned()), false));
        assert_eq!(read("atoken=abc"), (None, false));
        assert_eq!(read(""), (None, false));
        let headers =
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer abc"))]);
        assert_eq!(Address::new("a=1", headers).token(), Some("abc"));
    }

    #[test]
    fn what_a_client_appends_is_no_part_of_the_token() {
        assert_eq!(
            read("token=abc/json/version"),
            (Some("abc".to_owned()), true)
        );
        assert_eq!(
            read("token=abc/json/version/"),
            (Some("abc".to_owned()), true)
        );
    }
}
