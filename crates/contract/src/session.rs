//! The states of a session and the reasons for its end.

use serde::{Serialize, Serializer};

/// The status of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// The session can run code.
    Active,
    /// The session has ended.
    Destroyed,
}

/// The reason why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DestroyedReason {
    /// A caller deleted the session.
    Deleted,
    /// The session reached its TTL.
    Ttl,
    /// The session was idle for its activity TTL.
    Idle,
    /// The browser crashed.
    BrowserCrashed,
    /// The session exceeded a limit.
    Limit,
    /// The server was stopped.
    ServerStopped,
    /// The server that owned the session is gone.
    ServerLost,
    /// The node of a cluster that owned the session is gone, or has lost its lease.
    NodeLost,
}

impl DestroyedReason {
    /// Returns the name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Ttl => "ttl",
            Self::Idle => "idle",
            Self::BrowserCrashed => "browser_crashed",
            Self::Limit => "limit",
            Self::ServerStopped => "server_stopped",
            Self::ServerLost => "server_lost",
            Self::NodeLost => "node_lost",
        }
    }

    /// Returns the reason with this name on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::Deleted,
            Self::Ttl,
            Self::Idle,
            Self::BrowserCrashed,
            Self::Limit,
            Self::ServerStopped,
            Self::ServerLost,
            Self::NodeLost,
        ];
        all.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Returns the `error` of an execution that was running when the session ended.
    pub const fn execution_error(self) -> &'static str {
        match self {
            Self::Deleted => "The session was deleted while the code was running",
            Self::Ttl => "The session reached its ttl while the code was running",
            Self::Idle => "The session was idle for its activityTtl and has ended",
            Self::BrowserCrashed => {
                "The session's browser ended unexpectedly while the code was running"
            }
            Self::Limit => "The session exceeded a limit while the code was running",
            Self::ServerStopped => "The server was stopped while the code was running",
            Self::ServerLost => "The server that owned the session is gone",
            Self::NodeLost => "The machine that ran the session is gone",
        }
    }
}

impl DestroyedReason {
    /// Returns the reason as a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Deleted => "The session was deleted.",
            Self::Ttl => "The session reached its ttl.",
            Self::Idle => "The session was idle for its activityTtl.",
            Self::BrowserCrashed => "The session's browser ended unexpectedly.",
            Self::Limit => "The session exceeded a limit.",
            Self::ServerStopped => "The server was stopped.",
            Self::ServerLost => "The server that owned the session is gone.",
            Self::NodeLost => "The machine that ran the session is gone.",
        }
    }
}

impl Serialize for DestroyedReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
