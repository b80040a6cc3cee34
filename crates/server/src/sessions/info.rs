//! The properties of a session that never change.

use std::time::Duration;

use hearth_contract::CreateRequest;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use super::tokens::Tokens;
use crate::clock;
use crate::ending::Ending;
use crate::store::SessionRecord;
use crate::team::Team;

/// The identity, owner, secrets and lifetime of a session.
#[derive(Debug)]
pub(super) struct SessionInfo {
    pub id: Uuid,
    pub team: Team,
    pub tokens: Tokens,
    pub created_at: Timestamp,
    /// The monotonic form of `created_at`.
    pub created: Instant,
    pub ttl: Duration,
    pub activity_ttl: Duration,
    /// The name of the session's profile.
    pub profile: Option<String>,
    /// Keeps nothing of what the session does.
    pub zero_data_retention: bool,
}

impl SessionInfo {
    /// Creates the properties of a session that starts now.
    pub fn new(id: Uuid, team: Team, request: &CreateRequest, tokens: Tokens) -> SessionInfo {
        SessionInfo {
            id,
            team,
            tokens,
            created_at: clock::now(),
            created: Instant::now(),
            ttl: Duration::from_secs(request.ttl_seconds.into()),
            activity_ttl: Duration::from_secs(request.activity_ttl_seconds.into()),
            profile: request.profile.as_ref().map(|profile| profile.name.clone()),
            zero_data_retention: request.zero_data_retention,
        }
    }

    /// Returns the creation time plus `ttl`. Activity does not change it.
    pub fn expires_at(&self) -> Timestamp {
        let ttl = SignedDuration::try_from(self.ttl).unwrap_or(SignedDuration::MAX);
        self.created_at.checked_add(ttl).unwrap_or(Timestamp::MAX)
    }

    /// Returns the record for the store, which outlives the server. With zero data retention it has
    /// only the id, the team, the times and the reason of the end.
    pub fn stored_record(&self, last_activity: Timestamp, ending: Option<Ending>) -> SessionRecord {
        let record = self.record(last_activity, ending);
        if !self.zero_data_retention {
            return record;
        }
        SessionRecord {
            last_activity: self.created_at,
            links: None,
            ending: ending.map(|ending| Ending {
                limit: None,
                ..ending
            }),
            ..record
        }
    }

    /// Returns the record that outlives the session.
    pub fn record(&self, last_activity: Timestamp, ending: Option<Ending>) -> SessionRecord {
        SessionRecord {
            id: self.id,
            team: Team::clone(&self.team),
            created_at: self.created_at,
            expires_at: self.expires_at(),
            last_activity,
            links: self
                .tokens
                .live_view
                .as_ref()
                .map(|links| [links.watch.digest(), links.control.digest()]),
            ending,
        }
    }
}
