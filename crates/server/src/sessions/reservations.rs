//! The places of a cluster's sessions in the store, from before their creation until they are
//! active.
//!
//! A session that no client gets leaves its place. The store may be away at that moment, so
//! `reconcile` withdraws such sessions until the store answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_contract::CreateRequest;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;

use super::error::SessionError;
use super::registry::Registry;
use super::session::Session;
use crate::clock;
use crate::cluster::{Cluster, Life};
use crate::profiles::ProfileId;
use crate::store::SessionRecord;
use crate::store::cluster::Reservation as Wanted;
use crate::store::cluster::{FencedLease, Reserved};
use crate::team::Team;

/// The maximum number of sessions that wait to be withdrawn. `reconcile` finds further ones a
/// minute later.
const MAX_ABANDONED: usize = 10_000;

/// The sessions that this node is creating.
#[derive(Debug, Default)]
pub(super) struct Reservations {
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

/// The place of one session. Dropping it gives the place back, unless the session is active.
#[derive(Debug)]
pub(super) struct Reservation {
    reservations: Arc<Reservations>,
    id: Uuid,
    pub owner: Life,
    lease: Option<FencedLease>,
    is_active: bool,
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

    fn begin(self: &Arc<Self>, id: Uuid, owner: Life) -> Reservation {
        self.lock().insert(id, State::Pending);
        Reservation {
            reservations: Arc::clone(self),
            id,
            owner,
            lease: None,
            is_active: false,
        }
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
        self.is_active = true;
        Ok(self.owner.clone())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut open = self.reservations.lock();
        if self.is_active || open.len() >= MAX_ABANDONED {
            open.remove(&self.id);
            return;
        }
        open.insert(self.id, State::Abandoned(self.owner.clone()));
        drop(open);
        self.reservations.abandoned.notify_one();
    }
}

/// The id of a new session, with the life of the node in a cluster.
#[derive(Clone, Debug)]
pub(super) struct NewId {
    pub id: Uuid,
    pub owner: Option<Life>,
}

impl Registry {
    /// Returns the id of a new session.
    pub(super) fn new_id(&self) -> Result<NewId, SessionError> {
        let Some(cluster) = &self.services.cluster else {
            let id = Uuid::now_v7();
            return Ok(NewId { id, owner: None });
        };
        let new = cluster.new_session_id().ok_or(SessionError::LeaseLost)?;
        let (id, life) = new.map_err(|error| {
            SessionError::Internal(format!("cannot get random numbers: {error}"))
        })?;
        let owner = Some(life);
        Ok(NewId { id, owner })
    }

    /// Returns the id of a new scrape. In a cluster it names this node, which may keep the page.
    pub fn new_scrape_id(&self) -> Uuid {
        let new = self.new_id().ok();
        new.map_or_else(Uuid::now_v7, |new| new.id)
    }

    /// Gives a new session its place in the store of a cluster, and the lease on the profile to
    /// which it saves. Returns none without a cluster.
    pub(super) async fn reserve(
        &self,
        new: &NewId,
        team: &Team,
        request: &CreateRequest,
    ) -> Result<Option<Reservation>, SessionError> {
        let saved = request
            .profile
            .as_ref()
            .filter(|profile| profile.save_changes && self.spec.profiles.are_shared());
        let name = saved.map(|profile| profile.name.as_str());
        let ttl = SignedDuration::from_secs(request.ttl_seconds.into());
        let created_at = clock::now();
        let expires_at = created_at.checked_add(ttl).unwrap_or(Timestamp::MAX);
        self.reserve_until(new, team, name, created_at, expires_at)
            .await
    }

    /// Gives an unlisted session its place in the store of a cluster. Returns none without a
    /// cluster.
    pub(super) async fn reserve_unlisted(
        &self,
        session: &Session,
    ) -> Result<Option<Reservation>, SessionError> {
        let current = self
            .services
            .cluster
            .as_ref()
            .map(|cluster| cluster.current());
        let owner = match current {
            None => None,
            Some(current) => Some(current.ok_or(SessionError::LeaseLost)?.life),
        };
        let id = session.id();
        let record = session.stored_record();
        let new = NewId { id, owner };
        self.reserve_until(
            &new,
            session.team(),
            None,
            record.created_at,
            record.expires_at,
        )
        .await
    }

    async fn reserve_until(
        &self,
        new: &NewId,
        team: &Team,
        profile: Option<&str>,
        created_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Option<Reservation>, SessionError> {
        let (Some(cluster), Some(owner)) = (&self.services.cluster, &new.owner) else {
            return Ok(None);
        };
        let max_of_team = self.team_quota.max().team;
        let mut reservation = self.services.reservations.begin(new.id, owner.clone());
        let wanted = Wanted {
            id: new.id,
            team: Team::clone(team),
            owner: owner.clone(),
            created_at,
            expires_at,
            max_of_team,
            profile: profile.map(|name| ProfileId::new(Team::clone(team), name.to_owned()).id),
        };
        let reserved = cluster.sessions().reserve(&wanted).await;
        match reserved.map_err(|error| SessionError::NotRecorded(error.to_string()))? {
            Reserved::Granted(lease) => {
                reservation.lease = lease;
                Ok(Some(reservation))
            }
            Reserved::TeamIsFull => Err(SessionError::TeamAtCapacity(
                max_of_team.unwrap_or_default(),
            )),
            Reserved::ProfileIsLeased => Err(SessionError::ProfileBusy(
                profile.unwrap_or_default().to_owned(),
            )),
            Reserved::OwnerIsLost => Err(SessionError::LeaseLost),
        }
    }
}
