//! How much of a login a crash may cost: the setting about it.

use std::time::Duration;

use clap::Args;

use super::{ConfigError, or_default, parse_number, seconds};

/// The setting as it comes from the command line and the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Profiles")]
pub(super) struct ProfileSettings {
    /// How often the cookies of a session that saves to a profile are written down, in seconds, so
    /// that a crash does not lose a login; 0: only at its end
    #[arg(
        long,
        env = "HEARTH_PROFILE_CHECKPOINT_SECONDS",
        value_name = "SECONDS",
        default_value = "60"
    )]
    profile_checkpoint_seconds: String,
}

/// Longer than any session lives.
const MOST_SECONDS: usize = 3600;

pub(super) fn parse_checkpoint(
    settings: &ProfileSettings,
) -> Result<Option<Duration>, ConfigError> {
    let value = or_default(&settings.profile_checkpoint_seconds, "60");
    let number = parse_number("HEARTH_PROFILE_CHECKPOINT_SECONDS", value, 0, MOST_SECONDS)?;
    Ok((number > 0).then(|| seconds(number)))
}
