//! The bodies of errors of scrapes and of requests for files.

use hearth_contract::ErrorBody;

use crate::scrape::ScrapeError;
use crate::sessions::FileError;

pub(super) fn scrape_body(error: &ScrapeError) -> ErrorBody {
    match error {
        ScrapeError::Unresolved(reason) => ErrorBody::scrape_unresolved(reason),
        ScrapeError::TimedOut { timeout_ms, action } => {
            ErrorBody::scrape_timeout(*timeout_ms, *action)
        }
        ScrapeError::Denied(reason) => ErrorBody::scrape_denied(reason),
        ScrapeError::Certificate(error) => ErrorBody::scrape_certificate(error),
        ScrapeError::UnsupportedFile(kind) => ErrorBody::scrape_unsupported_file(kind),
        ScrapeError::Action { number, reason } => ErrorBody::scrape_action(*number, reason),
        ScrapeError::Site(reason) => ErrorBody::scrape_site(reason),
        // Has become the error of the session.
        ScrapeError::Session(_) => ErrorBody::internal(),
    }
}

pub(super) fn file_body(error: &FileError) -> ErrorBody {
    match error {
        FileError::NotFound => ErrorBody::file_not_found(),
        FileError::NotAFile(kind) => ErrorBody::not_a_file(kind),
        FileError::NotEmpty => ErrorBody::directory_not_empty(),
        FileError::Denied => ErrorBody::file_denied(),
        FileError::Busy(max) => ErrorBody::files_busy(*max),
        FileError::OverLimit(limit) => ErrorBody::file_over_limit(*limit),
        FileError::DiskFull { free_mb, min_mb } => ErrorBody::disk_full_for_file(*free_mb, *min_mb),
        FileError::Unavailable(reason) => ErrorBody::files_unavailable(reason),
        // Has become the error of the session.
        FileError::Session(_) => ErrorBody::internal(),
    }
}
