//! The supervisor of a session, which is the task that ends the session on time and cleans up after
//! it.

use std::pin::pin;
use std::sync::Arc;

use hearth_browser::Browser;
use hearth_contract::{DestroyedReason, ProfileWarning};
use hearth_egress::Traffic;
use hearth_sandbox::trim_memory;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};

use super::resources::SessionResources;
use super::session::{CLEANUP_TIMEOUT, Session};
use crate::clock;
use crate::ending::Ending;

/// Supervises a session from its creation until nothing of it remains. The session may already have
/// ended.
pub(super) async fn supervise(session: Arc<Session>, resources: Arc<SessionResources>) {
    let mut progress = session.progress.subscribe();
    let reason = tokio::select! {
        _ = progress.wait_for(|progress| progress.ending.is_some()) => None,
        () = expired(&session) => Some(DestroyedReason::Ttl),
        () = idle(&session, &resources.browser) => Some(DestroyedReason::Idle),
        reason = resources.browser.died() => {
            tracing::warn!(%reason, "browser died");
            Some(DestroyedReason::BrowserCrashed)
        }
    };
    let ending = match reason {
        Some(reason) => session.mark_ended(reason, None),
        None => match session.ending() {
            Some(ending) => ending,
            None => return,
        },
    };
    session.release_resources();
    let began = Instant::now();
    let saves_profile = resources.saves_profile();
    let recording = async {
        // The record of a session that saves its profile implies that saving is over.
        if !saves_profile {
            record_end(&session).await;
        }
    };
    let ((), warning) = tokio::join!(recording, clean_up(&resources, ending));
    if !resources.tasks.is_empty() {
        session.services.orphans.add(resources.tasks.clone());
    }
    // The task that still saves a profile records its outcome.
    if saves_profile && warning != Some(ProfileWarning::NotSavedYet) {
        session
            .services
            .metrics
            .profile_save_finished(warning.is_none());
    }
    let Traffic {
        up_bytes,
        down_bytes,
    } = resources.traffic();
    tracing::info!(
        reason = ending.reason.as_str(),
        limit = ending.limit.map(tracing::field::display),
        duration_ms = ending.duration_ms,
        cleanup_ms = clock::milliseconds(began.elapsed()),
        executions = session.recent.count(),
        up_bytes,
        down_bytes,
        "session ended"
    );
    if saves_profile {
        record_end(&session).await;
    }
    let _ = spawn_blocking(trim_memory).await;
    session.progress.send_modify(|progress| {
        progress.warning = warning;
        progress.cleaned = true;
    });
    drop(resources);
    session.services.cleaned.notify_waiters();
    let _ = spawn_blocking(trim_memory).await;
}

/// Records the end of the session, which callers that end it wait for.
async fn record_end(session: &Session) {
    let record = session.stored_record();
    session.services.store.end_session(&record).await;
    session
        .progress
        .send_modify(|progress| progress.recorded = true);
}

/// Releases the resources. Returns a warning if the profile was not saved.
async fn clean_up(resources: &SessionResources, ending: Ending) -> Option<ProfileWarning> {
    let mut cleaning = pin!(resources.end(ending));
    if let Ok(warning) = timeout(CLEANUP_TIMEOUT, &mut cleaning).await {
        return warning;
    }
    tracing::warn!("session cleanup delayed");
    cleaning.await
}

/// Waits until the lifetime of the session is over. It may start again meanwhile.
async fn expired(session: &Session) {
    while Instant::now() < session.expires() {
        sleep_until(session.expires()).await;
    }
}

/// Waits until the session has been idle for its activity TTL, with no execution and no CDP
/// command. Open sockets do not count as activity.
async fn idle(session: &Session, browser: &Browser) {
    let mut activity = session.activity.watch();
    loop {
        let now = *activity.borrow_and_update();
        if now.executions > 0 {
            // The end of the execution is a change, and the session holds the sender.
            let _ = activity.changed().await;
            continue;
        }
        let last = now
            .idle_since
            .max(Instant::from_std(browser.last_command()));
        let due = last + session.activity_ttl();
        if Instant::now() >= due {
            return;
        }
        tokio::select! {
            () = sleep_until(due) => {}
            _ = activity.changed() => {}
        }
    }
}
