//! Response bodies, with keys in the order of the reference server.
//!
//! Times are ISO 8601 in UTC with milliseconds and `Z`; the server formats them. Strings are never
//! null, because clients reject a complete list that contains one null. A missing value is `""`.

use serde::{Serialize, Serializer};

use crate::session::{DestroyedReason, SessionStatus};

/// A value that always serializes as `true`, so that a success cannot be reported as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct True;

impl Serialize for True {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

/// The response to creating a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct CreateResponse {
    pub success: True,
    pub id: String,
    pub cdp_url: String,
    pub live_view_url: String,
    pub interactive_live_view_url: String,
    pub expires_at: String,
    /// A warning about a problem that did not prevent the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// One session of a [`ListResponse`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct SessionListItem {
    pub id: String,
    pub status: SessionStatus,
    pub cdp_url: String,
    pub live_view_url: String,
    pub interactive_live_view_url: String,
    pub stream_web_view: bool,
    pub created_at: String,
    pub last_activity: String,
}

/// The list of the caller's sessions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct ListResponse {
    pub success: True,
    pub sessions: Vec<SessionListItem>,
}

/// The status of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct StatusResponse {
    pub success: True,
    pub id: String,
    pub status: SessionStatus,
    pub cdp_url: String,
    pub live_view_url: String,
    pub interactive_live_view_url: String,
    pub created_at: String,
    pub last_activity: String,
    pub expires_at: String,
    /// The lifetime in milliseconds. Present only after the session has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_duration_ms: Option<u64>,
    /// The reason for the end. Present only after the session has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destroyed_reason: Option<DestroyedReason>,
}

/// The response to deleting a session that this or an earlier request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteResponse {
    success: True,
    status: &'static str,
    session_duration_ms: u64,
    credits_billed: u32,
    cleanup_queued: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl DeleteResponse {
    /// Creates a response. `session_duration_ms` is the lifetime in milliseconds, which is the same
    /// in every response for one session. `warning` states which data was lost.
    pub fn new(session_duration_ms: u64, warning: Option<String>) -> Self {
        Self {
            success: True,
            status: "stopped",
            session_duration_ms,
            credits_billed: 0,
            cleanup_queued: true,
            warning,
        }
    }
}

/// The number of the caller's active sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConcurrencyResponse {
    success: True,
    concurrency: usize,
    max_concurrency: usize,
}

impl ConcurrencyResponse {
    /// Creates a response. `active` is the number of sessions, `max` the maximum.
    pub fn new(active: usize, max: usize) -> Self {
        Self {
            success: True,
            concurrency: active,
            max_concurrency: max,
        }
    }
}

/// One profile of a [`ProfilesResponse`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct ProfileItem {
    pub name: String,
    pub size_bytes: u64,
    pub saved_at: String,
    pub in_use: bool,
}

/// The list of the caller's profiles, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct ProfilesResponse {
    pub success: True,
    pub profiles: Vec<ProfileItem>,
}

/// The response to deleting a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProfileDeletedResponse {
    success: True,
}

/// The response of the health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthResponse {
    success: True,
    status: &'static str,
    version: &'static str,
    isolation: &'static str,
}

impl HealthResponse {
    /// Creates a response with the version of the server and the isolation level of sessions.
    pub fn new(version: &'static str, isolation: &'static str) -> Self {
        Self {
            success: True,
            status: "ok",
            version,
            isolation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &impl Serialize) -> String {
        serde_json::to_string(response).expect("responses are plain data")
    }

    #[test]
    fn a_delete_response_has_the_reference_order() {
        assert_eq!(
            text(&DeleteResponse::new(1234, None)),
            r#"{"success":true,"status":"stopped","sessionDurationMs":1234,"creditsBilled":0,"cleanupQueued":true}"#
        );
    }

    #[test]
    fn concurrency_has_the_keys_that_clients_read() {
        assert_eq!(
            text(&ConcurrencyResponse::new(2, 5)),
            r#"{"success":true,"concurrency":2,"maxConcurrency":5}"#
        );
    }

    #[test]
    fn an_active_session_has_neither_duration_nor_reason() {
        let mut response = StatusResponse {
            success: True,
            id: "i".into(),
            status: SessionStatus::Active,
            cdp_url: "ws://x".into(),
            live_view_url: String::new(),
            interactive_live_view_url: String::new(),
            created_at: "c".into(),
            last_activity: "l".into(),
            expires_at: "e".into(),
            session_duration_ms: None,
            destroyed_reason: None,
        };
        let active = r#"{"success":true,"id":"i","status":"active","cdpUrl":"ws://x","liveViewUrl":"","interactiveLiveViewUrl":"","createdAt":"c","lastActivity":"l","expiresAt":"e"}"#;
        assert_eq!(text(&response), active);

        response.status = SessionStatus::Destroyed;
        response.session_duration_ms = Some(5);
        response.destroyed_reason = Some(DestroyedReason::BrowserCrashed);
        assert!(
            text(&response)
                .ends_with(r#""sessionDurationMs":5,"destroyedReason":"browser_crashed"}"#)
        );
    }

    #[test]
    fn every_item_of_a_list_has_all_its_keys_in_order() {
        let item = SessionListItem {
            id: "i".into(),
            status: SessionStatus::Destroyed,
            cdp_url: String::new(),
            live_view_url: String::new(),
            interactive_live_view_url: String::new(),
            stream_web_view: true,
            created_at: "c".into(),
            last_activity: "l".into(),
        };
        assert_eq!(
            text(&ListResponse {
                success: True,
                sessions: vec![item]
            }),
            r#"{"success":true,"sessions":[{"id":"i","status":"destroyed","cdpUrl":"","liveViewUrl":"","interactiveLiveViewUrl":"","streamWebView":true,"createdAt":"c","lastActivity":"l"}]}"#
        );
    }
}
