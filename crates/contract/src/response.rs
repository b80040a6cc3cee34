//! The bodies of answers, keys in the order of the reference server.
//!
//! Times are ISO 8601 in UTC with milliseconds and `Z`, formatted by whoever has a clock. Strings
//! are never null: clients refuse a whole list over one null, so what does not exist is `""`.

use serde::{Serialize, Serializer};

use crate::session::{DestroyedReason, SessionStatus};

/// Serialises as `true`: a success that cannot be denied by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct True;

impl Serialize for True {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

/// A session was created.
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
    /// Something that its caller should know, and that kept nothing from working.
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

/// The caller's sessions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct ListResponse {
    pub success: True,
    pub sessions: Vec<SessionListItem>,
}

/// One session, active or destroyed.
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
    /// How long the session lived, in milliseconds; only once it is destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_duration_ms: Option<u64>,
    /// What ended it; only once it is destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destroyed_reason: Option<DestroyedReason>,
}

/// A session is destroyed, by this request or earlier.
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
    /// `session_duration_ms` is the lifetime in milliseconds; the same figure at every call for one
    /// session. `warning` says what was lost with it that should not have been.
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

/// The caller's profiles, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct ProfilesResponse {
    pub success: True,
    pub profiles: Vec<ProfileItem>,
}

/// A profile is not there any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProfileDeletedResponse {
    success: True,
}

/// The server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthResponse {
    success: True,
    status: &'static str,
    version: &'static str,
    isolation: &'static str,
}

impl HealthResponse {
    /// `version` is the server's own, `isolation` the level at which sessions are kept apart.
    pub fn new(version: &'static str, isolation: &'static str) -> Self {
        Self {
            success: True,
            status: "ok",
            version,
            isolation,
        }
    }
}

/// Code was started, and this is what came of it. A program that failed is a request that
/// succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteResponse {
    success: True,
    stdout: String,
    result: String,
    stderr: String,
    exit_code: i32,
    killed: bool,
    #[serde(skip_serializing_if = "is_false")]
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

impl ExecuteResponse {
    /// The code's exit code; 137 when it was killed.
    pub fn exit_code(&self) -> i32 {
        self.exit_code
    }

    /// Whether it was ended at its timeout.
    pub fn is_killed(&self) -> bool {
        self.killed
    }

    /// Puts an answer together from what an execution left behind.
    ///
    /// `value` is the last expression's, if it has one; `killed` says that the deadline ended the
    /// code. `error` is the reason for the failure where one is known, and is ignored when the code
    /// did not fail.
    pub fn from_parts(
        stdout: String,
        stderr: String,
        value: Option<String>,
        exit_code: i32,
        killed: bool,
        truncated: bool,
        error: Option<String>,
    ) -> Self {
        let result =
            value.unwrap_or_else(|| stdout.strip_suffix('\n').unwrap_or(&stdout).to_owned());
        let failed = exit_code != 0 || killed;
        let error = failed.then(|| error.unwrap_or_else(|| fallback_error(&stderr)));
        Self {
            success: True,
            stdout,
            result,
            stderr,
            exit_code,
            killed,
            truncated,
            error,
        }
    }

    /// The `error` of an execution that its own timeout ended.
    pub fn timeout_error(timeout_seconds: u32) -> String {
        let unit = if timeout_seconds == 1 {
            "second"
        } else {
            "seconds"
        };
        format!("Execution was killed: it reached its timeout of {timeout_seconds} {unit}")
    }

    /// The same when the timeout passed while the interpreter was still getting ready.
    pub fn early_timeout_error(timeout_seconds: u32) -> String {
        let sentence = Self::timeout_error(timeout_seconds);
        format!(
            "{sentence} before the code had begun (the interpreter was still connecting to the browser)"
        )
    }

    /// The `error` of an execution whose process disappeared, or broke its connection to the
    /// server.
    pub fn lost_error() -> String {
        "The process that ran the code was lost".to_owned()
    }
}

fn fallback_error(stderr: &str) -> String {
    match stderr.trim() {
        "" => "Execution failed".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &impl Serialize) -> String {
        serde_json::to_string(response).expect("responses are plain data")
    }

    fn parts(
        stdout: &str,
        stderr: &str,
        value: Option<&str>,
        exit_code: i32,
        error: Option<&str>,
    ) -> ExecuteResponse {
        let (value, error) = (value.map(str::to_owned), error.map(str::to_owned));
        ExecuteResponse::from_parts(
            stdout.into(),
            stderr.into(),
            value,
            exit_code,
            false,
            false,
            error,
        )
    }

    #[test]
    fn the_result_is_the_value_of_the_last_expression() {
        let response = parts("printed\n", "", Some("42"), 0, None);
        assert_eq!(
            text(&response),
            r#"{"success":true,"stdout":"printed\n","result":"42","stderr":"","exitCode":0,"killed":false}"#
        );
    }

    #[test]
    fn an_empty_value_is_a_value() {
        assert_eq!(parts("printed\n", "", Some(""), 0, None).result, "");
    }

    #[test]
    fn without_a_value_the_result_is_stdout_less_its_last_newline() {
        let cases = [
            ("a\nb\n", "a\nb"),
            ("a\n\n", "a\n"),
            ("a", "a"),
            ("", ""),
            ("\n", ""),
        ];
        for (stdout, result) in cases {
            assert_eq!(
                parts(stdout, "", None, 0, None).result,
                result,
                "of {stdout:?}"
            );
        }
    }

    #[test]
    fn the_error_of_a_failure_is_the_given_one_else_stderr_else_a_fixed_text() {
        assert_eq!(
            parts("", "trace\n", None, 1, Some("Error: x"))
                .error
                .as_deref(),
            Some("Error: x")
        );
        assert_eq!(
            parts("", " trace\n", None, 1, None).error.as_deref(),
            Some("trace")
        );
        assert_eq!(
            parts("", " \n", None, 7, None).error.as_deref(),
            Some("Execution failed")
        );
    }

    #[test]
    fn code_that_did_not_fail_has_no_error_whatever_it_wrote() {
        assert_eq!(
            parts("", "a warning\n", None, 0, Some("ignored")).error,
            None
        );
    }

    #[test]
    fn a_killed_and_truncated_execution_says_both() {
        let error = ExecuteResponse::timeout_error(1);
        let response = ExecuteResponse::from_parts(
            String::new(),
            String::new(),
            None,
            137,
            true,
            true,
            Some(error),
        );
        assert_eq!(
            text(&response),
            r#"{"success":true,"stdout":"","result":"","stderr":"","exitCode":137,"killed":true,"truncated":true,"error":"Execution was killed: it reached its timeout of 1 second"}"#
        );
    }

    #[test]
    fn a_deleted_session_is_answered_in_the_reference_order() {
        assert_eq!(
            text(&DeleteResponse::new(1234, None)),
            r#"{"success":true,"status":"stopped","sessionDurationMs":1234,"creditsBilled":0,"cleanupQueued":true}"#
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
