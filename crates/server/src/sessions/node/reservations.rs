//! The places of a cluster's sessions in the store, from before their creation until they are
//! active.
//!
//! A session that no client gets leaves its place. The store may be away at that moment, so
//! `reconcile` withdraws such sessions until the store answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::cluster::{Cluster, Life};
use crate::sessions::error::SessionError;
use crate::store::SessionRecord;
use crate::store::cluster::FencedLease;

/// The maximum number of sessions that wait to be withdrawn. `reconcile` finds further ones up to
/// 30 s later.
const MAX_ABANDONED: usize = 10_000;

/// The sessions that this node is creating.
#[derive(Debug, Default)]
pub(in crate::sessions) struct Reservations {
    open: Mutex<HashMap<Uuid, State>>,
    /// Notified when a session waits to be withdrawn.
    pub abandoned: Notify,
}

#[derive(Clone, Debug)]
enum State {
    /// The session is being created.
    Pending,
    /// Nobody gets the session.
    Abandoned(Life),
}

/// The place of one session. Dropping it gives the place back, unless the session is active or was
/// rejected.
#[derive(Debug)]
pub(in crate::sessions) struct Reservation {
    reservations: Arc<Reservations>,
    id: Uuid,
    pub owner: Life,
    pub lease: Option<FencedLease>,
    /// True if there is no place to give back: the session is active, or was rejected.
    is_settled: bool,
}

impl Reservations {
    /// Returns the ids of the sessions that are being created or withdrawn.
    pub fn ids(&self) -> Vec<Uuid> {
        self.lock().keys().copied().collect()
    }

    /// Returns the sessions that wait to be withdrawn, by the life of their node.
    pub fn to_withdraw(&self) -> HashMap<Life, Vec<Uuid>> {
        let mut by_owner: HashMap<Life, Vec<Uuid>> = HashMap::new();
        for (id, state) in self.lock().iter() {
            if let State::Abandoned(owner) = state {
                by_owner.entry(owner.clone()).or_default().push(*id);
            }
        }
        by_owner
    }

    /// Forgets sessions that were withdrawn.
    pub fn forget(&self, ids: &[Uuid]) {
        let mut open = self.lock();
        for id in ids {
            open.remove(id);
        }
    }

    /// Records that a session is being created.
    pub fn begin(self: &Arc<Self>, id: Uuid, owner: Life) -> Reservation {
        self.lock().insert(id, State::Pending);
        Reservation {
            reservations: Arc::clone(self),
            id,
            owner,
            lease: None,
            is_settled: false,
        }
    }

    /// Records that an unlisted session is being created. It has no place to give back.
    pub fn begin_unlisted(self: &Arc<Self>, id: Uuid, owner: Life) -> Reservation {
        let mut creation = self.begin(id, owner);
        creation.is_settled = true;
        creation
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, State>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Takes the lease on the profile of the session.
    pub fn take_lease(&mut self) -> Option<FencedLease> {
        self.lease.take()
    }

    /// Shows the session to its team.
    pub async fn activate(
        mut self,
        cluster: &Cluster,
        record: &SessionRecord,
    ) -> Result<Life, SessionError> {
        let key = cluster.token_keys().current();
        let activated = cluster.sessions().activate(record, key).await;
        let is_active = activated.map_err(|error| SessionError::NotRecorded(error.to_string()))?;
        if !is_active {
            return Err(SessionError::LeaseLost);
        }
        self.is_settled = true;
        Ok(self.owner.clone())
    }

    /// Ends a reservation that the store has rejected. It has no place, so nothing is withdrawn.
    pub fn reject(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut open = self.reservations.lock();
        if self.is_settled || open.len() >= MAX_ABANDONED {
            open.remove(&self.id);
            return;
        }
        open.insert(self.id, State::Abandoned(self.owner.clone()));
        drop(open);
        self.reservations.abandoned.notify_one();
    }
}
