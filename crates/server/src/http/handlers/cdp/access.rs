//! Authorizes requests to `cdpUrl` and the paths below it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use hearth_contract::ErrorBody;

use crate::http::error::ApiError;
use crate::http::extract::token_in;
use crate::http::links::Links;
use crate::http::state::AppState;
use crate::sessions::{ProgramAccess, Session, SessionEntry, record_team};

/// A path that some clients append to the whole URL, after its query, to find the WebSocket.
const APPENDED_PATH: &str = "/json/version";

/// The query and headers of a request to `cdpUrl` or a path below it.
pub(crate) struct CdpRequest {
    /// The query without an appended path.
    query: String,
    pub(super) asks_for_version: bool,
    headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for CdpRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<CdpRequest, Infallible> {
        Ok(CdpRequest::new(
            parts.uri.query().unwrap_or_default(),
            parts.headers.clone(),
        ))
    }
}

impl CdpRequest {
    fn new(query: &str, headers: HeaderMap) -> CdpRequest {
        let without_path = query
            .strip_suffix('/')
            .unwrap_or(query)
            .strip_suffix(APPENDED_PATH);
        CdpRequest {
            query: without_path.unwrap_or(query).to_owned(),
            asks_for_version: without_path.is_some(),
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

    fn required_token(&self) -> Result<&str, ApiError> {
        self.token()
            .ok_or_else(|| ApiError::Unauthorized(ErrorBody::token_missing()))
    }

    /// Checks that the request has the token of a session's own programs.
    pub(super) fn authorize_program(&self, access: &ProgramAccess) -> Result<(), ApiError> {
        if !access.token().matches(self.required_token()?) {
            return Err(ApiError::Unauthorized(ErrorBody::invalid_token()));
        }
        if let Some(session) = access.session() {
            record_team(session.team());
        }
        Ok(())
    }

    /// Returns the session if the request has the token of its `cdpUrl`. An unknown session and a
    /// wrong token yield the same error, because the whole URL is a secret.
    pub(super) fn authorize(&self, state: &AppState, id: &str) -> Result<Arc<Session>, ApiError> {
        let presented = self.required_token()?;
        match state.session(id) {
            Ok(SessionEntry::Current(session)) if session.token().matches(presented) => {
                record_team(session.team());
                Ok(session)
            }
            _ => Err(ApiError::Unauthorized(ErrorBody::invalid_token())),
        }
    }

    /// Returns a WebSocket URL below the session's CDP URL. The URL has the query of this request,
    /// which usually contains the client's token.
    pub(super) fn socket_url(&self, links: &Links, session: &Session, path: &str) -> String {
        let base = links.cdp_base(session);
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
        let request = CdpRequest::new(raw, HeaderMap::new());
        (request.token().map(str::to_owned), request.asks_for_version)
    }

    #[test]
    fn a_token_is_found_in_the_query_or_the_header() {
        assert_eq!(read("token=abc"), (Some("abc".to_owned()), false));
        assert_eq!(read("a=1&token=abc&b=2"), (Some("abc".to_owned()), false));
        assert_eq!(read("atoken=abc"), (None, false));
        assert_eq!(read(""), (None, false));
        let headers =
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer abc"))]);
        assert_eq!(CdpRequest::new("a=1", headers).token(), Some("abc"));
    }

    #[test]
    fn an_appended_path_is_not_part_of_the_token() {
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
