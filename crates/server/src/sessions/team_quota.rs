//! The number of sessions of the server and of each team.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::team::Team;

/// The sessions of the server and of its teams, with a maximum for both.
#[derive(Debug)]
pub(super) struct TeamQuota(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    max: QuotaMax,
    total: usize,
    teams: HashMap<Team, usize>,
}

/// The maximum numbers of concurrent sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuotaMax {
    pub server: usize,
    /// The maximum of one team. `None` means that a team may have all sessions.
    pub team: Option<usize>,
}

/// The maximum that prevents a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuotaReached {
    Server,
    Team(usize),
}

/// The right to one session. Dropping it returns the right.
#[derive(Debug)]
pub(super) struct CapacityPermit {
    quota: Arc<TeamQuota>,
    team: Team,
}

impl TeamQuota {
    pub fn new(max: QuotaMax) -> Arc<TeamQuota> {
        let (total, teams) = (0, HashMap::new());
        Arc::new(TeamQuota(Mutex::new(Counts { max, total, teams })))
    }

    /// Returns a permit, or the maximum that is reached.
    pub fn acquire(self: &Arc<Self>, team: &Team) -> Result<CapacityPermit, QuotaReached> {
        let mut counts = self.lock();
        let count = counts.teams.get(team).copied().unwrap_or(0);
        if let Some(max) = counts.max.team.filter(|max| count >= *max) {
            return Err(QuotaReached::Team(max));
        }
        if counts.total >= counts.max.server {
            return Err(QuotaReached::Server);
        }
        counts.total += 1;
        counts.teams.insert(Team::clone(team), count + 1);
        Ok(CapacityPermit {
            quota: Arc::clone(self),
            team: Team::clone(team),
        })
    }

    pub fn max(&self) -> QuotaMax {
        self.lock().max
    }

    /// Changes the maximum. Sessions above it continue.
    pub fn set_max(&self, max: QuotaMax) {
        self.lock().max = max;
    }

    /// Returns the number of sessions of the server.
    pub fn total(&self) -> usize {
        self.lock().total
    }

    /// Returns the number of sessions of every team that has any.
    pub fn counts(&self) -> HashMap<Team, usize> {
        self.lock().teams.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CapacityPermit {
    fn drop(&mut self) {
        let mut counts = self.quota.lock();
        counts.total = counts.total.saturating_sub(1);
        let count = counts.teams.get(&self.team).copied().unwrap_or(0);
        if count > 1 {
            counts.teams.insert(Team::clone(&self.team), count - 1);
        } else {
            counts.teams.remove(&self.team);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(server: usize, team: Option<usize>) -> Arc<TeamQuota> {
        TeamQuota::new(QuotaMax { server, team })
    }

    #[test]
    fn a_team_has_at_most_its_quota_and_others_are_not_affected() {
        let quota = quota(100, Some(2));
        let (one, other) = (Team::from("one"), Team::from("other"));
        let first = quota.acquire(&one).expect("the first");
        let second = quota.acquire(&one).expect("the second");
        assert_eq!(quota.acquire(&one).err(), Some(QuotaReached::Team(2)));
        let third = quota.acquire(&other).expect("another team");
        drop(first);
        let fourth = quota.acquire(&one).expect("one was returned");
        drop((second, third, fourth));
        assert!(quota.counts().is_empty() && quota.total() == 0);
    }

    #[test]
    fn all_teams_share_the_sessions_of_the_server() {
        let quota = quota(2, None);
        let (one, other) = (Team::from("one"), Team::from("other"));
        let first = quota.acquire(&one).expect("the first");
        let second = quota.acquire(&other).expect("the second");
        assert_eq!(quota.acquire(&one).err(), Some(QuotaReached::Server));
        assert_eq!(quota.total(), 2);
        drop(second);
        let third = quota.acquire(&one).expect("one was returned");
        drop((first, third));
        assert!(quota.counts().is_empty() && quota.total() == 0);
    }

    #[test]
    fn a_lower_maximum_applies_to_new_sessions() {
        let quota = quota(2, None);
        let team = Team::from("one");
        let first = quota.acquire(&team).expect("the first");
        let second = quota.acquire(&team).expect("the second");
        let server = |server| QuotaMax { server, team: None };
        quota.set_max(server(1));
        drop(first);
        assert_eq!(quota.acquire(&team).err(), Some(QuotaReached::Server));
        quota.set_max(server(2));
        let third = quota.acquire(&team).expect("the maximum was raised");
        drop((second, third));
        assert_eq!(quota.max(), server(2));
    }
}
