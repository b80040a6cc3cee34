//! Records, and their conversion to and from rows.

use std::time::Duration;

use hearth_contract::{DestroyedReason, Language, Limit};
use jiff::Timestamp;
use uuid::Uuid;

use super::engine::{Columns, Statement};
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

impl SessionRecord {
    /// Records the session as one of `node`.
    pub(super) fn begin(&self, node: &str) -> Statement {
        let link = |which: usize| self.links.as_ref().map(|links| links[which].as_str());
        Statement::new(statements::BEGIN_SESSION)
            .bind(self.id.to_string())
            .bind(&*self.team)
            .bind(self.created_at.as_millisecond())
            .bind(self.expires_at.as_millisecond())
            .bind(self.last_activity.as_millisecond())
            .bind(link(0))
            .bind(link(1))
            .bind(node)
    }

    pub(super) fn end(&self) -> Statement {
        let (name, value) = self
            .ending
            .and_then(|ending| ending.limit)
            .map(limit_to_row)
            .unzip();
        Statement::new(statements::END_SESSION)
            .bind(self.id.to_string())
            .bind(self.last_activity.as_millisecond())
            .bind(self.ending.map(|ending| ending.reason.as_str()))
            .bind(self.ending.map(|ending| ending.at.as_millisecond()))
            .bind(self.ending.map(|ending| signed(ending.duration_ms)))
            .bind(name)
            .bind(value)
    }

    /// Reads a row. Returns none if it is invalid.
    pub(super) fn read(row: &dyn Columns) -> Option<SessionRecord> {
        let ending = match row.text("destroyed_reason") {
            Some(reason) => {
                let limit = row.text("limit_name").zip(row.number("limit_value"));
                Some(Ending {
                    reason: DestroyedReason::parse(&reason)?,
                    limit: limit.and_then(|(name, value)| limit_from_row(&name, value)),
                    at: time(row, "destroyed_at_ms")?,
                    // Negative if the clocks of two nodes differ, or if one was set back.
                    duration_ms: u64::try_from(row.number("duration_ms")?).unwrap_or(0),
                })
            }
            None => None,
        };
        let links = row.text("watch_digest").zip(row.text("steer_digest"));
        Some(SessionRecord {
            id: Uuid::parse_str(&row.text("id")?).ok()?,
            team: Team::from(row.text("team")?),
            created_at: time(row, "created_at_ms")?,
            expires_at: time(row, "expires_at_ms")?,
            last_activity: time(row, "last_activity_ms")?,
            links: links.map(|(watch, control)| [watch, control]),
            ending,
        })
    }
}

/// Returns the time in a column, unless it is NULL or out of range.
pub(super) fn time(row: &dyn Columns, column: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(row.number(column)?).ok()
}

pub(super) fn end_lost(node: &str, now: Timestamp) -> Statement {
    Statement::new(statements::END_LOST_SESSIONS)
        .bind(DestroyedReason::ServerLost.as_str())
        .bind(now.as_millisecond())
        .bind(node)
}

impl ExecutionRecord {
    pub(super) fn record(&self) -> Statement {
        Statement::new(statements::RECORD_EXECUTION)
            .bind(Uuid::now_v7().to_string())
            .bind(self.session.to_string())
            .bind(self.language.as_str())
            .bind(self.ended_at.as_millisecond())
            .bind(i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX))
            .bind(i64::from(self.exit_code))
            .bind(self.killed)
    }
}

impl ProfileRecord {
    pub(super) fn record(&self) -> Statement {
        Statement::new(statements::RECORD_PROFILE)
            .bind(&*self.id)
            .bind(&*self.team)
            .bind(serde_json::Value::from(self.name.as_str()).to_string())
            .bind(signed(self.size_bytes))
            .bind(self.saved_at.as_millisecond())
    }

    /// Reads a row. Returns none if it is invalid.
    pub(super) fn read(row: &dyn Columns) -> Option<ProfileRecord> {
        Some(ProfileRecord {
            id: row.text("id")?,
            team: Team::from(row.text("team")?),
            name: serde_json::from_str(&row.text("name_json")?).ok()?,
            size_bytes: u64::try_from(row.number("size_bytes")?).ok()?,
            saved_at: time(row, "saved_at_ms")?,
        })
    }
}

pub(super) fn delete_profile(id: &str) -> Statement {
    Statement::new(statements::DELETE_PROFILE).bind(id)
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
