//! The error of a setting.

use thiserror::Error;

/// A setting that cannot be used, or a missing part of the installation.
#[derive(Debug, Error)]
#[error("{variable}: {reason}")]
pub(crate) struct ConfigError {
    pub variable: String,
    reason: String,
}

impl ConfigError {
    /// Creates an error about the setting with this `HEARTH_*` variable. The reason includes the
    /// fix.
    pub fn new(variable: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            variable: variable.into(),
            reason: reason.into(),
        }
    }
}
