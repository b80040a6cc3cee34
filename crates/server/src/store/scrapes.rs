//! The records of scrapes, for interactions that follow them.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tokio::time::timeout;
use uuid::Uuid;

use super::error::StoreError;
use super::{Store, statements};
use crate::team::Team;

/// The time limit for one statement, including the wait for other ones.
const BOUND: Duration = Duration::from_secs(6);

/// A record of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScrapeRecord {
    pub id: Uuid,
    pub team: Team,
    /// The end of the scrape, or the time when it got its session.
    pub used_at: Timestamp,
    /// The page and the actions as JSON, unless a session has opened them or nothing is kept.
    pub context: Option<String>,
    /// The session of the scrape, once it has one.
    pub session: Option<Uuid>,
}

impl ScrapeRecord {
    /// Reads a row. Returns none if it is invalid.
    fn read(row: &SqliteRow) -> Result<Option<ScrapeRecord>, sqlx::Error> {
        let (id, team): (String, String) = (row.try_get("id")?, row.try_get("team")?);
        let used_at = Timestamp::from_millisecond(row.try_get("used_at_ms")?);
        let context = row.try_get("context_json")?;
        let session: Option<String> = row.try_get("session_id")?;
        let assemble = || {
            Some(ScrapeRecord {
                id: Uuid::parse_str(&id).ok()?,
                team: Team::from(team),
                used_at: used_at.ok()?,
                context,
                session: match session {
                    Some(session) => Some(Uuid::parse_str(&session).ok()?),
                    None => None,
                },
            })
        };
        Ok(assemble())
    }
}

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
