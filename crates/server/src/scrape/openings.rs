//! Openings of sessions for scrapes. Requests that need the session of one scrape at the same time
//! share one opening.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::interact_error::InteractError;
use crate::sessions::Session;
use crate::team::Team;

/// The result of an opening.
pub(super) type Opened = Result<Arc<Session>, InteractError>;

/// The openings in progress, by the id of the scrape. Each runs as a task, so that it goes on when
/// a client disconnects or its time is up.
#[derive(Debug, Default)]
pub(super) struct Openings(Mutex<HashMap<Uuid, Opening>>);

/// An opening in progress. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    team: Team,
    stop: CancellationToken,
    result: watch::Receiver<Option<Opened>>,
}

impl Openings {
    /// Returns the opening of a scrape. Starts the one that `open` returns if there is none.
    pub fn join_or_start<F: Future<Output = Opened> + Send + 'static>(
        self: &Arc<Self>,
        tracker: &TaskTracker,
        job_id: Uuid,
        team: &Team,
        open: impl FnOnce(CancellationToken) -> F,
    ) -> Result<Opening, InteractError> {
        let mut openings = self.lock();
        let entry = match openings.entry(job_id) {
            Entry::Occupied(known) if known.get().team != *team => {
                return Err(InteractError::Forbidden);
            }
            Entry::Occupied(known) => return Ok(known.get().clone()),
            Entry::Vacant(entry) => entry,
        };
        let (sender, result) = watch::channel(None);
        let stop = CancellationToken::new();
        let opening = Opening {
            team: Team::clone(team),
            stop: stop.clone(),
            result,
        };
        entry.insert(opening.clone());
        let ended = Ended {
            openings: Arc::clone(self),
            job_id,
        };
        let opened = open(stop);
        tracker.spawn(async move {
            // Also removed if the opening panics.
            let ended = ended;
            let opened = opened.await;
            // The scrape has its session by now, so that no request starts another opening.
            drop(ended);
            sender.send_replace(Some(opened));
        });
        Ok(opening)
    }

    /// Returns the opening of a scrape, if one is in progress.
    pub fn find(&self, job_id: Uuid, team: &Team) -> Option<Opening> {
        let opening = self.lock().get(&job_id).cloned();
        opening.filter(|opening| opening.team == *team)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Opening>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opening {
    /// Waits for the result. Cancel safe.
    pub async fn opened(&mut self) -> Opened {
        match self.result.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(opened)) => opened.clone(),
            _ => Err(InteractError::Lost),
        }
    }

    /// Stops the opening, and waits until it has ended.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        // Nobody needs the session any more.
        let _ = self.opened().await;
    }
}

/// Removes an opening that has ended.
struct Ended {
    openings: Arc<Openings>,
    job_id: Uuid,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.openings.lock().remove(&self.job_id);
    }
}
