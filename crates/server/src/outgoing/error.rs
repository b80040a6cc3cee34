//! The reasons why a request to another server has no response.

use std::error::Error as _;
use std::time::Duration;

use thiserror::Error;

/// A reason why a request to another server has no response, as a clause for people.
#[derive(Debug, Error)]
pub(crate) enum OutgoingError {
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    #[error("it did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("it closed the connection without an answer")]
    Closed,
    #[error("cannot read the data to send: {0}")]
    Unsent(String),
    #[error("its answer is not HTTP")]
    Invalid,
}

impl OutgoingError {
    /// Returns true if there was no connection, so that other requests will fail, too.
    pub fn is_of_connection(&self) -> bool {
        matches!(self, OutgoingError::Connect(_) | OutgoingError::Tls(_))
    }

    /// Converts an error of a connection that was established.
    pub(super) fn of_exchange(error: &hyper::Error) -> OutgoingError {
        if error.is_parse() {
            OutgoingError::Invalid
        } else if error.is_user() {
            let source = error.source().map(ToString::to_string);
            OutgoingError::Unsent(source.unwrap_or_else(|| error.to_string()))
        } else if error.is_body_write_aborted() {
            OutgoingError::Unsent("it has become shorter".to_owned())
        } else {
            OutgoingError::Closed
        }
    }
}
