//! The task that keeps the pool of warm sessions filled, and the claims of clients.
//!
//! It prepares sessions when no client is waiting, and ends those that are old, broken or in the
//! way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::builder::{BrowserStart, Kernels, PreparedSession};
use super::error::SessionError;
use super::registry::Registry;
use super::resources::SessionResources;
use super::session::CLEANUP_TIMEOUT;
use super::spans::session_span;
use super::warm_pool::WarmSession;
use crate::capacity;
use crate::metrics::ColdReason;

/// The interval at which the pool is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The time limit for the browser of a warm session to respond when a client gets it. It takes a
/// millisecond.
const HEALTH_TIMEOUT: Duration = Duration::from_millis(250);

/// The time for which a busy server delays the preparation of a session.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// Memory that a warm session takes, in MiB. It is prepared only if more is left.
const SESSION_MB: u64 = 256;

impl Registry {
    /// Takes a warm session for a client, if there is one that works. The caller replaces its
    /// browser if there is a reason to.
    pub(super) async fn claim_warm_session(
        self: &Arc<Self>,
        replaces_browser: Option<ColdReason>,
    ) -> Option<PreparedSession> {
        let pool = &self.warm_pool;
        let cold = |reason| {
            self.metrics().warm().cold(reason);
            None
        };
        if pool.size() == 0 {
            return cold(ColdReason::Off);
        }
        let prepared = pool.prepared.notified();
        let mut taken = pool.take();
        if taken.is_none() && pool.counts().1 > 0 && self.uid_pool.is_exhausted() {
            // A cold session would wait for the user ids of the one that is being prepared.
            let _ = timeout(CLEANUP_TIMEOUT, prepared).await;
            taken = pool.take();
        }
        let mut reason = ColdReason::Empty;
        let warm = loop {
            let Some(warm) = taken else {
                return cold(reason);
            };
            if warm.is_fit() && warm.prepared.resources.is_healthy(HEALTH_TIMEOUT).await {
                break warm;
            }
            tracing::warn!("warm session broken");
            reason = ColdReason::Broken;
            if self.uid_pool.is_exhausted() {
                // The next session may need its user ids.
                self.discard_all(vec![warm]).await;
            } else {
                self.discard_later(vec![warm]);
            }
            taken = pool.take();
        };
        match replaces_browser {
            Some(reason) => self.metrics().warm().cold(reason),
            None => self.metrics().warm().claimed(),
        }
        Some(warm.prepared)
    }

    /// Replaces all warm sessions, because settings have changed.
    pub(super) fn replace_warm_sessions(self: &Arc<Self>) {
        let all = self.warm_pool.take_all();
        self.discard_later(all);
    }

    /// Ends the warm sessions that are ready, and waits until they are gone.
    pub(super) async fn discard_warm_sessions(&self) {
        self.discard_all(self.warm_pool.take_unfit(|_| true)).await;
    }

    /// Ends sessions in the background.
    fn discard_later(self: &Arc<Self>, sessions: Vec<WarmSession>) {
        if !sessions.is_empty() {
            let registry = Arc::clone(self);
            self.tracker()
                .spawn(async move { registry.discard_all(sessions).await });
        }
    }

    async fn discard_all(&self, sessions: Vec<WarmSession>) {
        let ending = sessions
            .iter()
            .map(|warm| self.discard(&warm.prepared.resources));
        join_all(ending).await;
    }

    /// Ends a session that no client has got.
    pub(super) async fn discard(&self, resources: &SessionResources) {
        resources.discard().await;
        if !resources.tasks.is_empty() {
            self.services.orphans.add(resources.tasks.clone());
        }
    }

    /// Keeps the pool filled until [`stop_warm_pool`](Registry::stop_warm_pool).
    pub(super) async fn keep_warm(self: Arc<Self>) {
        let pool = &self.warm_pool;
        // Also after a panic, because the server waits for it when it stops.
        let _ended = pool.ended.clone().drop_guard();
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = pool.stop.cancelled() => break,
                _ = checks.tick() => {}
                () = pool.taken.notified() => {}
            }
            let is_short = self.lacks_memory(0);
            self.discard_all(pool.take_unfit(|warm| is_short || !warm.is_fit()))
                .await;
            while self.has_room_for_warm_session() {
                tokio::select! {
                    () = pool.stop.cancelled() => break,
                    () = self.services.load.quiet(MAX_DELAY) => {}
                }
                // A client may have got the last user ids meanwhile.
                if !self.has_room_for_warm_session() || !self.prepare_warm_sessions().await {
                    break;
                }
            }
        }
        self.discard_warm_sessions().await;
    }

    /// Stops the preparation of sessions, and ends those of the pool.
    pub(super) async fn stop_warm_pool(&self) {
        if self.warm_pool.size() > 0 {
            self.warm_pool.stop.cancel();
            self.warm_pool.ended.cancelled().await;
        }
    }

    /// Prepares missing sessions. Returns false if none was prepared.
    async fn prepare_warm_sessions(&self) -> bool {
        let pool = &self.warm_pool;
        let (count, generation) = pool.begin_preparation();
        let preparing = (0..count).map(async |_| {
            let began = Instant::now();
            let kernels = Kernels::WarmedUp(pool.languages(), &pool.stop);
            let built = self
                .new_builder()
                .build(BrowserStart::default(), kernels, session_span())
                .await;
            match &built {
                Ok(_) => {
                    self.launch_health.record_success();
                    self.metrics().warm().prepared(began.elapsed());
                }
                Err(SessionError::BrowserStart(failure)) => {
                    self.launch_health.record_failure(failure);
                }
                Err(_) => {}
            }
            let is_ready = built.is_ok();
            if let Some(outdated) = pool.end_preparation(generation, built) {
                self.discard(&outdated.resources).await;
            }
            is_ready
        });
        join_all(preparing).await.contains(&true)
    }

    fn has_room_for_warm_session(&self) -> bool {
        let (ready, _) = self.warm_pool.counts();
        ready < self.warm_pool.size()
            && self.max_sessions() > 0
            && !self.warm_pool.stop.is_cancelled()
            && !self.lacks_memory(SESSION_MB)
            && self.full_disk().is_none()
            && !self.uid_pool.is_exhausted()
    }

    /// Returns true if less memory is available than a session needs besides `extra_mb`. Warm
    /// sessions end before the server rejects a client.
    pub(super) fn lacks_memory(&self, extra_mb: u64) -> bool {
        let min_mb = self.limits().min_free_memory_mb;
        if min_mb == 0 {
            return false;
        }
        // Memory that cannot be read counts as used.
        let available_mb = capacity::available_bytes().unwrap_or_default() >> 20;
        available_mb < min_mb + SESSION_MB + extra_mb
    }
}
