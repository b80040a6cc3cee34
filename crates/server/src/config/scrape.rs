//! Settings of scrapes.

use std::time::Duration;

use clap::Args;

use super::number::seconds;

/// The maximum number of seconds. An idle session ends after this time.
const MAX_KEEP_SECONDS: u64 = 300;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scrapes")]
pub(crate) struct ScrapeSettings {
    /// Seconds for which the browser of a scrape is kept, so that a first interaction continues in
    /// the page as it is. Later ones repeat the scrape's steps in a new session, as do all with 0.
    /// Kept browsers end when a session needs their place or their memory
    #[arg(long = "scrape-keep-seconds", env = "HEARTH_SCRAPE_KEEP_SECONDS", value_name = "SECONDS",
          default_value = "60", value_parser = seconds(0..=MAX_KEEP_SECONDS))]
    pub keep: Duration,
}
