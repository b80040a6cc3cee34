//! The number of sessions of each team.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use crate::team::Team;

/// The sessions of all teams, and the maximum for one.
#[derive(Debug)]
pub(super) struct TeamQuota {
    max: Option<usize>,
    counts: Mutex<HashMap<Team, usize>>,
}

/// The right of a team to one session. Dropping it returns the right.
#[derive(Debug)]
pub(super) struct TeamPermit {
    quota: Arc<TeamQuota>,
    team: Team,
}

/// The right to one session of the server and of a team.
#[derive(Debug)]
pub(super) struct CapacityPermit {
    pub _server: OwnedSemaphorePermit,
    pub _team: TeamPermit,
}

impl TeamQuota {
    /// Creates a quota. `None` means that a team may have all sessions.
    pub fn new(max: Option<usize>) -> Arc<TeamQuota> {
        Arc::new(TeamQuota {
            max,
            counts: Mutex::default(),
        })
    }

    /// Returns a permit, or the maximum if the team has reached it.
    pub fn acquire(self: &Arc<Self>, team: &Team) -> Result<TeamPermit, usize> {
        let mut counts = self.lock();
        let count = counts.get(team).copied().unwrap_or(0);
        if let Some(max) = self.max.filter(|max| count >= *max) {
            return Err(max);
        }
        counts.insert(Team::clone(team), count + 1);
        Ok(TeamPermit {
            quota: Arc::clone(self),
            team: Team::clone(team),
        })
    }

    /// Returns the number of sessions of every team that has any.
    pub fn counts(&self) -> HashMap<Team, usize> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Team, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TeamPermit {
    fn drop(&mut self) {
        let mut counts = self.quota.lock();
        let count = counts.get(&self.team).copied().unwrap_or(0);
        if count > 1 {
            counts.insert(Team::clone(&self.team), count - 1);
        } else {
            counts.remove(&self.team);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_has_at_most_its_quota_and_others_are_not_affected() {
        let quota = TeamQuota::new(Some(2));
        let (one, other) = (Team::from("one"), Team::from("other"));
        let first = quota.acquire(&one).expect("the first");
        let second = quota.acquire(&one).expect("the second");
        assert_eq!(quota.acquire(&one).err(), Some(2));
        let third = quota.acquire(&other).expect("another team");
        drop(first);
        let fourth = quota.acquire(&one).expect("one was returned");
        drop((second, third, fourth));
        assert!(quota.lock().is_empty());
    }

    #[test]
    fn without_a_maximum_every_session_is_permitted() {
        let quota = TeamQuota::new(None);
        let team = Team::from("one");
        let permits: Vec<TeamPermit> = (0..100)
            .map(|_| quota.acquire(&team).expect("no maximum"))
            .collect();
        drop(permits);
        assert!(quota.lock().is_empty());
    }
}
