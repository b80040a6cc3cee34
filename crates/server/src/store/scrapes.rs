//! The records of scrapes, for interactions that follow them.

use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::engine::Statement;
use super::error::StoreError;
use super::scrape_row::ScrapeRecord;
use super::{Store, statements};
use crate::team::Team;

/// The time limit for one statement, including the wait for other ones.
const BOUND: Duration = Duration::from_secs(6);

impl Store {
    /// Records a scrape. An earlier record of it is replaced if it has the same team.
    pub async fn record_scrape(&self, scrape: &ScrapeRecord) -> Result<(), StoreError> {
        let recording = self.pool.execute(scrape.record());
        within_bound(recording).await.map(drop)
    }

    /// Returns the record of a scrape, unless there is none or it is invalid.
    pub async fn scrape(&self, id: Uuid) -> Result<Option<ScrapeRecord>, StoreError> {
        let scrape = Statement::new(statements::SCRAPE).bind(id.to_string());
        let found = within_bound(self.pool.fetch(scrape, ScrapeRecord::read)).await?;
        Ok(found.into_iter().next())
    }

    /// Deletes the oldest records of a team's scrapes beyond `max`.
    pub async fn prune_scrapes_of(&self, team: &Team, max: usize) -> Result<(), StoreError> {
        let prune = Statement::new(statements::PRUNE_SCRAPES_OF_TEAM)
            .bind(&**team)
            .bind(i64::try_from(max).unwrap_or(i64::MAX));
        within_bound(self.pool.execute(prune)).await.map(drop)
    }
}

async fn within_bound<T>(
    statement: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let result = timeout(BOUND, statement).await;
    result.map_err(|_| StoreError::NoReply)?
}
