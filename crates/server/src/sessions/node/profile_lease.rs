//! The lease of a new session on its profile.

use hearth_contract::CreateRequest;

use super::reserve::NewId;
use crate::cluster::View;
use crate::profiles::{ProfileId, ProfileLease};
use crate::sessions::error::SessionError;
use crate::sessions::registry::Registry;
use crate::store::cluster::{FencedLease, LeaseOwner};
use crate::team::Team;

impl Registry {
    /// Leases the profile of the request, if it names one. `reserved` is the lease that the
    /// reservation of the session has acquired, if it has one.
    pub(in crate::sessions) async fn lease_profile(
        &self,
        new: &NewId,
        team: &Team,
        request: &CreateRequest,
        reserved: Option<FencedLease>,
    ) -> Result<Option<ProfileLease>, SessionError> {
        let Some(profile) = &request.profile else {
            return Ok(None);
        };
        let name = &profile.name;
        let unreadable = |reason: String| SessionError::ProfileUnreadable {
            name: name.clone(),
            reason,
        };
        let profiles = &self.spec.profiles;
        if !profiles.are_shared()
            && let Some(cluster) = self.cluster()
            && several_create_sessions(&cluster.view())
        {
            let reason = "several nodes create sessions, and HEARTH_PROFILE_STORE is not set";
            return Err(unreadable(reason.to_owned()));
        }
        let id = ProfileId::new(Team::clone(team), name.clone());
        let acquired = match (reserved, profiles.leases(), &new.owner) {
            (None, Some(leases), Some(life)) if profile.save_changes => {
                // An unlisted session has no reservation.
                let owner = LeaseOwner {
                    session_id: new.id,
                    node: &life.name,
                    epoch: life.epoch,
                };
                let acquiring = leases.acquire(&id.id, owner);
                acquiring
                    .await
                    .map_err(|error| unreadable(error.to_string()))?
            }
            (reserved, ..) => reserved,
        };
        profiles
            .lease(id, profile.save_changes, acquired)
            .map(Some)
            .ok_or_else(|| SessionError::ProfileBusy(name.clone()))
    }

    /// Returns true if the profile of an ended session is being saved.
    pub(in crate::sessions) fn is_saving_profiles(&self) -> bool {
        !self.spec.profiles.saving().is_empty()
    }
}

/// Returns true if other nodes than this one can have sessions.
fn several_create_sessions(view: &View) -> bool {
    view.peers().any(|node| node.load.max_sessions > 0)
}
