//! The errors of interactions. `http::error` maps them to status codes.

use thiserror::Error;

use crate::sessions::SessionError;

/// The reason why an interaction did not run code. The code has not started, so a client can safely
/// repeat the request.
#[derive(Clone, Debug, Error)]
pub(crate) enum InteractError {
    /// No scrape has this id.
    #[error("no such scrape")]
    NotFound,
    /// The scrape belongs to another team.
    #[error("the scrape belongs to another team")]
    Forbidden,
    /// No session was opened for the scrape.
    #[error("the scrape has no session")]
    NoSession,
    /// The page of the scrape is unknown.
    #[error("the context of the scrape is not kept")]
    NoContext,
    /// The server has no model for prompts.
    #[error("no model for prompts")]
    NoModel,
    /// The page could not be brought into the state that the scrape left. The reason can contain
    /// text of the page, so it must not reach the log.
    #[error("cannot open the page again: {0}")]
    ReplayFailed(String),
    /// Opening the page takes longer than the request may take. It goes on.
    #[error("the page was not opened in time")]
    TooSlow,
    /// Nothing may be kept of the request, but the session keeps something.
    #[error("the session retains data")]
    Retaining,
    /// The store failed.
    #[error("cannot use the store: {0}")]
    Store(String),
    /// The task that opened the page is gone, which is a bug.
    #[error("the opening of a page was lost")]
    Lost,
    /// The session did not start or did not run the code.
    #[error(transparent)]
    Session(#[from] SessionError),
}
