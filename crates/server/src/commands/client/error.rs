//! The error of a command that uses a running server.

use thiserror::Error;

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
    /// Creates an error. Control characters of `reason`, which may be the text of a server, do not
    /// reach the terminal.
    pub fn new(action: impl Into<String>, reason: impl AsRef<str>) -> ClientError {
        let is_unsafe = |c: char| c.is_control() && c != '\n';
        ClientError {
            action: action.into(),
            reason: reason.as_ref().trim_end().replace(is_unsafe, "\u{fffd}"),
            fix: None,
        }
    }

    /// Adds the fix.
    pub fn fixed_by(self, fix: impl Into<String>) -> ClientError {
        ClientError {
            fix: Some(fix.into()),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_server_does_not_control_the_terminal() {
        let error = ClientError::new("run the code", "a\u{1b}[2J\nb\r\u{9b}1m\n");
        assert_eq!(
            error.to_string(),
            "cannot run the code: a\u{fffd}[2J\nb\u{fffd}\u{fffd}1m"
        );
    }
}
