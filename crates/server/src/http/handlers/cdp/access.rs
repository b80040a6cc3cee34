//! Authorizes requests to `cdpUrl` and the paths below it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use hearth_contract::ErrorBody;

use crate::http::error::ApiError;
use crate::http::extract::token_in;
use crate::http::links::Links;
use crate::http::state::AppState;
use crate::sessions::{ProgramAccess, Session, SessionEntry, SessionError, record_team};

/// A path that some clients append to the whole URL, after its query, to find the WebSocket.
const APPENDED_PATH: &str = "/json/version";

/// The query and headers of a request to `cdpUrl` or a path below it.
pub(crate) struct CdpRequest {
    /// The query without an appended path.
    query: String,
    pub(super) asks_for_version: bool,
    headers: HeaderMap,
    /// The session that the path names, if it has no other parameter.
    session: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for CdpRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<CdpRequest, Infallible> {
        let named = Path::<String>::from_request_parts(parts, state).await.ok();
        let query = parts.uri.query().unwrap_or_default();
        Ok(CdpRequest {
            session: named.map(|Path(id)| id),
            ..CdpRequest::new(query, parts.headers.clone())
        })
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
            session: None,
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

    /// Checks that the request has the token of a session's own programs. If its path names a
    /// session, that must be theirs. Returns the session, unless no client has it yet.
    pub(super) fn authorize_program(
        &self,
        state: &AppState,
        access: &ProgramAccess,
    ) -> Result<Option<Arc<Session>>, ApiError> {
        let has_token = access.token().matches(self.required_token()?);
        let own_id = access.session();
        let is_other = |named: &String| Some(named) != own_id.map(|id| id.to_string()).as_ref();
        if !has_token || self.session.as_ref().is_some_and(is_other) {
            return Err(ApiError::Unauthorized(ErrorBody::invalid_token()));
        }
        let Some(id) = own_id else { return Ok(None) };
        match state.registry().find(id) {
            Some(SessionEntry::Current(session)) => {
                record_team(session.team());
                Ok(Some(session))
            }
            _ => Err(SessionError::Ended.into()),
        }
    }

    /// Returns the session if the request has the token of its `cdpUrl`. An unknown session and a
    /// wrong token yield the same error, because the whole URL is a secret.
    pub(super) async fn authorize(
        &self,
        state: &AppState,
        id: &str,
    ) -> Result<Arc<Session>, ApiError> {
        let presented = self.required_token()?;
        match state.session(id).await {
            Ok(SessionEntry::Current(session)) if session.token().matches(presented) => {
                record_team(session.team());
                Ok(session)
            }
            Err(
                error @ (ApiError::NodeUnreachable(_)
                | ApiError::StoreUnreadable(_)
                | ApiError::Overloaded),
            ) => Err(error),
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
