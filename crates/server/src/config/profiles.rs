//! Settings of profiles.

use std::time::Duration;

use clap::Args;

use super::number::seconds;

/// The maximum number of seconds. No session runs longer.
const MAX_SECONDS: u64 = 3600;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Profiles")]
pub(crate) struct ProfileSettings {
    /// Seconds between two checkpoints of the cookies of a session that saves to a profile, so that
    /// a crash does not lose a login. 0 saves cookies only when the session ends
    #[arg(long, env = "HEARTH_PROFILE_CHECKPOINT_SECONDS", value_name = "SECONDS",
          default_value = "60", value_parser = seconds(0..=MAX_SECONDS))]
    profile_checkpoint_seconds: Duration,
}

impl ProfileSettings {
    /// Returns the time between two checkpoints, or none if there are no checkpoints.
    pub fn checkpoint_every(&self) -> Option<Duration> {
        Some(self.profile_checkpoint_seconds).filter(|every| !every.is_zero())
    }
}
