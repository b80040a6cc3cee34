//! The status code, body and `Retry-After` of every error of the API.
//!
//! Official clients repeat a POST after some 5xx, 408 and 409. Therefore no such status is sent once
//! user code may have started: the errors about executions here all mean that it has not.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hearth_contract::{ErrorBody, Issue, Language};
use jiff::Timestamp;

use crate::clock;
use crate::profiles::ProfileError;
use crate::sessions::SessionError;

/// `Retry-After` when the server is full or stopping, in seconds. Sessions come and go at the pace of
/// people's work.
const FULL_RETRY_SECONDS: u32 = 5;

/// `Retry-After` of a busy session, in seconds. Most executions take less.
const BUSY_RETRY_SECONDS: u32 = 1;

/// An error of the API.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The body is not a JSON object or array.
    InvalidJson,
    /// The body breaks the rules.
    Validation(Vec<Issue>),
    /// The body is larger than 10 MB.
    TooLarge,
    /// The body did not arrive completely.
    IncompleteBody,
    /// The key or token is missing, malformed or unknown. The body says which.
    Unauthorized(ErrorBody),
    /// No keys are configured, and the `Host` header does not name this machine.
    ForeignHost,
    /// There is no such session.
    SessionNotFound,
    /// The session belongs to another team.
    Forbidden,
    /// The session's browser has no such target.
    TargetNotFound(String),
    /// The session has ended.
    SessionDestroyed,
    /// The session of a live view link has ended, with the reason as a sentence, at that time.
    SessionEnded(String, Timestamp),
    /// A page of another origin connects to a live view.
    ForeignOrigin,
    /// The session limit is reached.
    LimitReached,
    /// The disk has too little free space for another session.
    DiskFull { free_mb: u64, min_mb: u64 },
    /// Too little memory is available for another session.
    MemoryLow { available_mb: u64, min_mb: u64 },
    /// The endpoint needs an operator's key, and the request has a team's.
    OperatorsOnly,
    /// Another execution in the language outlasted the timeout.
    SessionBusy(Language),
    /// The store did not record the session.
    StoreUnavailable(String),
    /// Another session saves to the profile that a new session asks for.
    ProfileBusy(String),
    /// A session saves to the profile that a request deletes.
    ProfileInUse(String),
    /// The profile (name, reason) cannot be read.
    ProfileUnavailable(String, String),
    /// The browser did not start.
    BrowserUnavailable(String),
    /// The session's browser accepts no client.
    BrowserUnreachable(String),
    /// The session's browser ended unexpectedly, so a client cannot connect to it.
    BrowserCrashed,
    /// The code did not start. The reason can contain output of user code, so it must reach the
    /// caller only, and never the log.
    ExecutionUnavailable(String),
    /// The server is stopping.
    Stopping,
    /// No route has this path.
    UnknownPath,
    /// The path does not support this method.
    WrongMethod,
    /// The path supports WebSockets only.
    UpgradeRequired,
    /// The path of a live view supports WebSockets only.
    LiveViewUpgradeRequired,
    /// A bug in the server.
    Internal(String),
}

impl ApiError {
    /// Returns the status code alone, for a response with another body.
    pub fn status(self) -> StatusCode {
        self.parts().0
    }

    /// Returns the status code, the body and the seconds of `Retry-After`.
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
            ApiError::DiskFull { free_mb, min_mb } => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::disk_full(free_mb, min_mb),
                Some(FULL_RETRY_SECONDS),
            ),
            ApiError::MemoryLow {
                available_mb,
                min_mb,
            } => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::memory_low(available_mb, min_mb),
                Some(FULL_RETRY_SECONDS),
            ),
            ApiError::OperatorsOnly => (StatusCode::FORBIDDEN, ErrorBody::operators_only(), None),
            ApiError::StoreUnavailable(reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::store_unavailable(&reason),
                Some(FULL_RETRY_SECONDS),
            ),
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
            ApiError::ProfileUnavailable(name, reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::profile_unavailable(&name, &reason),
                None,
            ),
            ApiError::BrowserUnavailable(reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::browser_unavailable(&reason),
                None,
            ),
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
            ApiError::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorBody::internal(),
                None,
            ),
        }
    }
}

impl ApiError {
    /// Logs the errors that an operator can do something about.
    fn log(&self) {
        match self {
            ApiError::DiskFull { free_mb, min_mb } => {
                tracing::warn!(free_mb, min_mb, "session creation rejected: disk full");
            }
            ApiError::MemoryLow {
                available_mb,
                min_mb,
            } => tracing::warn!(
                available_mb,
                min_mb,
                "session creation rejected: memory low"
            ),
            ApiError::StoreUnavailable(reason) => {
                tracing::error!(reason, "session creation failed: not recorded");
            }
            ApiError::ProfileUnavailable(_, reason) => {
                tracing::error!(reason, "session creation failed: profile unreadable");
            }
            ApiError::BrowserUnavailable(reason) => {
                tracing::warn!(%reason, "browser launch failed");
            }
            ApiError::Internal(reason) => {
                tracing::error!(%reason, "request failed: internal error");
            }
            _ => {}
        }
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> ApiError {
        match error {
            SessionError::Stopping => ApiError::Stopping,
            SessionError::AtCapacity => ApiError::LimitReached,
            SessionError::DiskFull { free_mb, min_mb } => ApiError::DiskFull { free_mb, min_mb },
            SessionError::MemoryLow {
                available_mb,
                min_mb,
            } => ApiError::MemoryLow {
                available_mb,
                min_mb,
            },
            SessionError::ProfileBusy(name) => ApiError::ProfileBusy(name),
            SessionError::ProfileUnreadable { name, reason } => {
                ApiError::ProfileUnavailable(name, reason)
            }
            SessionError::BrowserStart(reason) => ApiError::BrowserUnavailable(reason),
            SessionError::NotRecorded(reason) => ApiError::StoreUnavailable(reason),
            SessionError::Ended => ApiError::SessionDestroyed,
            SessionError::ExecutionBusy(language) => ApiError::SessionBusy(language),
            SessionError::ExecutionNotStarted(reason) => ApiError::ExecutionUnavailable(reason),
            SessionError::TargetNotFound(target) => ApiError::TargetNotFound(target),
            SessionError::BrowserUnreachable(reason) => ApiError::BrowserUnreachable(reason),
            SessionError::BrowserCrashed => ApiError::BrowserCrashed,
            SessionError::Internal(reason) => ApiError::Internal(reason),
        }
    }
}

impl From<ProfileError> for ApiError {
    fn from(error: ProfileError) -> ApiError {
        match error {
            ProfileError::InUse(name) => ApiError::ProfileInUse(name),
            error => ApiError::Internal(error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
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
