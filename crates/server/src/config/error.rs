//! The error of a setting.

use thiserror::Error;

/// A setting that cannot be used, or a missing part of the installation.
#[derive(Debug, Error)]
#[error("{variable}: {reason}")]
pub(crate) struct ConfigError {
    pub variable: String,
    reason: String,
    /// The fix as an instruction, such as `set HEARTH_MAX_TABS=50`.
    pub fix: Option<String>,
}

impl ConfigError {
    /// Creates an error about the setting with this `HEARTH_*` variable.
    pub fn new(variable: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            variable: variable.into(),
            reason: reason.into(),
            fix: None,
        }
    }

    /// Adds the fix.
    pub fn fixed_by(self, fix: impl Into<String>) -> ConfigError {
        ConfigError {
            fix: Some(fix.into()),
            ..self
        }
    }
}
