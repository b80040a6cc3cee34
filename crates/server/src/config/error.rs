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
    /// True if a later start may succeed with the same settings.
    pub is_temporary: bool,
}

impl ConfigError {
    /// Creates an error about the setting with this `HEARTH_*` variable.
    pub fn new(variable: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            variable: variable.into(),
            reason: reason.into(),
            fix: None,
            is_temporary: false,
        }
    }

    /// Returns the fix of an error as a second line, or nothing if it is unknown.
    pub fn fix_line(error: &anyhow::Error) -> String {
        let setting = error.downcast_ref::<ConfigError>();
        let fix = setting.and_then(|error| error.fix.as_deref());
        fix.map(|fix| format!("\n  fix: {fix}")).unwrap_or_default()
    }

    /// Marks an error after which a later start may succeed.
    pub fn temporary(self) -> ConfigError {
        ConfigError {
            is_temporary: true,
            ..self
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
