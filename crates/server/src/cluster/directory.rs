//! Sessions that this node does not have, by their id.
//!
//! The store knows them. Ids are not secrets and some routes have no key, so the number of readings
//! is limited, and an id without a session is remembered for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::handle::Cluster;
use crate::store::StoreError;
use crate::store::cluster::ClusterSession;

/// The maximum number of readings at a time.
const MAX_READINGS: usize = 2;

/// The maximum number of requests that read or wait for their turn.
const MAX_WAITING: usize = 20;

/// The time for which an id without a session is remembered.
const MISSING_FOR: Duration = Duration::from_secs(1);

/// The maximum number of ids that are remembered.
const MAX_MISSING: usize = 4_096;

/// The reason why nothing is known about a session.
#[derive(Debug, Error)]
pub(crate) enum DirectoryError {
    /// Too many requests wait already.
    #[error("too many sessions are read")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sessions of all nodes, by their id.
#[derive(Debug)]
pub(crate) struct Directory {
    cluster: Arc<Cluster>,
    waiting: Semaphore,
    /// Two of the four connections to the store stay free for the creation and the end of sessions.
    turns: Semaphore,
    missing: Mutex<HashMap<Uuid, Instant>>,
}

impl Directory {
    pub fn new(cluster: &Arc<Cluster>) -> Directory {
        Directory {
            cluster: Arc::clone(cluster),
            waiting: Semaphore::new(MAX_WAITING),
            turns: Semaphore::new(MAX_READINGS),
            missing: Mutex::default(),
        }
    }

    /// Finds a session that clients know, active or ended.
    pub async fn find(&self, id: Uuid) -> Result<Option<ClusterSession>, DirectoryError> {
        if self.is_missing(id) {
            return Ok(None);
        }
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| DirectoryError::Busy)?;
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        // Another request may have read it meanwhile.
        if self.is_missing(id) {
            return Ok(None);
        }
        let found = self.cluster.find(id).await?;
        if found.is_none() {
            self.remember(id);
        }
        Ok(found)
    }

    fn is_missing(&self, id: Uuid) -> bool {
        let read_at = self.lock().get(&id).copied();
        read_at.is_some_and(|at| at.elapsed() < MISSING_FOR)
    }

    fn remember(&self, id: Uuid) {
        let mut missing = self.lock();
        if missing.len() >= MAX_MISSING {
            missing.retain(|_, at| at.elapsed() < MISSING_FOR);
        }
        if missing.len() < MAX_MISSING {
            missing.insert(id, Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Instant>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
