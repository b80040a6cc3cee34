//! Authenticates requests by the API key in the `Authorization` header.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use hearth_contract::ErrorBody;

use crate::api_keys::{ApiKey, ApiKeys, Principal};
use crate::http::error::ApiError;

/// Returns the client's key, or `None` if no keys are configured.
pub(crate) fn authenticate<'keys>(
    keys: &'keys ApiKeys,
    headers: &HeaderMap,
) -> Result<Option<&'keys ApiKey>, ApiError> {
    if keys.is_empty() {
        return Ok(None);
    }
    keys.find(bearer_token(headers)?)
        .map(Some)
        .ok_or(ApiError::Unauthorized(ErrorBody::invalid_token()))
}

/// Returns the principal behind a request for server-wide information.
pub(crate) fn identify(keys: &ApiKeys, headers: &HeaderMap) -> Result<Principal, ApiError> {
    if keys.is_empty() {
        return Ok(Principal::Operator);
    }
    keys.principal_of(bearer_token(headers)?)
        .ok_or(ApiError::Unauthorized(ErrorBody::invalid_token()))
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, ApiError> {
    let header = headers
        .get(AUTHORIZATION)
        .ok_or(ApiError::Unauthorized(ErrorBody::unauthorized()))?;
    let header = header
        .to_str()
        .map_err(|_| ApiError::Unauthorized(ErrorBody::invalid_token()))?
        .trim();
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::Unauthorized(ErrorBody::unauthorized()));
    }
    let token = token.trim();
    if token.is_empty() {
        Err(ApiError::Unauthorized(ErrorBody::token_missing()))
    } else {
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key(key: &str) -> HeaderMap {
        let value = format!("Bearer {key}").parse().expect("a header value");
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    #[test]
    fn an_operator_key_identifies_the_operator_and_is_not_a_team_key() {
        let keys = ApiKeys::parse("a:one,two").expect("valid keys");
        let keys = keys.with_operator("boss").expect("a valid key");
        let identified = |headers: &HeaderMap| identify(&keys, headers);
        assert_eq!(
            identified(&with_key("boss")).expect("known"),
            Principal::Operator
        );
        assert_eq!(
            identified(&with_key("one")).expect("known"),
            Principal::Team("name:a".into())
        );
        assert!(identified(&with_key("nobody")).is_err());
        assert!(identified(&HeaderMap::new()).is_err());
        assert!(authenticate(&keys, &with_key("boss")).is_err());
    }

    #[test]
    fn without_keys_every_client_is_an_operator() {
        let keys = ApiKeys::default();
        assert_eq!(
            identify(&keys, &HeaderMap::new()).expect("no keys"),
            Principal::Operator
        );
    }
}
