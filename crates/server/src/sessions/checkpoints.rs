//! Checkpoints: the cookies of a session's browser, saved to its profile while the session runs.

use std::sync::Arc;
use std::time::Duration;

use hearth_browser::Browser;
use tokio::time::{MissedTickBehavior, interval};

use super::resources::SessionResources;
use super::session::Session;
use crate::clock;
use crate::profiles::ProfileLease;

/// Saves a checkpoint every `every` until the session ends. Returns at once if the session does not
/// save to a profile.
pub(super) async fn keep_checkpoints(
    session: Arc<Session>,
    resources: Arc<SessionResources>,
    every: Duration,
) {
    let Some(profile) = resources.profile.as_ref().filter(|profile| profile.saves()) else {
        return;
    };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is immediate, and there is nothing to save yet.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = session.ended() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = save_checkpoint(profile, &resources.browser).await {
            tracing::warn!(profile = profile.name(), error, "profile checkpoint failed");
        }
    }
}

async fn save_checkpoint(profile: &ProfileLease, browser: &Browser) -> Result<(), String> {
    let cookies = browser.cookies().await.map_err(|error| error.to_string())?;
    profile
        .checkpoint(cookies, clock::now())
        .await
        .map_err(|error| error.to_string())
}
