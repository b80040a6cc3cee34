//! Removes objects that no profile needs. One node does it every hour, for all.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval};

use super::catalog::ProfileObjects;
use super::keys::{Content, DIR, parse_key};
use crate::object_storage::{BucketError, StoredObject};
use crate::store::StoreError;

/// The interval at which nodes ask whether it is time.
const ASK_INTERVAL: Duration = Duration::from_mins(5);

/// The interval between two cleanups of the cluster, and its name.
const CLEANUP_INTERVAL: Duration = Duration::from_hours(1);
const JOB: &str = "profile objects";

/// The age at which an object that no profile needs is removed. Readers, and commits that are not
/// complete, need less. The last version but one is a way back until then.
const MIN_AGE: Duration = Duration::from_hours(24);

/// The age at which a damaged version is removed.
const DAMAGED_AGE: Duration = Duration::from_hours(30 * 24);

/// The maximum number of objects per statement.
const BATCH: usize = 500;

/// The object whose time is the time of the object storage.
const CLOCK: &str = "clock";

/// A reason why a cleanup is not complete.
#[derive(Debug, Error)]
pub(super) enum CleanupError {
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error("the store does not answer: {0}")]
    Store(#[from] StoreError),
}

impl ProfileObjects {
    /// Removes objects that no profile needs from time to time, until the server stops.
    pub fn keep_clean(self: &Arc<Self>) {
        let objects = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = objects.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = objects.clean_regularly() => {}
            }
        });
    }

    async fn clean_regularly(&self) {
        let mut ticks = interval(ASK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let claimed = self.leases.claim_job(JOB, CLEANUP_INTERVAL).await;
            if !claimed.unwrap_or(false) {
                continue;
            }
            match self.clean(MIN_AGE).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "unused profile objects removed"),
                Err(error) => tracing::warn!(%error, "cleanup of profile objects failed"),
            }
        }
    }

    /// Removes objects of at least `min_age` that no profile needs. Returns their number.
    pub(super) async fn clean(&self, min_age: Duration) -> Result<usize, CleanupError> {
        // Ages are differences between times of one clock.
        let now = self.bucket.touch(CLOCK).await?;
        let mut listed = self.bucket.list(DIR);
        let mut batch = Vec::with_capacity(BATCH);
        let mut removed = 0;
        while let Some(object) = listed.try_next().await? {
            if is_old(&object, now, min_age) {
                batch.push(object);
            }
            if batch.len() == BATCH {
                removed += self.clean_batch(&batch).await?;
                batch.clear();
            }
        }
        Ok(removed + self.clean_batch(&batch).await?)
    }

    async fn clean_batch(&self, batch: &[StoredObject]) -> Result<usize, CleanupError> {
        if batch.is_empty() {
            return Ok(0);
        }
        let keys: Vec<String> = batch.iter().map(|object| object.key.clone()).collect();
        let ids: Vec<String> = keys
            .iter()
            .filter_map(|key| parse_key(key))
            .map(|(id, ..)| id.to_owned())
            .collect();
        let needed = self.leases.recorded_objects(&keys).await?;
        let recorded = self.leases.recorded_profiles(&ids).await?;
        let mut removed = 0;
        for object in batch {
            let Some((id, _, content)) = parse_key(&object.key) else {
                continue;
            };
            let is_needed = match content {
                Content::Version { .. } => needed.contains(&object.key),
                Content::Checkpoint => recorded.contains(id),
                Content::Damaged => false,
            };
            if !is_needed {
                self.bucket.delete(&object.key).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Returns true for an object of Hearth that is old enough to be removed.
fn is_old(object: &StoredObject, now: Timestamp, min_age: Duration) -> bool {
    let min_age = match parse_key(&object.key) {
        Some((_, _, Content::Version { .. } | Content::Checkpoint)) => min_age,
        Some((_, _, Content::Damaged)) => DAMAGED_AGE.max(min_age),
        None => return false,
    };
    let age = now.duration_since(object.modified_at);
    Duration::try_from(age).is_ok_and(|age| age >= min_age)
}
