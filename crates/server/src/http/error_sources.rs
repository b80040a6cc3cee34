//! The errors of other modules as errors of the API. Those of sessions are in `error`.

use crate::firecrawl::FirecrawlError;
use crate::http::error::ApiError;
use crate::profiles::ProfileError;
use crate::scrape::{InteractError, ScrapeError};
use crate::sessions::FileError;

impl From<FirecrawlError> for ApiError {
    fn from(error: FirecrawlError) -> ApiError {
        match error {
            FirecrawlError::TeamQueueFull(full) => ApiError::TeamQueueFull(full),
            error => ApiError::FirecrawlUnavailable(error.to_string()),
        }
    }
}

impl From<InteractError> for ApiError {
    fn from(error: InteractError) -> ApiError {
        match error {
            InteractError::NotFound => ApiError::JobNotFound,
            InteractError::Forbidden => ApiError::Forbidden,
            InteractError::NoSession => ApiError::SessionNotFound,
            InteractError::NoContext => ApiError::NoScrapeContext,
            InteractError::NoModel => ApiError::NoModel,
            InteractError::ReplayFailed(_) => ApiError::ReplayFailed,
            InteractError::TooSlow => ApiError::PageTooSlow,
            InteractError::Retaining => ApiError::RetainingSession,
            InteractError::Store(reason) => ApiError::StoreUnusable(reason),
            InteractError::Lost => ApiError::Internal(error.to_string()),
            InteractError::Session(error) => error.into(),
        }
    }
}

impl From<ScrapeError> for ApiError {
    fn from(error: ScrapeError) -> ApiError {
        match error {
            ScrapeError::Session(error) => error.into(),
            error => ApiError::Scrape(error),
        }
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> ApiError {
        match error {
            FileError::Session(error) => error.into(),
            error => ApiError::File(error),
        }
    }
}

impl From<ProfileError> for ApiError {
    fn from(error: ProfileError) -> ApiError {
        match error {
            ProfileError::InUse(name) => ApiError::ProfileInUse(name),
            ProfileError::Store(error) => ApiError::StoreUnusable(error.to_string()),
            error => ApiError::Internal(error.to_string()),
        }
    }
}
