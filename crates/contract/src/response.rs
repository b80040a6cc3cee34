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

/// The result of an execution that was started. The request succeeds even if the code failed.
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
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// The results of an execution, from which an [`ExecuteResponse`] is built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecuteResult {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The value of the last expression, if it has one.
    pub value: Option<String>,
    /// The exit code, which is 137 if the code was killed.
    pub exit_code: i32,
    /// Set if the code was killed at its deadline.
    pub killed: bool,
    /// Set if output or value were truncated.
    pub truncated: bool,
    /// The reason for the failure, if it is known. Ignored if the code did not fail.
    pub error: Option<String>,
}

impl ExecuteResponse {
    /// Returns the exit code, which is 137 if the code was killed.
    pub fn exit_code(&self) -> i32 {
        self.exit_code
    }

    /// Returns whether the code was killed at its timeout.
    pub fn is_killed(&self) -> bool {
        self.killed
    }

    /// Builds a response from the results of an execution.
    ///
    /// The `result` is the value, or stdout without its last newline if there is no value. A
    /// failure without a known error reports stderr or a fixed text.
    pub fn from_parts(parts: ExecuteResult) -> Self {
        let ExecuteResult {
            stdout,
            stderr,
            value,
            exit_code,
            killed,
            truncated,
            error,
        } = parts;
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

    /// Returns the `error` of an execution that was killed at its timeout.
    pub fn timeout_error(timeout_seconds: u32) -> String {
        let unit = if timeout_seconds == 1 {
            "second"
        } else {
            "seconds"
        };
        format!("Execution was killed: it reached its timeout of {timeout_seconds} {unit}")
    }

    /// Returns the `error` of an execution whose timeout passed before the interpreter was ready.
    pub fn early_timeout_error(timeout_seconds: u32) -> String {
        let sentence = Self::timeout_error(timeout_seconds);
        format!(
            "{sentence} before the code had begun (the interpreter was still connecting to the browser)"
        )
    }

    /// Returns the `error` of an execution whose process disappeared or broke its connection to the
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
        ExecuteResponse::from_parts(ExecuteResult {
            stdout: stdout.into(),
            stderr: stderr.into(),
            value,
            exit_code,
            killed: false,
            truncated: false,
            error,
        })
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
    fn without_a_value_the_result_is_stdout_without_its_last_newline() {
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
                "stdout: {stdout:?}"
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
    fn a_killed_and_truncated_execution_reports_both() {
        let error = ExecuteResponse::timeout_error(1);
        let response = ExecuteResponse::from_parts(ExecuteResult {
            exit_code: 137,
            killed: true,
            truncated: true,
            error: Some(error),
            ..ExecuteResult::default()
        });
        assert_eq!(
            text(&response),
            r#"{"success":true,"stdout":"","result":"","stderr":"","exitCode":137,"killed":true,"truncated":true,"error":"Execution was killed: it reached its timeout of 1 second"}"#
        );
    }

    #[test]
    fn a_delete_response_has_the_reference_order() {
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
