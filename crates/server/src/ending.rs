//! The end of a session: its reason, its time and its description.

use hearth_contract::{DestroyedReason, Limit};
use jiff::Timestamp;

/// The reason and time of a session's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub reason: DestroyedReason,
    /// The limit that the session exceeded, if that is the reason.
    pub limit: Option<Limit>,
    pub at: Timestamp,
    pub duration_ms: u64,
}

impl Ending {
    /// Returns the reason as a sentence.
    pub fn sentence(self) -> String {
        self.limit
            .map_or_else(|| self.reason.sentence().to_owned(), Limit::sentence)
    }

    /// Returns the error of an execution that this end interrupted.
    pub fn execution_error(self) -> String {
        self.limit.map_or_else(
            || self.reason.execution_error().to_owned(),
            Limit::session_error,
        )
    }
}
