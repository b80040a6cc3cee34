//! A session and its profile: checked out before the browser starts, written down now and then
//! while it runs, and committed at the session's clean end.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearth_browser::{
    Browser, BrowserError, CookieJar, LaunchSpec, PROFILE_FOLDER, left_out_of_profiles,
};
use hearth_contract::{NotSaved, ProfileWarning};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::resources::SessionResources;
use super::session::Session;
use crate::clock;
use crate::http::error::ApiError;
use crate::profiles::{CheckedOut, Hold};
use crate::sandbox::SessionSandbox;

/// Where in a session its profile lies.
fn place(sandbox: &SessionSandbox) -> PathBuf {
    sandbox.folder.browser().join(PROFILE_FOLDER)
}

/// Launches the session's browser, with what its profile holds if it has one. A profile that is
/// damaged is set aside; the browser is a fresh one then, and the second thing says so. Nothing
/// runs when it fails.
pub(super) async fn launch(
    hold: Option<&Hold>,
    sandbox: &SessionSandbox,
    tasks: &TaskTracker,
    spec: LaunchSpec,
    most_mb: u64,
) -> Result<(Browser, Option<ProfileWarning>), ApiError> {
    let start = || Browser::launch(&sandbox.browser, tasks, spec.clone());
    let unavailable =
        |error: &dyn std::fmt::Display| ApiError::BrowserUnavailable(error.to_string());
    let Some(hold) = hold else {
        return Ok((start().await.map_err(|error| unavailable(&error))?, None));
    };
    let unreadable = |error: io::Error| {
        let reason = match error.kind() {
            ErrorKind::FileTooLarge => NotSaved::TooLarge(most_mb).to_string(),
            _ => error.to_string(),
        };
        ApiError::ProfileUnavailable(hold.name().to_owned(), reason)
    };
    let empty = async || {
        sandbox
            .browser
            .empty(vec![place(sandbox)])
            .await
            .map_err(unreadable)
    };
    let unpack = |file| sandbox.browser.unpack(file, place(sandbox), most_mb << 20);
    let mut checked_out = hold.check_out(unpack).await.map_err(unreadable)?;
    if checked_out.warning == Some(ProfileWarning::Damaged) {
        empty().await?;
    }
    let browser = match start().await {
        Ok(browser) => browser,
        // It was read as it was written. Whether it is to blame shows by a browser that starts
        // without it.
        Err(error) if checked_out.has_files => {
            empty().await?;
            let Ok(browser) = start().await else {
                return Err(unavailable(&error));
            };
            hold.refuse().await.map_err(unreadable)?;
            checked_out = CheckedOut {
                warning: Some(ProfileWarning::Damaged),
                ..CheckedOut::default()
            };
            browser
        }
        Err(error) => return Err(unavailable(&error)),
    };
    if let Err(error) = restore_cookies(&browser, &checked_out).await {
        browser.kill().await;
        return Err(unavailable(&error));
    }
    Ok((browser, checked_out.warning))
}

async fn restore_cookies(browser: &Browser, checked_out: &CheckedOut) -> Result<(), BrowserError> {
    if checked_out.are_all {
        browser.replace_cookies(&checked_out.cookies).await
    } else {
        browser.add_cookies(&checked_out.cookies).await
    }
}

/// Ends a browser so that everything is in its folder, and gives back the cookies that are not.
/// Otherwise why that cannot be.
pub(super) async fn close(browser: &Browser) -> Result<CookieJar, NotSaved> {
    let cookies = match browser.cookies().await {
        Ok(cookies) => cookies.of_the_session(),
        Err(error) => {
            browser.kill().await;
            return Err(NotSaved::Because(error.to_string()));
        }
    };
    if browser.close().await {
        Ok(cookies)
    } else {
        Err(NotSaved::BrowserKilled)
    }
}

/// Saves what a closed browser has left. To be called when nothing of the session runs any more.
pub(super) async fn commit(
    hold: &Hold,
    closed: Result<CookieJar, NotSaved>,
    sandbox: &SessionSandbox,
    most_mb: u64,
) -> Result<(), ProfileWarning> {
    let cookies = match closed {
        Ok(cookies) => cookies,
        Err(reason) => return Err(not_saved(hold, reason).await),
    };
    let pack = |file| {
        sandbox
            .browser
            .pack(place(sandbox), left_out_of_profiles(), most_mb << 20, file)
    };
    let saved = hold.commit(cookies, clock::now(), pack).await;
    let Err(error) = saved else { return Ok(()) };
    let reason = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => NotSaved::DiskFull,
        ErrorKind::FileTooLarge => NotSaved::TooLarge(most_mb),
        _ => NotSaved::Because(error.to_string()),
    };
    Err(not_saved(hold, reason).await)
}

/// What is told of a session whose changes are lost.
async fn not_saved(hold: &Hold, reason: NotSaved) -> ProfileWarning {
    ProfileWarning::NotSaved {
        reason,
        has_cookies: hold.has_checkpoint().await,
    }
}

/// Writes the cookies of a session's browser down, again and again until the session ends.
pub(super) async fn keep_checkpoints(
    session: Arc<Session>,
    live: Arc<SessionResources>,
    every: Duration,
) {
    let Some(hold) = live.profile.as_ref().filter(|hold| hold.saves()) else {
        return;
    };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is at once, and there is nothing yet.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = session.ended() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = checkpoint(hold, &live.browser).await {
            log_failure(session.id(), &error);
        }
    }
}

async fn checkpoint(hold: &Hold, browser: &Browser) -> Result<(), String> {
    let cookies = browser.cookies().await.map_err(|error| error.to_string())?;
    hold.checkpoint(cookies, clock::now())
        .await
        .map_err(|error| error.to_string())
}

fn log_failure(session: Uuid, error: &str) {
    tracing::warn!(%session, error, "the cookies of a session are not written down");
}
