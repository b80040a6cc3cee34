//! The record of a scrape, and its conversion from a row.

use jiff::Timestamp;
use uuid::Uuid;

use super::engine::{Columns, Statement};
use super::rows::time;
use super::statements;
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
    pub(super) fn record(&self) -> Statement {
        Statement::new(statements::RECORD_SCRAPE)
            .bind(self.id.to_string())
            .bind(&*self.team)
            .bind(self.used_at.as_millisecond())
            .bind(self.context.as_deref())
            .bind(self.session.map(|session| session.to_string()))
    }

    /// Reads a row. Returns none if it is invalid.
    pub(super) fn read(row: &dyn Columns) -> Option<ScrapeRecord> {
        Some(ScrapeRecord {
            id: Uuid::parse_str(&row.text("id")?).ok()?,
            team: Team::from(row.text("team")?),
            used_at: time(row, "used_at_ms")?,
            context: row.text("context_json"),
            session: match row.text("session_id") {
                Some(session) => Some(Uuid::parse_str(&session).ok()?),
                None => None,
            },
        })
    }
}
