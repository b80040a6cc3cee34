//! Settings of the retention of records.

use clap::Args;
use jiff::SignedDuration;

use super::number::{Number, number};

/// The maximum number of hours, which is one year.
const MAX_HOURS: u64 = 24 * 366;

/// The time for which records of ended sessions and of executions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
#[command(next_help_heading = "Retention")]
pub(crate) struct Retention {
    /// Hours for which an ended session can still be queried, including after restarts
    #[arg(long = "keep-sessions-hours", env = "HEARTH_KEEP_SESSIONS_HOURS", value_name = "HOURS",
          default_value = "24", value_parser = hours())]
    pub sessions: SignedDuration,

    /// Hours for which the record of an execution is kept: its session, language, duration and exit
    /// code, never its code
    #[arg(long = "keep-executions-hours", env = "HEARTH_KEEP_EXECUTIONS_HOURS", value_name = "HOURS",
          default_value = "168", value_parser = hours())]
    pub executions: SignedDuration,
}

fn hours() -> Number<SignedDuration> {
    number(1..=MAX_HOURS)
        .map_to(|hours| SignedDuration::from_hours(i64::try_from(hours).unwrap_or(i64::MAX)))
}
