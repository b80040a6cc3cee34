//! Records, and their conversion to and from rows.

use std::time::Duration;

use hearth_contract::{DestroyedReason, Language, Limit};
use jiff::Timestamp;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite};
use uuid::Uuid;

use super::statements;
use crate::ending::Ending;
use crate::team::Team;

/// A record of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRecord {
    pub id: Uuid,
    pub team: Team,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub last_activity: Timestamp,
    /// Digests of the tokens in the links of the live view: watch, then control. `None` without a
    /// live view.
    pub links: Option<[String; 2]>,
    /// `None` while the session is active.
    pub ending: Option<Ending>,
}

/// A record of a finished execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExecutionRecord {
    pub session: Uuid,
    pub language: Language,
    pub ended_at: Timestamp,
    pub duration: Duration,
    pub exit_code: i32,
    pub killed: bool,
}

/// A record of a saved profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileRecord {
    /// SHA-256 of team and name, in hex.
    pub id: String,
    pub team: Team,
    pub name: String,
    pub size_bytes: u64,
    pub saved_at: Timestamp,
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

impl SessionRecord {
    pub(super) fn begin(&self) -> Statement<'_> {
        let link = |which: usize| self.links.as_ref().map(|links| links[which].as_str());
        sqlx::query(statements::BEGIN_SESSION)
            .bind(self.id.to_string())
            .bind(&*self.team)
            .bind(self.created_at.as_millisecond())
            .bind(self.expires_at.as_millisecond())
            .bind(self.last_activity.as_millisecond())
            .bind(link(0))
            .bind(link(1))
    }

    pub(super) fn end(&self) -> Statement<'_> {
        let (name, value) = self
            .ending
            .and_then(|ending| ending.limit)
            .map(limit_to_row)
            .unzip();
        sqlx::query(statements::END_SESSION)
            .bind(self.id.to_string())
            .bind(self.last_activity.as_millisecond())
            .bind(self.ending.map(|ending| ending.reason.as_str()))
            .bind(self.ending.map(|ending| ending.at.as_millisecond()))
            .bind(self.ending.map(|ending| signed(ending.duration_ms)))
            .bind(name)
            .bind(value)
    }

    /// Reads a row. Returns none if it is invalid.
    pub(super) fn read(row: &SqliteRow) -> Result<Option<SessionRecord>, sqlx::Error> {
        let (id, team): (String, String) = (row.try_get("id")?, row.try_get("team")?);
        let time = |column: &str| {
            Ok::<_, sqlx::Error>(Timestamp::from_millisecond(row.try_get(column)?).ok())
        };
        let links: (Option<String>, Option<String>) =
            (row.try_get("watch_digest")?, row.try_get("steer_digest")?);
        let reason: Option<String> = row.try_get("destroyed_reason")?;
        let duration_ms: Option<i64> = row.try_get("duration_ms")?;
        let limit: (Option<String>, Option<i64>) =
            (row.try_get("limit_name")?, row.try_get("limit_value")?);
        let ended_at: Option<i64> = row.try_get("destroyed_at_ms")?;
        let (created_at, expires_at, last_activity) = (
            time("created_at_ms")?,
            time("expires_at_ms")?,
            time("last_activity_ms")?,
        );
        let assemble = || {
            let ending = match reason {
                Some(reason) => Some(Ending {
                    reason: DestroyedReason::parse(&reason)?,
                    limit: limit
                        .0
                        .zip(limit.1)
                        .and_then(|(name, value)| limit_from_row(&name, value)),
                    at: Timestamp::from_millisecond(ended_at?).ok()?,
                    duration_ms: u64::try_from(duration_ms?).ok()?,
                }),
                None => None,
            };
            Some(SessionRecord {
                id: Uuid::parse_str(&id).ok()?,
                team: Team::from(team),
                created_at: created_at?,
                expires_at: expires_at?,
                last_activity: last_activity?,
                links: links
                    .0
                    .zip(links.1)
                    .map(|(watch, control)| [watch, control]),
                ending,
            })
        };
        Ok(assemble())
    }
}

pub(super) fn end_lost(now: Timestamp) -> Statement<'static> {
    sqlx::query(statements::END_LOST_SESSIONS)
        .bind(DestroyedReason::ServerLost.as_str())
        .bind(now.as_millisecond())
}

impl ExecutionRecord {
    pub(super) fn record(&self, id: Uuid) -> Statement<'_> {
        sqlx::query(statements::RECORD_EXECUTION)
            .bind(id.to_string())
            .bind(self.session.to_string())
            .bind(self.language.as_str())
            .bind(self.ended_at.as_millisecond())
            .bind(i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX))
            .bind(i64::from(self.exit_code))
            .bind(self.killed)
    }
}

impl ProfileRecord {
    pub(super) fn record(&self) -> Statement<'_> {
        sqlx::query(statements::RECORD_PROFILE)
            .bind(&self.id)
            .bind(&*self.team)
            .bind(serde_json::Value::from(self.name.as_str()).to_string())
            .bind(signed(self.size_bytes))
            .bind(self.saved_at.as_millisecond())
    }

    /// Reads a row. Returns none if it is invalid.
    pub(super) fn read(row: &SqliteRow) -> Result<Option<ProfileRecord>, sqlx::Error> {
        let (name, size): (String, i64) = (row.try_get("name_json")?, row.try_get("size_bytes")?);
        let (id, team): (String, String) = (row.try_get("id")?, row.try_get("team")?);
        let saved_at = Timestamp::from_millisecond(row.try_get("saved_at_ms")?);
        let assemble = || {
            Some(ProfileRecord {
                id,
                team: Team::from(team),
                name: serde_json::from_str(&name).ok()?,
                size_bytes: u64::try_from(size).ok()?,
                saved_at: saved_at.ok()?,
            })
        };
        Ok(assemble())
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn limit_to_row(limit: Limit) -> (&'static str, i64) {
    let (name, value) = match limit {
        Limit::MemoryMb(value) => ("memory_mb", value),
        Limit::Processes(value) => ("processes", value),
        Limit::DiskMb(value) => ("disk_mb", value),
        Limit::Files(value) => ("files", value),
        Limit::FreeDiskMb(value) => ("free_disk_mb", value),
    };
    (name, signed(value))
}

fn limit_from_row(name: &str, value: i64) -> Option<Limit> {
    let value = u64::try_from(value).ok()?;
    Some(match name {
        "memory_mb" => Limit::MemoryMb(value),
        "processes" => Limit::Processes(value),
        "disk_mb" => Limit::DiskMb(value),
        "files" => Limit::Files(value),
        "free_disk_mb" => Limit::FreeDiskMb(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_back_unchanged() {
        for limit in [
            Limit::MemoryMb(1),
            Limit::Processes(2),
            Limit::DiskMb(3),
            Limit::Files(4),
            Limit::FreeDiskMb(5),
        ] {
            let (name, value) = limit_to_row(limit);
            assert_eq!(limit_from_row(name, value), Some(limit));
        }
        assert_eq!(limit_from_row("other", 1), None);
    }
}
