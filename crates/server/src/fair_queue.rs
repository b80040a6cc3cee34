//! A queue in which the requests of one team do not delay those of another.
//!
//! Each team has its own queue. Only the first request of each team competes for the next turn, so
//! that waiting teams get turns alternately, however many requests one of them sends. The queue of
//! a team has a maximum length. All clients of a server without keys are one team.
//!
//! `http/state.rs` has these queues:
//!
//! - Large bodies wait until they are parsed (`http/extract.rs`). With keys, a request without a
//!   valid one is rejected before it waits.
//! - Lists of profiles wait until they are read (`http/handlers/profiles.rs`). Without this queue
//!   they would wait for the connection of the store, and new sessions behind them.
//!
//! Requests to a Firecrawl server wait for a connection (`firecrawl/server.rs`).
//!
//! Other queues do not need it. Executions wait in their session, which belongs to one team
//! (`sessions/execution/kernel_slots.rs`). Without capacity, the creation of a session is
//! rejected at once (`sessions/create.rs`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::team::Team;

/// A queue for turns. A turn lasts until its permit is dropped.
#[derive(Debug)]
pub(crate) struct FairQueue {
    turns: Arc<Semaphore>,
    max_waiting: usize,
    /// One queue for each team that has waited, and so at most one for each key.
    teams: Mutex<HashMap<Team, Arc<TeamQueue>>>,
}

/// The waiting requests of one team.
#[derive(Debug)]
struct TeamQueue {
    /// One permit for each request that may wait.
    permits: Semaphore,
    /// Held by the first request, which competes with those of other teams.
    front: Semaphore,
}

/// The error of a team that has the maximum number of waiting requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} requests of the team wait")]
pub(crate) struct TeamQueueFull(pub usize);

impl FairQueue {
    /// Creates a queue that grants `max_turns` at a time, for which at most `max_waiting` requests
    /// of each team wait.
    pub fn new(max_turns: usize, max_waiting: usize) -> FairQueue {
        FairQueue {
            turns: Arc::new(Semaphore::new(max_turns)),
            max_waiting,
            teams: Mutex::default(),
        }
    }

    /// Waits for a turn. Dropping the future leaves the queue.
    pub async fn wait(&self, team: &Team) -> Result<OwnedSemaphorePermit, TeamQueueFull> {
        let full = TeamQueueFull(self.max_waiting);
        let queue = self.queue_of(team);
        let _permit = queue.permits.try_acquire().map_err(|_| full)?;
        // Only closed semaphores fail below, and these are never closed.
        let _front = queue.front.acquire().await.map_err(|_| full)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        turn.map_err(|_| full)
    }

    /// Returns the number of turns that nobody has.
    pub fn free(&self) -> usize {
        self.turns.available_permits()
    }

    fn queue_of(&self, team: &Team) -> Arc<TeamQueue> {
        let mut teams = self.teams.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = teams.entry(Team::clone(team)).or_insert_with(|| {
            Arc::new(TeamQueue {
                permits: Semaphore::new(self.max_waiting),
                front: Semaphore::new(1),
            })
        });
        Arc::clone(queue)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::join;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    fn teams() -> (Team, Team) {
        (Team::from("one"), Team::from("other"))
    }

    #[tokio::test]
    async fn waiting_teams_get_turns_alternately() {
        let queue = FairQueue::new(1, 8);
        let (one, other) = teams();
        let order = Mutex::new(Vec::new());
        let request = async |team: &Team| {
            let turn = queue.wait(team).await.expect("a turn");
            order.lock().expect("no panic").push(team.to_string());
            // The next requests come to the front of their queues.
            for _ in 0..8 {
                yield_now().await;
            }
            drop(turn);
        };
        let first = queue.wait(&one).await.expect("a turn is free");
        join!(
            biased;
            request(&one),
            request(&one),
            request(&one),
            request(&one),
            request(&other),
            request(&other),
            async { drop(first) },
        );
        let order = order.into_inner().expect("no panic");
        assert_eq!(order, ["one", "other", "one", "other", "one", "one"]);
    }

    #[tokio::test]
    async fn the_queue_of_one_team_does_not_fill_that_of_another() {
        let queue = FairQueue::new(1, 2);
        let (one, other) = teams();
        let held = queue.wait(&one).await.expect("a turn is free");
        let wait = async |team: &Team| queue.wait(team).await.map(drop);
        let last = async {
            let last = wait(&one).await;
            drop(held);
            last
        };
        let results = join!(biased; wait(&one), wait(&one), last, wait(&other));
        assert_eq!(results, (Ok(()), Ok(()), Err(TeamQueueFull(2)), Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_gives_up_leaves_its_queue() {
        let queue = FairQueue::new(1, 1);
        let (one, other) = teams();
        let held = queue.wait(&other).await.expect("a turn is free");
        for _ in 0..3 {
            let waiting = timeout(Duration::from_secs(1), queue.wait(&one)).await;
            assert!(waiting.is_err(), "the turn is held");
        }
        drop(held);
        drop(queue.wait(&one).await.expect("a turn is free"));
    }
}
