//! How long what is over stays known: the settings about it.

use clap::Args;
use jiff::SignedDuration;

use super::{ConfigError, or_default, parse_number};
use crate::store::Retention;

/// The settings as they come from the command line and the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What stays known")]
pub(super) struct RetentionSettings {
    /// How long an ended session stays known, in hours, also across restarts
    #[arg(
        long,
        env = "HEARTH_KEEP_SESSIONS_HOURS",
        value_name = "HOURS",
        default_value = "24"
    )]
    keep_sessions_hours: String,

    /// How long the record of an execution is kept, in hours: its session, language, duration and
    /// exit code, never its code
    #[arg(
        long,
        env = "HEARTH_KEEP_EXECUTIONS_HOURS",
        value_name = "HOURS",
        default_value = "168"
    )]
    keep_executions_hours: String,
}

/// A year.
const MOST_HOURS: usize = 24 * 366;

pub(super) fn parse_retention(settings: &RetentionSettings) -> Result<Retention, ConfigError> {
    let hours = |name: &str, value: &str, default: &str| {
        let hours = parse_number(name, or_default(value, default), 1, MOST_HOURS)?;
        Ok(SignedDuration::from_hours(
            i64::try_from(hours).unwrap_or(i64::MAX),
        ))
    };
    Ok(Retention {
        sessions: hours(
            "HEARTH_KEEP_SESSIONS_HOURS",
            &settings.keep_sessions_hours,
            "24",
        )?,
        executions: hours(
            "HEARTH_KEEP_EXECUTIONS_HOURS",
            &settings.keep_executions_hours,
            "168",
        )?,
    })
}
