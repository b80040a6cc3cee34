//! The words for a session's state.

use serde::{Serialize, Serializer};

/// Whether code can still run in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// It can.
    Active,
    /// It has ended, whatever ended it.
    Destroyed,
}

/// What ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DestroyedReason {
    /// A caller deleted it.
    Deleted,
    /// It lived for its TTL.
    Ttl,
    /// Nothing happened in it for its activity TTL.
    Idle,
    /// Its browser ended by itself.
    BrowserCrashed,
    /// It went past one of its limits.
    Limit,
    /// The server was stopped.
    ServerStopped,
    /// The server that owned it was gone.
    ServerLost,
}

impl DestroyedReason {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Ttl => "ttl",
            Self::Idle => "idle",
            Self::BrowserCrashed => "browser_crashed",
            Self::Limit => "limit",
            Self::ServerStopped => "server_stopped",
            Self::ServerLost => "server_lost",
        }
    }

    /// The reason of that word; none for a word that is none of ours.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Deleted,
            Self::Ttl,
            Self::Idle,
            Self::BrowserCrashed,
            Self::Limit,
            Self::ServerStopped,
            Self::ServerLost,
        ];
        all.into_iter().find(|reason| reason.as_str() == word)
    }

    /// Why the code that was running in the session did not finish: the `error` of its execution.
    pub const fn execution_error(self) -> &'static str {
        match self {
            Self::Deleted => "The session was deleted while the code was running",
            Self::Ttl => "The session reached its ttl while the code was running",
            Self::Idle => "The session was idle for its activityTtl and has ended",
            Self::BrowserCrashed => {
                "The session's browser ended unexpectedly while the code was running"
            }
            Self::Limit => "The session went past a limit while the code was running",
            Self::ServerStopped => "The server was stopped while the code was running",
            Self::ServerLost => "The server that owned the session is gone",
        }
    }
}

impl DestroyedReason {
    /// What ended the session, for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Deleted => "The session was deleted.",
            Self::Ttl => "The session reached its ttl.",
            Self::Idle => "The session was idle for its activityTtl.",
            Self::BrowserCrashed => "The session's browser ended unexpectedly.",
            Self::Limit => "The session went past a limit.",
            Self::ServerStopped => "The server was stopped.",
            Self::ServerLost => "The server that owned the session is gone.",
        }
    }
}

impl Serialize for DestroyedReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
