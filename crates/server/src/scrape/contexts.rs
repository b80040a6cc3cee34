//! What the server knows about scrapes: the page that each has read, and the session that an
//! interaction has opened for it.

use std::sync::atomic::{AtomicUsize, Ordering};

use hearth_contract::ScrapeContext;
use uuid::Uuid;

use crate::clock;
use crate::store::{ScrapeRecord, Store, StoreError};
use crate::team::Team;

/// The maximum size of a context. A larger one is not kept.
const MAX_CONTEXT_BYTES: usize = 64 * 1024;

/// The maximum number of scrapes of one team that are kept. Older ones are removed.
const MAX_SCRAPES_OF_TEAM: usize = 10_000;

/// The number of new records after which excess ones are removed.
const PRUNE_EVERY: usize = 256;

/// The scrapes that clients can interact with.
#[derive(Debug)]
pub(super) struct Contexts {
    store: Store,
    /// The number of records that were written.
    written: AtomicUsize,
}

/// A scrape that the server knows.
#[derive(Debug)]
pub(super) struct KnownScrape {
    pub team: Team,
    /// `None` if the context was not kept, or a session has used it.
    pub context: Option<ScrapeContext>,
    /// The session of the scrape, active or ended.
    pub session: Option<Uuid>,
}

impl Contexts {
    pub fn new(store: Store) -> Contexts {
        Contexts {
            store,
            written: AtomicUsize::new(0),
        }
    }

    /// Remembers a scrape, so that its team can interact with the page. The context itself is
    /// not written if the scrape wants nothing to be kept, or if it is too large.
    pub async fn remember(&self, job_id: Uuid, team: &Team, context: &ScrapeContext) {
        let is_kept = !context.zero_data_retention;
        let json = serde_json::to_string(context).ok();
        let json = json.filter(|json| is_kept && json.len() <= MAX_CONTEXT_BYTES);
        if let Err(error) = self.write(job_id, team, json, None).await {
            tracing::warn!(%error, "scrape not recorded");
        }
    }

    /// Makes a session the one of a scrape, which needs its context no longer.
    pub(super) async fn bind(
        &self,
        job_id: Uuid,
        team: &Team,
        session: Uuid,
    ) -> Result<(), StoreError> {
        self.write(job_id, team, None, Some(session)).await
    }

    /// Returns a scrape. A context that cannot be read counts as missing.
    pub(super) async fn find(&self, job_id: Uuid) -> Result<Option<KnownScrape>, StoreError> {
        let record = self.store.scrape(job_id).await?;
        Ok(record.map(|record| {
            let context = record.context.as_deref();
            KnownScrape {
                team: record.team,
                context: context.and_then(|json| serde_json::from_str(json).ok()),
                session: record.session,
            }
        }))
    }

    async fn write(
        &self,
        id: Uuid,
        team: &Team,
        context: Option<String>,
        session: Option<Uuid>,
    ) -> Result<(), StoreError> {
        let record = ScrapeRecord {
            id,
            team: Team::clone(team),
            used_at: clock::now(),
            context,
            session,
        };
        self.store.record_scrape(&record).await?;
        if self.written.fetch_add(1, Ordering::Relaxed) % PRUNE_EVERY == PRUNE_EVERY - 1 {
            self.store
                .prune_scrapes_of(team, MAX_SCRAPES_OF_TEAM)
                .await?;
        }
        Ok(())
    }
}
