//! The reasons why a scrape failed.

use hearth_contract::DestroyedReason;
use thiserror::Error;

use crate::metrics::ScrapeOutcome;
use crate::page_driver::PageError;
use crate::sessions::{Session, SessionError};

/// The words of the egress proxy about an address that a rule denied.
const DENIED: &str = "was denied: ";

/// Its words about a name without an address.
const UNRESOLVED: &str = "the name does not resolve";

/// The reason why a scrape failed. The texts can contain addresses and texts of the page, so they
/// must reach the caller only, and never the log.
#[derive(Debug, Error)]
pub(crate) enum ScrapeError {
    /// No session could be created, or it cannot be used.
    #[error(transparent)]
    Session(SessionError),
    /// The timeout passed, while this action ran, if any. Its number counts from 1.
    #[error("the timeout of {timeout_ms} ms passed")]
    TimedOut {
        timeout_ms: u32,
        action: Option<usize>,
    },
    /// The name of the host does not exist.
    #[error("{0}")]
    Unresolved(String),
    /// The egress filter denied the address.
    #[error("{0}")]
    Denied(String),
    /// The certificate of the site is not valid.
    #[error("{0}")]
    Certificate(String),
    /// The address is a file of this kind.
    #[error("the address is a file: {0}")]
    UnsupportedFile(String),
    /// An action failed. Its number counts from 1.
    #[error("action {number} failed: {reason}")]
    Action { number: usize, reason: String },
    /// The site or its page prevented the scrape.
    #[error("{0}")]
    Site(String),
}

impl ScrapeError {
    /// Returns the error of a step of a scrape with this session and timeout.
    pub fn of(error: PageError, session: &Session, timeout_ms: u32) -> ScrapeError {
        if let Some(ending) = session.ending() {
            return match (ending.reason, ending.limit) {
                (DestroyedReason::ServerStopped, _) => ScrapeError::Session(SessionError::Stopping),
                (_, Some(limit)) => ScrapeError::Site(format!("its browser {limit}")),
                (reason, None) => ScrapeError::Site(format!(
                    "the session of the scrape has ended ({})",
                    reason.as_str()
                )),
            };
        }
        match error {
            PageError::TimedOut => ScrapeError::TimedOut {
                timeout_ms,
                action: None,
            },
            PageError::NotLoaded(error) => ScrapeError::not_loaded(error),
            PageError::Download => ScrapeError::UnsupportedFile("a download".to_owned()),
            PageError::Overloaded(full) => ScrapeError::Session(SessionError::Overloaded(full)),
            PageError::Session(error) => ScrapeError::Session(error),
            error => ScrapeError::Site(error.to_string()),
        }
    }

    /// Returns the error of an action. `number` counts from 1.
    pub fn of_action(
        number: usize,
        error: PageError,
        session: &Session,
        timeout_ms: u32,
    ) -> ScrapeError {
        match ScrapeError::of(error, session, timeout_ms) {
            ScrapeError::Site(reason) => ScrapeError::Action { number, reason },
            ScrapeError::TimedOut { timeout_ms, .. } => ScrapeError::TimedOut {
                timeout_ms,
                action: Some(number),
            },
            error => error,
        }
    }

    /// Returns the error of an address that was not loaded. `error` is Chromium's error, which can
    /// contain the reason of the egress proxy.
    fn not_loaded(error: String) -> ScrapeError {
        let reason = error
            .split_once('(')
            .and_then(|(_, reason)| reason.strip_suffix(')'));
        match reason {
            Some(reason) if reason.contains(DENIED) => ScrapeError::Denied(reason.to_owned()),
            Some(reason) if reason.contains(UNRESOLVED) => {
                ScrapeError::Unresolved(reason.to_owned())
            }
            _ if error.contains("NAME_NOT_RESOLVED") => ScrapeError::Unresolved(error),
            _ if error.contains("ERR_CERT") || error.contains("ERR_SSL") => {
                ScrapeError::Certificate(error)
            }
            _ if error.contains("ERR_ABORTED") => {
                ScrapeError::Site(format!("the site sent no page ({error})"))
            }
            _ => ScrapeError::Site(format!("the browser cannot load it ({error})")),
        }
    }

    /// Returns the outcome for metrics.
    pub fn outcome(&self) -> ScrapeOutcome {
        match self {
            ScrapeError::Session(error) if error.is_rejection() => ScrapeOutcome::Rejected,
            ScrapeError::Session(_) => ScrapeOutcome::Failed,
            ScrapeError::TimedOut { .. } => ScrapeOutcome::TimedOut,
            ScrapeError::Denied(_) => ScrapeOutcome::Denied,
            ScrapeError::Unresolved(_)
            | ScrapeError::Certificate(_)
            | ScrapeError::UnsupportedFile(_)
            | ScrapeError::Site(_) => ScrapeOutcome::NotLoaded,
            ScrapeError::Action { .. } => ScrapeOutcome::ActionFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_loads_have_the_error_of_their_cause() {
        let tunnel = |reason: &str| {
            ScrapeError::not_loaded(format!("net::ERR_TUNNEL_CONNECTION_FAILED ({reason})"))
        };
        assert!(matches!(
            tunnel("10.0.0.1:80 was denied: it is in a private network; set X to allow it"),
            ScrapeError::Denied(reason) if reason.starts_with("10.0.0.1:80 was denied")
        ));
        assert!(matches!(
            tunnel("a.example:443 could not be reached: the name does not resolve"),
            ScrapeError::Unresolved(_)
        ));
        assert!(matches!(
            tunnel("a.example:443 could not be reached: the connection failed"),
            ScrapeError::Site(_)
        ));
        for error in ["net::ERR_CERT_DATE_INVALID", "net::ERR_SSL_PROTOCOL_ERROR"] {
            let failed = ScrapeError::not_loaded(error.to_owned());
            assert!(matches!(failed, ScrapeError::Certificate(_)), "{failed}");
        }
    }
}
