//! The reservation of places for new sessions in the store of a cluster.

use hearth_contract::CreateRequest;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::reservations::Reservation;
use crate::clock;
use crate::cluster::Life;
use crate::profiles::ProfileId;
use crate::sessions::error::SessionError;
use crate::sessions::registry::Registry;
use crate::sessions::session::Session;
use crate::store::cluster::{Reservation as Wanted, Reserved};
use crate::team::Team;

/// The id of a new session, with the life of the node in a cluster.
#[derive(Clone, Debug)]
pub(in crate::sessions) struct NewId {
    pub id: Uuid,
    pub owner: Option<Life>,
}

impl Registry {
    /// Returns the id of a new session.
    pub(in crate::sessions) fn new_id(&self) -> Result<NewId, SessionError> {
        let Some(cluster) = &self.services.cluster else {
            let test_mode = self.test_mode();
            let id = test_mode.map_or_else(Uuid::now_v7, |mode| mode.new_id());
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
        // Scrapes do not count the ids of the test mode, because records of earlier ones remain.
        let new = self.test_mode().is_none().then(|| self.new_id().ok());
        new.flatten().map_or_else(Uuid::now_v7, |new| new.id)
    }

    /// Gives a new session its place in the store of a cluster, and the lease on the profile to
    /// which it saves. Returns none without a cluster.
    pub(in crate::sessions) async fn reserve(
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
    pub(in crate::sessions) async fn reserve_unlisted(
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
        let rejection = match reserved
            .map_err(|error| SessionError::NotRecorded(error.to_string()))?
        {
            Reserved::Granted(lease) => {
                reservation.lease = lease;
                return Ok(Some(reservation));
            }
            Reserved::TeamIsFull => SessionError::TeamAtCapacity(max_of_team.unwrap_or_default()),
            Reserved::ProfileIsLeased => {
                SessionError::ProfileBusy(profile.unwrap_or_default().to_owned())
            }
            Reserved::OwnerIsLost => SessionError::LeaseLost,
        };
        reservation.reject();
        Err(rejection)
    }
}
