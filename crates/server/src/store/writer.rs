//! The task that writes what nobody waits for: executions, and ends of sessions that could not be
//! recorded at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::engine::Pool;
use super::error::StoreError;
use super::rows::{ExecutionRecord, SessionRecord};

/// The maximum number of executions per transaction.
const BATCH: usize = 256;

/// The maximum number of ends that wait to be recorded, which is the maximum number of sessions.
const MAX_WAITING_ENDS: usize = 10_000;

/// The time between two attempts to record waiting ends.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The task that records executions and waiting ends.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) pool: Pool,
    pub(super) executions: mpsc::Receiver<ExecutionRecord>,
    pub(super) outbox: Outbox,
}

/// Ends of sessions that are recorded as soon as the database answers again. Recording an end twice
/// changes nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    ends: Mutex<HashMap<Uuid, SessionRecord>>,
    added: Notify,
}

impl Outbox {
    /// Adds the end of a session. Returns false if too many wait.
    pub fn add(&self, ended: SessionRecord) -> bool {
        let mut ends = self.lock();
        if ends.len() >= MAX_WAITING_ENDS {
            return false;
        }
        ends.entry(ended.id).or_insert(ended);
        drop(ends);
        self.0.added.notify_one();
        true
    }

    /// Returns the sessions whose ends wait.
    pub fn ids(&self) -> Vec<Uuid> {
        self.lock().keys().copied().collect()
    }

    /// Returns the number of ends that wait.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits until there are ends and `time` has come.
    async fn due(&self, time: Instant) {
        while self.len() == 0 {
            self.0.added.notified().await;
        }
        sleep_until(time).await;
    }

    /// Records ends until one attempt fails.
    async fn flush(&self, pool: &Pool) -> Result<(), StoreError> {
        let waiting: Vec<SessionRecord> = self.lock().values().cloned().collect();
        for ended in waiting {
            pool.execute(ended.end()).await?;
            self.lock().remove(&ended.id);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, SessionRecord>> {
        self.0.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Records executions and waiting ends until `stop`, and then those that are queued.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut retry_at = Instant::now();
        loop {
            let count = tokio::select! {
                biased;
                () = self.outbox.due(retry_at) => {
                    self.record_ends().await;
                    retry_at = Instant::now() + RETRY_INTERVAL;
                    continue;
                }
                count = self.executions.recv_many(&mut batch, BATCH) => count,
                () = stop.cancelled() => 0,
            };
            if count == 0 {
                break;
            }
            let statements = batch
                .drain(..)
                .map(|execution| execution.record())
                .collect();
            if let Err(error) = self.pool.execute_all(statements).await {
                tracing::warn!(%error, count, "executions not recorded");
            }
        }
        if self.outbox.len() > 0 {
            self.record_ends().await;
        }
        let count = self.outbox.len();
        if count > 0 {
            tracing::error!(count, "session ends not recorded");
        }
    }

    async fn record_ends(&self) {
        let before = self.outbox.len();
        let result = self.outbox.flush(&self.pool).await;
        let waiting = self.outbox.len();
        match result {
            Ok(()) => tracing::info!(count = before, "delayed session ends recorded"),
            Err(error) => tracing::debug!(%error, waiting, "session ends delayed further"),
        }
    }
}
