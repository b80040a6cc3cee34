//! An entry of the registry.

use std::sync::Arc;

use jiff::Timestamp;

use super::session::Session;
use crate::ending::Ending;
use crate::store::SessionRecord;
use crate::team::Team;

/// A session in the registry.
#[derive(Clone, Debug)]
pub(crate) enum SessionEntry {
    /// A session of this server process, active or ended.
    Current(Arc<Session>),
    /// An ended session of an earlier server process.
    Recorded(Arc<SessionRecord>),
}

impl SessionEntry {
    /// Returns the session's current record.
    pub fn record(&self) -> SessionRecord {
        match self {
            SessionEntry::Current(session) => session.record(),
            SessionEntry::Recorded(record) => SessionRecord::clone(record),
        }
    }

    pub fn team(&self) -> &Team {
        match self {
            SessionEntry::Current(session) => session.team(),
            SessionEntry::Recorded(record) => &record.team,
        }
    }

    /// Returns true if the session's team can see it.
    pub fn is_listed(&self) -> bool {
        match self {
            SessionEntry::Current(session) => session.is_listed(),
            SessionEntry::Recorded(_) => true,
        }
    }

    /// Returns true if nothing remains of a session that its team has never seen.
    pub(super) fn is_forgotten(&self) -> bool {
        match self {
            SessionEntry::Current(session) => !session.is_listed() && session.is_cleaned(),
            SessionEntry::Recorded(_) => false,
        }
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        match self {
            SessionEntry::Current(session) => session.ending(),
            SessionEntry::Recorded(record) => record.ending,
        }
    }

    /// Returns true if the session ended at `time` or before.
    pub(super) fn ended_by(&self, time: Timestamp) -> bool {
        self.ending().is_some_and(|ending| ending.at <= time)
    }
}
