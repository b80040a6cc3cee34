//! Warm sessions, which are prepared before a client asks for them.
//!
//! A warm session has everything but an id, an owner and a lifetime, and no code has run in it. One
//! task keeps the pool filled. It prepares sessions when no client is waiting, and ends those that
//! are old, broken or in the way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use hearth_contract::Language;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::builder::{Kernels, PreparedSession};
use super::error::SessionError;
use super::registry::Registry;
use crate::capacity;
use crate::config::WarmSettings;
use crate::metrics::ColdReason;

/// The age at which a warm session is replaced.
const MAX_AGE: Duration = Duration::from_mins(30);

/// The interval at which the pool is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The time limit for the browser of a warm session to respond when a client gets it. It takes a
/// millisecond.
const HEALTH_TIMEOUT: Duration = Duration::from_millis(250);

/// The time for which a busy server delays the preparation of a session.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// The waits after failed preparations, each twice as long as the one before.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// The size above which two sessions are prepared at a time.
const MAX_SERIAL_SIZE: usize = 4;

/// Memory that a warm session takes, in MiB. It is prepared only if more is left.
const SESSION_MB: u64 = 256;

/// The warm sessions of a server.
#[derive(Debug)]
pub(super) struct WarmPool {
    settings: WarmSettings,
    state: Mutex<State>,
    /// Notified when a session has left the pool.
    taken: Notify,
    stop: CancellationToken,
    /// Cancelled when nothing of the pool is left.
    ended: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest one is first.
    ready: VecDeque<WarmSession>,
    preparing: usize,
    /// Increased when settings change. Sessions of earlier generations are not used.
    generation: u64,
    failures: u32,
    /// The time before which no session is prepared, after a failure.
    retry_at: Option<Instant>,
}

#[derive(Debug)]
struct WarmSession {
    prepared: PreparedSession,
    since: Instant,
}

impl WarmPool {
    pub fn new(settings: WarmSettings) -> WarmPool {
        WarmPool {
            settings,
            state: Mutex::default(),
            taken: Notify::new(),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
        }
    }

    /// Returns the numbers of sessions that are ready and in preparation.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.ready.len(), state.preparing)
    }

    /// Returns the number of sessions that the pool keeps.
    pub fn size(&self) -> usize {
        self.settings.sessions
    }

    /// Returns the language whose kernel a cold session loads while its browser starts, if any. A
    /// second one would delay the browser.
    pub fn first_language(&self) -> &[Language] {
        let languages = &self.settings.languages;
        &languages[..languages.len().min(1)]
    }

    /// Takes the oldest warm session out of the pool.
    fn take(&self) -> Option<WarmSession> {
        let taken = self.lock().ready.pop_front();
        if taken.is_some() {
            self.taken.notify_one();
        }
        taken
    }

    /// Takes the sessions out of the pool for which `is_unfit` is true.
    fn take_unfit(&self, is_unfit: impl Fn(&WarmSession) -> bool) -> Vec<WarmSession> {
        let mut state = self.lock();
        let all = std::mem::take(&mut state.ready);
        let (unfit, fit) = all.into_iter().partition::<Vec<_>, _>(is_unfit);
        state.ready = fit.into();
        unfit
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves the preparation of as many sessions as may be prepared now. Returns their number
    /// and generation.
    fn begin_preparation(&self) -> (usize, u64) {
        let mut state = self.lock();
        let missing = self.size().saturating_sub(state.ready.len());
        let at_once = if self.size() > MAX_SERIAL_SIZE { 2 } else { 1 };
        let waits = state.retry_at.is_some_and(|at| Instant::now() < at);
        state.preparing = if waits { 0 } else { missing.min(at_once) };
        (state.preparing, state.generation)
    }

    /// Ends the preparation of a session. Returns a session whose settings have changed meanwhile.
    fn end_preparation(
        &self,
        generation: u64,
        result: Result<PreparedSession, SessionError>,
    ) -> Option<PreparedSession> {
        let mut state = self.lock();
        state.preparing = state.preparing.saturating_sub(1);
        match result {
            Ok(prepared) => {
                (state.failures, state.retry_at) = (0, None);
                if generation != state.generation {
                    return Some(prepared);
                }
                let since = Instant::now();
                state.ready.push_back(WarmSession { prepared, since });
            }
            Err(error) => {
                let backoff = backoff_after(state.failures);
                state.failures = state.failures.saturating_add(1);
                state.retry_at = Some(Instant::now() + backoff);
                tracing::warn!(
                    %error,
                    retry_seconds = backoff.as_secs(),
                    "warm session failed"
                );
            }
        }
        None
    }
}

fn backoff_after(failures: u32) -> Duration {
    MIN_BACKOFF
        .saturating_mul(2u32.saturating_pow(failures))
        .min(MAX_BACKOFF)
}

impl Registry {
    /// Takes a warm session for a client, if there is one that works. The caller replaces its
    /// browser if the client wants a profile.
    pub(super) async fn claim_warm_session(&self, has_profile: bool) -> Option<PreparedSession> {
        let pool = &self.warm_pool;
        let cold = |reason| {
            self.metrics().warm().cold(reason);
            None
        };
        if pool.size() == 0 {
            return cold(ColdReason::Off);
        }
        let Some(warm) = pool.take() else {
            return cold(ColdReason::Empty);
        };
        if !warm.is_fit() || !warm.prepared.resources.is_healthy(HEALTH_TIMEOUT).await {
            tracing::warn!("warm session broken");
            if self.uid_pool.is_exhausted() {
                // The cold session needs its user ids.
                discard(vec![warm]).await;
            } else {
                self.discard_later(vec![warm]);
            }
            return cold(ColdReason::Broken);
        }
        if has_profile {
            self.metrics().warm().cold(ColdReason::Profile);
        } else {
            self.metrics().warm().claimed();
        }
        Some(warm.prepared)
    }

    /// Replaces all warm sessions, because settings have changed.
    pub(super) fn replace_warm_sessions(&self) {
        self.warm_pool.lock().generation += 1;
        let all = self.warm_pool.take_unfit(|_| true);
        self.warm_pool.taken.notify_one();
        self.discard_later(all);
    }

    /// Ends sessions in the background.
    fn discard_later(&self, sessions: Vec<WarmSession>) {
        if !sessions.is_empty() {
            self.tracker().spawn(discard(sessions));
        }
    }

    /// Keeps the pool filled until [`stop_warm_pool`](Registry::stop_warm_pool).
    pub(super) async fn keep_warm(self: Arc<Self>) {
        let pool = &self.warm_pool;
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = pool.stop.cancelled() => break,
                _ = checks.tick() => {}
                () = pool.taken.notified() => {}
            }
            let is_short = self.lacks_memory(0);
            discard(pool.take_unfit(|warm| is_short || !warm.is_fit())).await;
            while self.has_room_for_warm_session() {
                tokio::select! {
                    () = pool.stop.cancelled() => break,
                    () = self.services.load.quiet(MAX_DELAY) => {}
                }
                if !self.prepare_warm_sessions().await {
                    break;
                }
            }
        }
        discard(pool.take_unfit(|_| true)).await;
        pool.ended.cancel();
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
            let kernels = Kernels::WarmedUp(&pool.settings.languages, &pool.stop);
            let built = self.new_builder().build(None, kernels).await;
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
                outdated.resources.discard().await;
            }
            is_ready
        });
        join_all(preparing).await.contains(&true)
    }

    fn has_room_for_warm_session(&self) -> bool {
        let (ready, _) = self.warm_pool.counts();
        ready < self.warm_pool.size()
            && !self.warm_pool.stop.is_cancelled()
            && !self.lacks_memory(SESSION_MB)
            && self.full_disk().is_none()
            && !self.uid_pool.is_exhausted()
    }

    /// Returns true if less memory is available than a session needs besides `extra_mb`. Warm
    /// sessions end before the server rejects a client.
    fn lacks_memory(&self, extra_mb: u64) -> bool {
        let min_mb = self.limits().min_free_memory_mb;
        if min_mb == 0 {
            return false;
        }
        // Memory that cannot be read counts as used.
        let available_mb = capacity::available_bytes().unwrap_or_default() >> 20;
        available_mb < min_mb + SESSION_MB + extra_mb
    }
}

impl WarmSession {
    /// Returns true if the session is young and its programs are alive.
    fn is_fit(&self) -> bool {
        let resources = &self.prepared.resources;
        self.since.elapsed() < MAX_AGE
            && !resources.browser_is_dead()
            && resources.kernel_slots.are_alive()
    }
}

async fn discard(sessions: Vec<WarmSession>) {
    let ending = sessions.iter().map(async |warm| {
        warm.prepared.resources.discard().await;
    });
    join_all(ending).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_wait_longer() {
        let seconds = [0, 1, 5, 6, 40].map(|failures| backoff_after(failures).as_secs());
        assert_eq!(seconds, [1, 2, 32, 60, 60]);
    }
}
