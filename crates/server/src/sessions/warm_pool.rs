//! Warm sessions, which are prepared before a client asks for them.
//!
//! A warm session has everything but an id, an owner and a lifetime, and no code has run in it.
//! `keep_warm` fills and empties the pool.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_contract::Language;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::builder::PreparedSession;
use super::error::SessionError;
use crate::config::WarmSettings;

/// The age at which a warm session is replaced.
const MAX_AGE: Duration = Duration::from_mins(30);

/// The waits after failed preparations, each twice as long as the one before.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// The size above which two sessions are prepared at a time.
const MAX_SERIAL_SIZE: usize = 4;

/// The warm sessions of a server.
#[derive(Debug)]
pub(super) struct WarmPool {
    settings: WarmSettings,
    state: Mutex<State>,
    /// Notified when a session has left the pool.
    pub taken: Notify,
    /// Notifies those that wait when a preparation has ended.
    pub prepared: Notify,
    /// Stops the preparation of sessions.
    pub stop: CancellationToken,
    /// Cancelled when nothing of the pool is left.
    pub ended: CancellationToken,
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

/// A session in the pool.
#[derive(Debug)]
pub(super) struct WarmSession {
    pub prepared: PreparedSession,
    since: Instant,
}

impl WarmPool {
    pub fn new(settings: WarmSettings) -> WarmPool {
        WarmPool {
            settings,
            state: Mutex::default(),
            taken: Notify::new(),
            prepared: Notify::new(),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
        }
    }

    /// Returns the numbers of sessions that are ready and in preparation.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.ready.len(), state.preparing)
    }

    /// Returns the languages whose kernels are warm.
    pub fn languages(&self) -> &[Language] {
        &self.settings.languages
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
    pub fn take(&self) -> Option<WarmSession> {
        let taken = self.lock().ready.pop_front();
        if taken.is_some() {
            self.taken.notify_one();
        }
        taken
    }

    /// Takes the sessions out of the pool for which `is_unfit` is true.
    pub fn take_unfit(&self, is_unfit: impl Fn(&WarmSession) -> bool) -> Vec<WarmSession> {
        let mut state = self.lock();
        let all = std::mem::take(&mut state.ready);
        let (unfit, fit) = all.into_iter().partition::<Vec<_>, _>(is_unfit);
        state.ready = fit.into();
        unfit
    }

    /// Takes all sessions out of the pool, and those that are being prepared when they are ready.
    pub fn take_all(&self) -> Vec<WarmSession> {
        self.lock().generation += 1;
        self.taken.notify_one();
        self.take_unfit(|_| true)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves the preparation of as many sessions as may be prepared now. Returns their number
    /// and generation.
    pub fn begin_preparation(&self) -> (usize, u64) {
        let mut state = self.lock();
        let missing = self.size().saturating_sub(state.ready.len());
        let at_once = if self.size() > MAX_SERIAL_SIZE { 2 } else { 1 };
        let waits = state.retry_at.is_some_and(|at| Instant::now() < at);
        state.preparing = if waits { 0 } else { missing.min(at_once) };
        (state.preparing, state.generation)
    }

    /// Ends the preparation of a session. Returns a session whose settings have changed meanwhile.
    pub fn end_preparation(
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
            Err(SessionError::Stopping) => {}
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
        drop(state);
        self.prepared.notify_waiters();
        None
    }
}

fn backoff_after(failures: u32) -> Duration {
    MIN_BACKOFF
        .saturating_mul(2u32.saturating_pow(failures))
        .min(MAX_BACKOFF)
}

impl WarmSession {
    /// Returns true if the session is young and its programs are alive.
    pub fn is_fit(&self) -> bool {
        let resources = &self.prepared.resources;
        self.since.elapsed() < MAX_AGE
            && !resources.browser_is_dead()
            && resources.kernel_slots.are_alive()
    }
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
