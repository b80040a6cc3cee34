//! The error of a command that uses a running server.

use thiserror::Error;

use super::terminal::{harmless, harmless_line};

/// A command that a server has not carried out.
#[derive(Debug, Error)]
#[error("cannot {action}: {reason}")]
pub(in crate::commands) struct ClientError {
    /// An infinitive without `to`, such as `create a session`.
    action: String,
    reason: String,
    /// The fix as an instruction.
    pub fix: Option<String>,
}

impl ClientError {
    /// Creates an error. The action and the reason may contain texts of a server.
    pub fn new(action: impl AsRef<str>, reason: impl AsRef<str>) -> ClientError {
        ClientError {
            action: harmless_line(action.as_ref()),
            reason: harmless_line(reason.as_ref()),
            fix: None,
        }
    }

    /// Adds the fix, which may have several lines.
    pub fn fixed_by(self, fix: impl AsRef<str>) -> ClientError {
        ClientError {
            fix: Some(harmless(fix.as_ref())),
            ..self
        }
    }
}
