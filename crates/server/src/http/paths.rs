//! The paths of this server, and those of Firecrawl that it does not have.

use axum::http::Uri;

use crate::http::error::ApiError;

/// Two names for the same API: SDKs and the CLI use `browser`, the API reference says `interact`.
pub(super) const PREFIXES: [&str; 2] = ["/v2/browser", "/v2/interact"];

/// The first parts of the paths that only this server has.
const OWN_PREFIXES: [&str; 4] = ["/cdp", "/live", "/operator", "/workbench"];

/// The beginnings of the paths of Firecrawl's API.
const API_PREFIXES: [&str; 3] = ["/v0/", "/v1/", "/v2/"];

/// Returns true for a path below those of this server, which a Firecrawl server does not get.
pub(super) fn is_own_path(path: &str) -> bool {
    let mut prefixes = PREFIXES.iter().chain(&OWN_PREFIXES);
    prefixes.any(|prefix| is_below(path, prefix))
}

fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the error of a path without a route.
pub(super) fn unknown_path(uri: &Uri) -> ApiError {
    let path = uri.path();
    if PREFIXES.iter().any(|prefix| is_below(path, prefix)) {
        ApiError::UnknownPathBelow
    } else if API_PREFIXES.iter().any(|prefix| path.starts_with(prefix)) {
        ApiError::UnknownApiPath
    } else {
        ApiError::UnknownPath
    }
}
