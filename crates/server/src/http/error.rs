//! The status code, body and `Retry-After` of every error of the API.
//!
//! Official clients repeat a POST after a 502, and other clients after any 5xx, 408 or 409. So the
//! server never sends such a status once user code may have started. Every execution error in this
//! module means that the code has not started.

use axum::Json;
use axum::http::header::{CONTENT_RANGE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hearth_contract::{ErrorBody, Issue, Language};
use jiff::Timestamp;

use crate::clock;
use crate::fair_queue::TeamQueueFull;
use crate::http::error_bodies::{file_body, scrape_body};
use crate::request_rate::RateExceeded;
use crate::scrape::ScrapeError;
use crate::sessions::{FileError, SessionError};

/// The `Retry-After` seconds when the server is full or stopping. Sessions start and end at the
/// pace at which people work.
const FULL_RETRY_SECONDS: u32 = 5;

/// The `Retry-After` seconds of a busy session. Most executions take less time.
const BUSY_RETRY_SECONDS: u32 = 1;

/// An error of the API.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The body is not a JSON object or array.
    InvalidJson,
    /// The body is not JSON, and its content type is another one or missing.
    NotJson(String),
    /// The body has a content encoding, such as gzip.
    CompressedBody(String),
    /// The body fails validation.
    Validation(Vec<Issue>),
    /// The body is larger than 10 MB.
    TooLarge,
    /// The body arrived incompletely.
    IncompleteBody,
    /// The buffers of the session or of the server are full. Nothing was done.
    Overloaded,
    /// The key or token is missing, malformed or unknown. The body says which.
    Unauthorized(ErrorBody),
    /// No keys are configured, and the `Host` header does not name this machine.
    ForeignHost,
    /// No session has this id.
    SessionNotFound,
    /// The session belongs to another team.
    Forbidden,
    /// The session's browser has no target with this id.
    TargetNotFound(String),
    /// The session has ended.
    SessionDestroyed,
    /// The session of a live view link has ended. Holds the reason as a sentence, and the end time.
    SessionEnded(String, Timestamp),
    /// The id of a scrape is not a UUID.
    InvalidJobId,
    /// No scrape has this id.
    JobNotFound,
    /// The page of a scrape is not known.
    NoScrapeContext,
    /// The page of a scrape could not be opened again.
    ReplayFailed,
    /// The page of a scrape was not opened in time.
    PageTooSlow,
    /// The session was created without `zeroDataRetention`, which the request wants.
    RetainingSession,
    /// The store failed to read or record a scrape, or to read profiles.
    StoreUnusable(String),
    /// The server has no model for prompts.
    NoModel,
    /// A page of another origin tried to connect to a live view.
    ForeignOrigin,
    /// The session limit is reached.
    LimitReached,
    /// The team has this many sessions, which is its maximum.
    TeamLimitReached(usize),
    /// The key was used for its maximum number of requests per minute.
    RateExceeded(RateExceeded),
    /// Too many requests of the team wait in a queue that teams share.
    TeamQueueFull(TeamQueueFull),
    /// The disk has too little free space for another session.
    DiskFull { free_mb: u64, min_mb: u64 },
    /// Too little memory is available for another session.
    MemoryLow { available_mb: u64, min_mb: u64 },
    /// A watcher cannot read what sessions use.
    Unmeasured { what: &'static str, reason: String },
    /// The endpoint requires the operator key, but the request has a team's key.
    OperatorsOnly,
    /// Another execution in this language was still running when the timeout passed.
    SessionBusy(Language),
    /// Too many executions in the language wait in the session.
    QueueFull(Language),
    /// The store failed to record the session.
    StoreUnavailable(String),
    /// Another session saves to the profile that a new session requested.
    ProfileBusy(String),
    /// A session saves to the profile that a request deletes.
    ProfileInUse(String),
    /// The profile cannot be read. Holds its name and the reason.
    ProfileUnavailable(String, String),
    /// The browser did not start.
    BrowserUnavailable(String),
    /// The session's browser does not accept clients.
    BrowserUnreachable(String),
    /// The session's browser ended unexpectedly, so a client cannot connect to it.
    BrowserCrashed,
    /// The code did not start. The reason can contain output of user code, so it must reach the
    /// caller only, and never the log.
    ExecutionUnavailable(String),
    /// A page was not scraped. The reason can contain texts of the page, so it must reach the
    /// caller only, and never the log.
    Scrape(ScrapeError),
    /// The path of a file is invalid. Holds the reason.
    InvalidFilePath(String),
    /// The body is a part of a file.
    PartialUpload,
    /// The range is outside of the file, which has this many bytes.
    UnsatisfiableRange(u64),
    /// A file was not read, written, listed or removed.
    File(FileError),
    /// Sessions cannot be read from the store.
    StoreUnreadable(String),
    /// Another node has the session, and cannot be reached.
    NodeUnreachable(String),
    /// The server is stopping.
    Stopping,
    /// No route has this path.
    UnknownPath,
    /// No route has this path, which looks like one of Firecrawl's API.
    UnknownApiPath,
    /// No route has this path, which is below those of the API.
    UnknownPathBelow,
    /// The path does not support this method.
    WrongMethod,
    /// The path accepts only WebSocket upgrades.
    UpgradeRequired,
    /// The path of a live view accepts only WebSocket upgrades.
    LiveViewUpgradeRequired,
    /// Firecrawl did not answer a request that is passed on to it.
    FirecrawlUnavailable(String),
    /// The node of a cluster that received the request has not answered. Repeating it is harmless.
    NodeLost(String),
    /// A bug in the server.
    Internal(String),
}

impl ApiError {
    /// Returns the status code.
    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::InvalidJson
            | ApiError::NotJson(_)
            | ApiError::CompressedBody(_)
            | ApiError::Validation(_)
            | ApiError::InvalidJobId
            | ApiError::InvalidFilePath(_)
            | ApiError::PartialUpload
            | ApiError::IncompleteBody => StatusCode::BAD_REQUEST,
            ApiError::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            ApiError::ForeignHost
            | ApiError::Forbidden
            | ApiError::ForeignOrigin
            | ApiError::OperatorsOnly => StatusCode::FORBIDDEN,
            ApiError::SessionNotFound
            | ApiError::JobNotFound
            | ApiError::TargetNotFound(_)
            | ApiError::UnknownPath
            | ApiError::UnknownApiPath
            | ApiError::UnknownPathBelow => StatusCode::NOT_FOUND,
            ApiError::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::ProfileBusy(_)
            | ApiError::ProfileInUse(_)
            | ApiError::NoScrapeContext
            | ApiError::ReplayFailed
            | ApiError::RetainingSession => StatusCode::CONFLICT,
            ApiError::NoModel => StatusCode::NOT_IMPLEMENTED,
            ApiError::SessionDestroyed | ApiError::SessionEnded(..) => StatusCode::GONE,
            ApiError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::UpgradeRequired | ApiError::LiveViewUpgradeRequired => {
                StatusCode::UPGRADE_REQUIRED
            }
            ApiError::LimitReached
            | ApiError::TeamLimitReached(_)
            | ApiError::RateExceeded(_)
            | ApiError::TeamQueueFull(_)
            | ApiError::SessionBusy(_)
            | ApiError::QueueFull(_) => StatusCode::TOO_MANY_REQUESTS,
            ApiError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            ApiError::Scrape(error) => scrape_status(error),
            ApiError::File(error) => file_status(error),
            ApiError::UnsatisfiableRange(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            ApiError::DiskFull { .. }
            | ApiError::MemoryLow { .. }
            | ApiError::Unmeasured { .. }
            | ApiError::StoreUnavailable(_)
            | ApiError::StoreUnusable(_)
            | ApiError::StoreUnreadable(_)
            | ApiError::NodeUnreachable(_)
            | ApiError::ProfileUnavailable(..)
            | ApiError::BrowserUnavailable(_)
            | ApiError::BrowserUnreachable(_)
            | ApiError::BrowserCrashed
            | ApiError::ExecutionUnavailable(_)
            | ApiError::FirecrawlUnavailable(_)
            | ApiError::NodeLost(_)
            | ApiError::PageTooSlow
            | ApiError::Overloaded
            | ApiError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the `Retry-After` seconds of an error that a later attempt can resolve.
    fn retry_after(&self) -> Option<u32> {
        match self {
            ApiError::LimitReached
            | ApiError::TeamLimitReached(_)
            | ApiError::DiskFull { .. }
            | ApiError::MemoryLow { .. }
            | ApiError::Unmeasured { .. }
            | ApiError::StoreUnavailable(_)
            | ApiError::StoreUnusable(_)
            | ApiError::StoreUnreadable(_)
            | ApiError::ProfileBusy(_)
            | ApiError::FirecrawlUnavailable(_)
            | ApiError::File(FileError::DiskFull { .. })
            | ApiError::Stopping => Some(FULL_RETRY_SECONDS),
            ApiError::SessionBusy(_)
            | ApiError::QueueFull(_)
            | ApiError::TeamQueueFull(_)
            | ApiError::PageTooSlow
            | ApiError::NodeUnreachable(_)
            | ApiError::NodeLost(_)
            | ApiError::File(FileError::Busy(_) | FileError::Unavailable(_))
            | ApiError::Overloaded => Some(BUSY_RETRY_SECONDS),
            ApiError::RateExceeded(exceeded) => Some(exceeded.retry_seconds),
            _ => None,
        }
    }

    /// Turns the error into its body.
    fn body(self) -> ErrorBody {
        match self {
            ApiError::InvalidJson => ErrorBody::invalid_json(),
            ApiError::NotJson(content_type) => ErrorBody::not_json(&content_type),
            ApiError::CompressedBody(encoding) => ErrorBody::compressed_body(&encoding),
            ApiError::Validation(issues) => ErrorBody::validation(issues),
            ApiError::TooLarge => ErrorBody::too_large(),
            ApiError::IncompleteBody => ErrorBody::incomplete_body(),
            ApiError::Overloaded => ErrorBody::overloaded(),
            ApiError::Unauthorized(body) => body,
            ApiError::ForeignHost => ErrorBody::foreign_host(),
            ApiError::SessionNotFound => ErrorBody::not_found(),
            ApiError::Forbidden => ErrorBody::forbidden(),
            ApiError::TargetNotFound(target) => ErrorBody::target_not_found(&target),
            ApiError::SessionDestroyed => ErrorBody::destroyed(),
            ApiError::SessionEnded(why, at) => ErrorBody::ended(&why, &clock::format(at)),
            ApiError::InvalidJobId => ErrorBody::invalid_job_id(),
            ApiError::JobNotFound => ErrorBody::job_not_found(),
            ApiError::NoScrapeContext => ErrorBody::no_scrape_context(),
            ApiError::ReplayFailed => ErrorBody::replay_failed(),
            ApiError::PageTooSlow => ErrorBody::page_too_slow(),
            ApiError::RetainingSession => ErrorBody::retaining_session(),
            ApiError::StoreUnusable(reason) => ErrorBody::store_unusable(&reason),
            ApiError::StoreUnreadable(reason) => ErrorBody::store_unreadable(&reason),
            ApiError::NodeUnreachable(_) => ErrorBody::node_unreachable(),
            ApiError::NoModel => ErrorBody::no_model(),
            ApiError::ForeignOrigin => ErrorBody::foreign_origin(),
            ApiError::LimitReached => ErrorBody::limit_reached(),
            ApiError::TeamLimitReached(max) => ErrorBody::team_limit_reached(max),
            ApiError::RateExceeded(exceeded) => ErrorBody::rate_exceeded(exceeded.max_per_minute),
            ApiError::TeamQueueFull(TeamQueueFull(max)) => ErrorBody::team_queue_full(max),
            ApiError::DiskFull { free_mb, min_mb } => ErrorBody::disk_full(free_mb, min_mb),
            ApiError::MemoryLow {
                available_mb,
                min_mb,
            } => ErrorBody::memory_low(available_mb, min_mb),
            ApiError::Unmeasured { what, reason } => ErrorBody::unmeasured(what, &reason),
            ApiError::OperatorsOnly => ErrorBody::operator_key_required(),
            ApiError::StoreUnavailable(reason) => ErrorBody::store_unavailable(&reason),
            ApiError::SessionBusy(language) => ErrorBody::session_busy(language),
            ApiError::QueueFull(language) => ErrorBody::queue_full(language),
            ApiError::ProfileBusy(name) => ErrorBody::profile_busy(&name),
            ApiError::ProfileInUse(name) => ErrorBody::profile_in_use(&name),
            ApiError::ProfileUnavailable(name, reason) => {
                ErrorBody::profile_unavailable(&name, &reason)
            }
            ApiError::BrowserUnavailable(reason) => ErrorBody::browser_unavailable(&reason),
            ApiError::BrowserUnreachable(reason) => ErrorBody::browser_unreachable(&reason),
            ApiError::BrowserCrashed => ErrorBody::browser_crashed(),
            ApiError::ExecutionUnavailable(reason) => ErrorBody::execution_unavailable(&reason),
            ApiError::Scrape(error) => scrape_body(&error),
            ApiError::File(error) => file_body(&error),
            ApiError::InvalidFilePath(reason) => ErrorBody::invalid_file_path(&reason),
            ApiError::PartialUpload => ErrorBody::partial_upload(),
            ApiError::UnsatisfiableRange(bytes) => ErrorBody::unsatisfiable_range(bytes),
            ApiError::Stopping => ErrorBody::stopping(),
            ApiError::UnknownPath => ErrorBody::unknown_path(),
            ApiError::UnknownApiPath => ErrorBody::unknown_api_path(),
            ApiError::UnknownPathBelow => ErrorBody::unknown_path_below(),
            ApiError::WrongMethod => ErrorBody::wrong_method(),
            ApiError::UpgradeRequired => ErrorBody::upgrade_required(),
            ApiError::LiveViewUpgradeRequired => ErrorBody::live_view_upgrade_required(),
            ApiError::FirecrawlUnavailable(reason) => ErrorBody::firecrawl_unavailable(&reason),
            ApiError::NodeLost(_) => ErrorBody::node_lost(),
            ApiError::Internal(_) => ErrorBody::internal(),
        }
    }

    /// Logs the errors that an operator can act on.
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
            ApiError::StoreUnusable(reason) => {
                tracing::error!(reason, "request failed: store unusable");
            }
            ApiError::StoreUnavailable(reason) => {
                tracing::error!(reason, "session creation failed: not recorded");
            }
            ApiError::StoreUnreadable(reason) => {
                tracing::error!(reason, "sessions not read");
            }
            ApiError::NodeUnreachable(reason) => {
                tracing::warn!(reason, "node not reached");
            }
            ApiError::ProfileUnavailable(_, reason) => {
                tracing::error!(reason, "session creation failed: profile unreadable");
            }
            ApiError::BrowserUnavailable(reason) => {
                tracing::warn!(%reason, "browser launch failed");
            }
            ApiError::FirecrawlUnavailable(reason) => {
                tracing::warn!(reason, "firecrawl request failed");
            }
            ApiError::NodeLost(reason) => {
                tracing::warn!(reason, "forwarded request not answered");
            }
            ApiError::File(FileError::Unavailable(reason)) => {
                tracing::warn!(reason, "files of the session not reached");
            }
            ApiError::Internal(reason) => {
                tracing::error!(%reason, "request failed: internal error");
            }
            _ => {}
        }
    }
}

/// Returns true if a server has rejected a request because it is full or not ready, so that another
/// one may accept it.
pub(crate) fn is_rejection(status: StatusCode) -> bool {
    [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ]
    .contains(&status)
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> ApiError {
        match error {
            SessionError::Stopping => ApiError::Stopping,
            SessionError::AtCapacity => ApiError::LimitReached,
            SessionError::TeamAtCapacity(max) => ApiError::TeamLimitReached(max),
            SessionError::DiskFull { free_mb, min_mb } => ApiError::DiskFull { free_mb, min_mb },
            SessionError::MemoryLow {
                available_mb,
                min_mb,
            } => ApiError::MemoryLow {
                available_mb,
                min_mb,
            },
            SessionError::Unmeasured { what, reason } => ApiError::Unmeasured { what, reason },
            SessionError::ProfileBusy(name) => ApiError::ProfileBusy(name),
            SessionError::ProfileUnreadable { name, reason } => {
                ApiError::ProfileUnavailable(name, reason)
            }
            SessionError::BrowserStart(failure) => {
                ApiError::BrowserUnavailable(failure.to_string())
            }
            SessionError::NotRecorded(reason) => ApiError::StoreUnavailable(reason),
            SessionError::LeaseLost => ApiError::StoreUnavailable(error.to_string()),
            SessionError::Ended => ApiError::SessionDestroyed,
            SessionError::ExecutionBusy(language) => ApiError::SessionBusy(language),
            SessionError::QueueFull(language) => ApiError::QueueFull(language),
            SessionError::Overloaded(_) => ApiError::Overloaded,
            SessionError::ExecutionNotStarted(reason) => ApiError::ExecutionUnavailable(reason),
            SessionError::TargetNotFound(target) => ApiError::TargetNotFound(target),
            SessionError::BrowserUnreachable(reason) => ApiError::BrowserUnreachable(reason),
            SessionError::BrowserCrashed => ApiError::BrowserCrashed,
            SessionError::Internal(reason) => ApiError::Internal(reason),
        }
    }
}

/// Returns the status of a failed scrape. Firecrawl answers 200 for an unknown host name.
fn scrape_status(error: &ScrapeError) -> StatusCode {
    match error {
        ScrapeError::Unresolved(_) => StatusCode::OK,
        ScrapeError::TimedOut { .. } => StatusCode::REQUEST_TIMEOUT,
        ScrapeError::Denied(_) => StatusCode::FORBIDDEN,
        ScrapeError::Certificate(_)
        | ScrapeError::UnsupportedFile(_)
        | ScrapeError::Action { .. }
        | ScrapeError::Site(_)
        | ScrapeError::Session(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn file_status(error: &FileError) -> StatusCode {
    match error {
        FileError::NotFound => StatusCode::NOT_FOUND,
        FileError::NotAFile(_) | FileError::NotEmpty | FileError::Denied => StatusCode::CONFLICT,
        FileError::OverLimit(_) => StatusCode::PAYLOAD_TOO_LARGE,
        FileError::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
        FileError::DiskFull { .. } | FileError::Unavailable(_) | FileError::Session(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let retry_after_seconds = self.retry_after();
        let size = match self {
            ApiError::UnsatisfiableRange(bytes) => Some(format!("bytes */{bytes}")),
            _ => None,
        };
        let mut response = (self.status(), Json(self.body())).into_response();
        if let Some(seconds) = retry_after_seconds {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(size) = size.and_then(|size| HeaderValue::try_from(size).ok()) {
            response.headers_mut().insert(CONTENT_RANGE, size);
        }
        response
    }
}
