//! The errors of a page driver.

use std::time::Duration;

use hearth_browser::Closed;
use hearth_budget::Exhausted;
use thiserror::Error;

use crate::sessions::SessionError;

/// The maximum length of an error message of a page, in bytes.
const MAX_MESSAGE_BYTES: usize = 500;

/// The reason why a step in a page failed.
#[derive(Debug, Error)]
pub(crate) enum PageError {
    /// The deadline passed.
    #[error("the time is up")]
    TimedOut,
    /// The address was not loaded. Holds Chromium's error, such as `net::ERR_NAME_NOT_RESOLVED`.
    #[error("cannot load the page: {0}")]
    NotLoaded(String),
    /// The address is a file that Chromium downloads instead of showing it.
    #[error("the address is a file that the browser does not show")]
    Download,
    /// A script threw an error, or an element or a key does not exist. Holds a sentence, which can
    /// contain texts of the page.
    #[error("{0}")]
    Step(String),
    /// A result is larger than allowed.
    #[error("the {what} exceeds {max_mb} MiB")]
    TooLarge { what: &'static str, max_mb: usize },
    /// The page's process has crashed.
    #[error("the page crashed")]
    Crashed,
    /// The connection to the tab has ended, with this reason.
    #[error("the tab is gone: {0}")]
    Disconnected(String),
    /// The browser did not accept a call.
    #[error("the browser rejected {method}: {message}")]
    Rejected { method: String, message: String },
    /// The browser's reply does not match the protocol.
    #[error("cannot parse the browser's reply to {method}: {source}")]
    Malformed {
        method: String,
        source: serde_json::Error,
    },
    /// The buffers of the session are full.
    #[error(transparent)]
    Overloaded(#[from] Exhausted),
    /// The session cannot be used.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl PageError {
    /// Returns the error of a step, with a sentence that is cut if it is long.
    pub(super) fn step(sentence: impl Into<String>) -> PageError {
        let mut sentence = sentence.into();
        sentence.truncate(sentence.floor_char_boundary(MAX_MESSAGE_BYTES));
        PageError::Step(sentence)
    }

    /// Returns the error of an element that is not visible in time.
    pub(super) fn no_element(selector: &str, waited: Duration) -> PageError {
        let seconds = waited.as_secs();
        PageError::step(format!(
            "no visible element matches {selector:?} within {seconds} s"
        ))
    }
}

impl From<Closed> for PageError {
    fn from(_: Closed) -> PageError {
        PageError::Disconnected("the connection was closed".to_owned())
    }
}
