//! The record of a scrape, and its conversion from a row.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::team::Team;

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
    pub(super) fn read(row: &SqliteRow) -> Result<Option<ScrapeRecord>, sqlx::Error> {
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
