//! When a session ends by itself, and the task that sees it to its end.

use std::sync::{Arc, PoisonError};

use hearth_browser::Browser;
use hearth_contract::DestroyedReason;
use hearth_egress::Traffic;
use tokio::time::{Instant, sleep_until};

use super::resources::SessionResources;
use super::session::Session;
use crate::clock;
use crate::profiles::Hold;

/// Owns a session from its creation until nothing is left of it. It may have been ended before this
/// runs.
pub(super) async fn supervise(session: Arc<Session>, resources: Arc<SessionResources>) {
    let mut progress = session.progress.subscribe();
    let why = tokio::select! {
        _ = progress.wait_for(|progress| progress.ending.is_some()) => None,
        () = sleep_until(session.expires()) => Some(DestroyedReason::Ttl),
        () = idle(&session, &resources.browser) => Some(DestroyedReason::Idle),
        reason = resources.browser.died() => {
            tracing::warn!(session = %session.id(), %reason, "the browser of a session is gone");
            Some(DestroyedReason::BrowserCrashed)
        }
    };
    let ending = match why {
        Some(reason) => session.begin_end(reason),
        None => match session.ending() {
            Some(ending) => ending,
            None => return,
        },
    };
    session
        .live
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let began = Instant::now();
    let warning = resources.end(session.id(), ending).await;
    if !resources.tasks.is_empty() {
        session.services.orphans.add(resources.tasks.clone());
    }
    if resources.profile.as_ref().is_some_and(Hold::saves) {
        session
            .services
            .metrics
            .profile_was_to_be_saved(warning.is_none());
    }
    let Traffic {
        up_bytes,
        down_bytes,
    } = resources.traffic();
    tracing::info!(
        session = %session.id(),
        reason = ending.reason.as_str(),
        limit = ending.limit.map(tracing::field::display),
        duration_ms = ending.duration_ms,
        cleanup_ms = clock::milliseconds(began.elapsed()),
        executions = session.recent.count(),
        up_bytes,
        down_bytes,
        "a session has ended"
    );
    if let Err(error) = session.services.store.end_session(&session.record()).await {
        tracing::error!(session = %session.id(), %error, "the end of a session is not recorded");
    }
    session.progress.send_modify(|progress| {
        progress.warning = warning;
        progress.cleaned = true;
    });
}

/// Returns once nothing has used the session for its activity TTL: no execution and no CDP command.
/// Open sockets do not count.
async fn idle(session: &Session, browser: &Browser) {
    let mut activity = session.activity.watch();
    loop {
        let now = *activity.borrow_and_update();
        if now.executions > 0 {
            // Its end is a change, and the session holds the sender.
            let _ = activity.changed().await;
            continue;
        }
        let last = now
            .idle_since
            .max(Instant::from_std(browser.last_command()));
        let due = last + session.activity_ttl;
        if Instant::now() >= due {
            return;
        }
        tokio::select! {
            () = sleep_until(due) => {}
            _ = activity.changed() => {}
        }
    }
}
