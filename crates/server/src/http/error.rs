//! The one place where a refusal becomes a status code.
//!
//! Official clients repeat a POST after some 5xx, 408 and 409, so none of those may be answered
//! once user code may have started: the errors here about executions all mean that it has not.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hearth_contract::{ErrorBody, Issue, Language};
use jiff::Timestamp;

use crate::clock;

/// After how many seconds a caller may try again when the server is full or stopping. Sessions come
/// and go at the rate at which people work.
const FULL_RETRY_SECONDS: u32 = 5;

/// The same for a busy session: an execution most often takes less.
const BUSY_RETRY_SECONDS: u32 = 1;

/// Every way in which a request can be refused.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The body is no JSON object or array.
    InvalidJson,
    /// The body breaks the rules.
    Validation(Vec<Issue>),
    /// The body is over 10 MB.
    TooLarge,
    /// The body did not arrive.
    IncompleteBody,
    /// No, no good, or no known key or token; the body says which.
    Unauthorized(ErrorBody),
    /// No keys are configured and the `Host` is not this machine's.
    ForeignHost,
    /// No such session.
    SessionNotFound,
    /// Another team's session.
    Forbidden,
    /// No such target in the session's browser.
    TargetNotFound(String),
    /// The session has ended.
    SessionDestroyed,
    /// The session of a live view has ended, for the reason that the sentence tells, at that time.
    SessionEnded(String, Timestamp),
    /// A page of somebody else connects to a live view.
    ForeignOrigin,
    /// There are as many sessions as may be.
    LimitReached,
    /// Too little is left of the disk for another session.
    DiskFull { free_mb: u64, min_mb: u64 },
    /// Too little memory is left for another session.
    MemoryLow { available_mb: u64, min_mb: u64 },
    /// A team's key, where one of an operator is asked for.
    OperatorsOnly,
    /// Another execution of the language outlasted the timeout.
    SessionBusy(Language),
    /// The session cannot be written down.
    StoreUnavailable(String),
    /// Another session saves to the profile.
    ProfileBusy(String),
    /// A session saves to the profile that is to be forgotten.
    ProfileInUse(String),
    /// The profile of that name cannot be read, for that reason.
    ProfileUnavailable(String, String),
    /// The browser did not come up.
    BrowserUnavailable(String),
    /// The session's browser takes no client.
    BrowserUnreachable(String),
    /// The session's browser ended unexpectedly, and somebody wants to connect to it.
    BrowserCrashed,
    /// The code could not be started, and was not. The reason may hold what user code wrote, so it
    /// is for the caller alone.
    ExecutionUnavailable(String),
    /// The server is stopping.
    Stopping,
    /// Nothing is served there.
    UnknownPath,
    /// Not with that method.
    WrongMethod,
    /// Only as a WebSocket.
    UpgradeRequired,
    /// The same, of a live view.
    LiveViewUpgradeRequired,
    /// A fault of ours.
    Internal(String),
}

impl ApiError {
    /// The status code alone, for an answer with another body.
    pub fn status(self) -> StatusCode {
        self.parts().0
    }

    /// Whether no session was made for want of room, which may be there again soon, or because it
    /// was not to be.
    pub fn is_want_of_room(&self) -> bool {
        matches!(
            self,
            ApiError::Stopping
                | ApiError::LimitReached
                | ApiError::DiskFull { .. }
                | ApiError::MemoryLow { .. }
                | ApiError::ProfileBusy(_)
        )
    }

    fn parts(self) -> (StatusCode, ErrorBody, Option<u32>) {
        match self {
            ApiError::InvalidJson => (StatusCode::BAD_REQUEST, ErrorBody::invalid_json(), None),
            ApiError::Validation(issues) => {
                (StatusCode::BAD_REQUEST, ErrorBody::validation(issues), None)
            }
            ApiError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, ErrorBody::too_large(), None),
            ApiError::IncompleteBody => {
                (StatusCode::BAD_REQUEST, ErrorBody::incomplete_body(), None)
            }
            ApiError::Unauthorized(body) => (StatusCode::UNAUTHORIZED, body, None),
            ApiError::ForeignHost => (StatusCode::FORBIDDEN, ErrorBody::foreign_host(), None),
            ApiError::SessionNotFound => (StatusCode::NOT_FOUND, ErrorBody::not_found(), None),
            ApiError::Forbidden => (StatusCode::FORBIDDEN, ErrorBody::forbidden(), None),
            ApiError::TargetNotFound(target) => (
                StatusCode::NOT_FOUND,
                ErrorBody::target_not_found(&target),
                None,
            ),
            ApiError::SessionDestroyed => (StatusCode::GONE, ErrorBody::destroyed(), None),
            ApiError::SessionEnded(why, at) => (
                StatusCode::GONE,
                ErrorBody::ended(&why, &clock::format(at)),
                None,
            ),
            ApiError::ForeignOrigin => (StatusCode::FORBIDDEN, ErrorBody::foreign_origin(), None),
            ApiError::LimitReached => (
                StatusCode::TOO_MANY_REQUESTS,
                ErrorBody::limit_reached(),
                Some(FULL_RETRY_SECONDS),
            ),
            ApiError::DiskFull { free_mb, min_mb } => {
                tracing::warn!(free_mb, min_mb, "no session is created: the disk is full");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorBody::disk_full(free_mb, min_mb),
                    Some(FULL_RETRY_SECONDS),
                )
            }
            ApiError::MemoryLow {
                available_mb,
                min_mb,
            } => {
                tracing::warn!(
                    available_mb,
                    min_mb,
                    "no session is created: memory is short"
                );
                let body = ErrorBody::memory_low(available_mb, min_mb);
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    body,
                    Some(FULL_RETRY_SECONDS),
                )
            }
            ApiError::OperatorsOnly => (
                StatusCode::FORBIDDEN,
                ErrorBody::operator_key_required(),
                None,
            ),
            ApiError::StoreUnavailable(reason) => {
                tracing::error!(reason, "no session is created: it cannot be recorded");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorBody::store_unavailable(&reason),
                    Some(FULL_RETRY_SECONDS),
                )
            }
            ApiError::SessionBusy(language) => (
                StatusCode::TOO_MANY_REQUESTS,
                ErrorBody::session_busy(language),
                Some(BUSY_RETRY_SECONDS),
            ),
            ApiError::ProfileBusy(name) => (
                StatusCode::CONFLICT,
                ErrorBody::profile_busy(&name),
                Some(FULL_RETRY_SECONDS),
            ),
            ApiError::ProfileInUse(name) => {
                (StatusCode::CONFLICT, ErrorBody::profile_in_use(&name), None)
            }
            ApiError::ProfileUnavailable(name, reason) => {
                tracing::error!(reason, "no session is created: its profile cannot be read");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorBody::profile_unavailable(&name, &reason),
                    None,
                )
            }
            ApiError::BrowserUnavailable(reason) => {
                tracing::warn!(%reason, "a browser could not be started");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorBody::browser_unavailable(&reason),
                    None,
                )
            }
            ApiError::BrowserUnreachable(reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::browser_unreachable(&reason),
                None,
            ),
            ApiError::BrowserCrashed => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::browser_crashed(),
                None,
            ),
            ApiError::ExecutionUnavailable(reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::execution_unavailable(&reason),
                None,
            ),
            ApiError::Stopping => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::stopping(),
                Some(FULL_RETRY_SECONDS),
            ),
            ApiError::UnknownPath => (StatusCode::NOT_FOUND, ErrorBody::unknown_path(), None),
            ApiError::WrongMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                ErrorBody::wrong_method(),
                None,
            ),
            ApiError::UpgradeRequired => (
                StatusCode::UPGRADE_REQUIRED,
                ErrorBody::upgrade_required(),
                None,
            ),
            ApiError::LiveViewUpgradeRequired => (
                StatusCode::UPGRADE_REQUIRED,
                ErrorBody::live_view_upgrade_required(),
                None,
            ),
            ApiError::Internal(reason) => {
                tracing::error!(%reason, "a request failed by a fault of the server");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    ErrorBody::internal(),
                    None,
                )
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, body, retry_after_seconds) = self.parts();
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry_after_seconds {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
