//! The profile of a session: restored before the browser starts, and saved at the session's clean
//! end.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use hearth_browser::{
    Browser, BrowserError, CookieJar, LaunchError, LaunchSpec, PROFILE_DIR, profile_exclusions,
};
use hearth_contract::{NotSaved, ProfileWarning};
use tokio_util::task::TaskTracker;

use super::error::{SessionError, StartFailure};
use crate::clock;
use crate::profiles::{CheckedOut, CommitError, ProfileLease};
use crate::sandbox::session::SessionSandbox;

/// Returns the directory of the profile in a session's sandbox.
fn profile_dir(sandbox: &SessionSandbox) -> PathBuf {
    sandbox.dir.browser().join(PROFILE_DIR)
}

/// Launches the session's browser with the contents of its profile, if it has one. If the profile
/// is damaged, it is moved aside, the browser starts empty, and the result has a warning. No
/// process is left on failure.
pub(super) async fn launch(
    profile: Option<&ProfileLease>,
    sandbox: &SessionSandbox,
    tasks: &TaskTracker,
    spec: LaunchSpec,
    max_mb: u64,
) -> Result<(Browser, Option<ProfileWarning>), SessionError> {
    let start = || Browser::launch(&sandbox.browser, tasks, spec.clone());
    let Some(profile) = profile else {
        let browser = start().await.map_err(|error| not_launched(&error))?;
        return Ok((browser, None));
    };
    let unreadable = |error: io::Error| {
        let reason = match error.kind() {
            ErrorKind::FileTooLarge => NotSaved::TooLarge(max_mb).to_string(),
            _ => error.to_string(),
        };
        let name = profile.name().to_owned();
        SessionError::ProfileUnreadable { name, reason }
    };
    let clear = async || clear(sandbox).await.map_err(unreadable);
    let unpack = |file| {
        sandbox
            .browser
            .files()
            .unpack_dir(file, profile_dir(sandbox), max_mb << 20)
    };
    let restore = async || {
        let checked_out = profile.checkout(unpack).await.map_err(unreadable)?;
        if checked_out.warning == Some(ProfileWarning::Damaged) {
            clear().await?;
        }
        Ok::<CheckedOut, SessionError>(checked_out)
    };
    let mut checked_out = restore().await?;
    let browser = match start().await {
        Ok(browser) => browser,
        // The files are as they were saved. They are the cause if the browser starts without them,
        // and then again not with them. Otherwise it was killed, or the machine is overloaded.
        Err(error) if checked_out.has_files => {
            let start_without_files = async || {
                clear().await?;
                start().await.map_err(|_| not_launched(&error))
            };
            start_without_files().await?.kill().await;
            clear().await?;
            checked_out = restore().await?;
            if let Ok(browser) = start().await {
                browser
            } else {
                let browser = start_without_files().await?;
                profile.reject().await.map_err(unreadable)?;
                checked_out = CheckedOut {
                    warning: Some(ProfileWarning::Damaged),
                    ..CheckedOut::default()
                };
                browser
            }
        }
        Err(error) => return Err(not_launched(&error)),
    };
    if let Err(error) = restore_cookies(&browser, &checked_out).await {
        browser.kill().await;
        let failure = StartFailure::new(error.to_string());
        return Err(SessionError::BrowserStart(failure));
    }
    Ok((browser, checked_out.warning))
}

/// Removes the browser's files.
pub(super) async fn clear(sandbox: &SessionSandbox) -> io::Result<()> {
    let files = sandbox.browser.files();
    files.empty_dirs(vec![profile_dir(sandbox)]).await
}

fn not_launched(error: &LaunchError) -> SessionError {
    SessionError::BrowserStart(StartFailure::from(error))
}

async fn restore_cookies(browser: &Browser, checked_out: &CheckedOut) -> Result<(), BrowserError> {
    if checked_out.replaces_all {
        browser.replace_cookies(&checked_out.cookies).await
    } else {
        browser.add_cookies(&checked_out.cookies).await
    }
}

/// Closes the browser, so that its directory is complete, and returns the cookies that it does not
/// store there. Returns the reason if that fails.
pub(super) async fn close(browser: &Browser) -> Result<CookieJar, NotSaved> {
    let cookies = match browser.cookies().await {
        Ok(cookies) => cookies.session_cookies(),
        Err(error) => {
            browser.kill().await;
            return Err(NotSaved::Other(error.to_string()));
        }
    };
    if browser.close().await {
        Ok(cookies)
    } else {
        Err(NotSaved::BrowserKilled)
    }
}

/// Saves the directory of a closed browser. Call it when no process of the session is left.
pub(super) async fn commit(
    profile: &ProfileLease,
    closed: Result<CookieJar, NotSaved>,
    sandbox: &SessionSandbox,
    max_mb: u64,
) -> Result<(), ProfileWarning> {
    let cookies = match closed {
        Ok(cookies) => cookies,
        Err(reason) => return Err(not_saved(profile, reason).await),
    };
    let pack = |file| {
        sandbox.browser.files().pack_dir(
            profile_dir(sandbox),
            profile_exclusions(),
            max_mb << 20,
            file,
        )
    };
    let saved = profile.commit(cookies, clock::now(), pack).await;
    let reason = match saved {
        Ok(()) => return Ok(()),
        Err(CommitError::Waiting) => return Err(ProfileWarning::NotSavedYet),
        Err(CommitError::LeaseLost) => NotSaved::LeaseLost,
        Err(CommitError::File(error)) => match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => NotSaved::DiskFull,
            ErrorKind::FileTooLarge => NotSaved::TooLarge(max_mb),
            _ => NotSaved::Other(error.to_string()),
        },
    };
    Err(not_saved(profile, reason).await)
}

/// Returns the warning of a session whose changes are lost.
async fn not_saved(profile: &ProfileLease, reason: NotSaved) -> ProfileWarning {
    ProfileWarning::NotSaved {
        reason,
        has_cookies: profile.has_checkpoint().await,
    }
}
