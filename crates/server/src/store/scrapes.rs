//! The records of scrapes, for interactions that follow them.

use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::error::StoreError;
use super::scrape_row::ScrapeRecord;
use super::{Store, statements};
use crate::team::Team;

/// The time limit for one statement, including the wait for other ones.
const BOUND: Duration = Duration::from_secs(6);

impl Store {
    /// Records a scrape. An earlier record of it is replaced if it has the same team.
    pub async fn record_scrape(&self, scrape: &ScrapeRecord) -> Result<(), StoreError> {
        let recording = sqlx::query(statements::RECORD_SCRAPE)
            .bind(scrape.id.to_string())
            .bind(&*scrape.team)
            .bind(scrape.used_at.as_millisecond())
            .bind(&scrape.context)
            .bind(scrape.session.map(|session| session.to_string()))
            .execute(&self.pool);
        within_bound(recording).await.map(drop)
    }

    /// Returns the record of a scrape, unless there is none or it is invalid.
    pub async fn scrape(&self, id: Uuid) -> Result<Option<ScrapeRecord>, StoreError> {
        let reading = sqlx::query(statements::SCRAPE)
            .bind(id.to_string())
            .fetch_optional(&self.pool);
        let row = within_bound(reading).await?;
        Ok(row
            .map(|row| ScrapeRecord::read(&row))
            .transpose()?
            .flatten())
    }

    /// Deletes the oldest records of a team's scrapes beyond `max`.
    pub async fn prune_scrapes_of(&self, team: &Team, max: usize) -> Result<(), StoreError> {
        let pruning = sqlx::query(statements::PRUNE_SCRAPES_OF_TEAM)
            .bind(&**team)
            .bind(i64::try_from(max).unwrap_or(i64::MAX))
            .execute(&self.pool);
        within_bound(pruning).await.map(drop)
    }
}

async fn within_bound<T>(
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let result = timeout(BOUND, statement).await;
    Ok(result.map_err(|_| sqlx::Error::PoolTimedOut)??)
}
