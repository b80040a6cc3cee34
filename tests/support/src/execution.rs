//! The result of an execute request, checked against the rules that hold for every execution.

use std::time::Duration;

use serde_json::Value;

use crate::reply::Reply;

/// The result of code that was started.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the keys of the wire")]
pub struct Execution {
    pub stdout: String,
    pub result: String,
    pub stderr: String,
    pub exit_code: i64,
    pub killed: bool,
    pub truncated: bool,
    pub error: Option<String>,
    /// Time from the request to the end of the response.
    pub elapsed: Duration,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "many tests need only the assertion"
)]
impl Execution {
    /// Parses a response and asserts the rules for all executions: status 200, every key of its
    /// type, an `error` exactly when the code failed, `truncated` only when it is true.
    #[track_caller]
    pub(crate) fn from_reply(reply: &Reply, elapsed: Duration) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.text);
        let body = &reply.body;
        let text = |key: &str| match &body[key] {
            Value::String(text) => text.clone(),
            other => panic!("{key} is {other} in {}", reply.text),
        };
        let execution = Self {
            stdout: text("stdout"),
            result: text("result"),
            stderr: text("stderr"),
            exit_code: body["exitCode"]
                .as_i64()
                .unwrap_or_else(|| panic!("no exitCode in {}", reply.text)),
            killed: body["killed"]
                .as_bool()
                .unwrap_or_else(|| panic!("no killed in {}", reply.text)),
            truncated: body
                .get("truncated")
                .is_some_and(|value| *value == Value::Bool(true)),
            error: body.get("error").map(|_| text("error")),
            elapsed,
        };
        assert_eq!(
            body.get("truncated").is_some(),
            execution.truncated,
            "`truncated` must be absent unless it is true"
        );
        let failed = execution.exit_code != 0 || execution.killed;
        assert_eq!(
            execution.error.is_some(),
            failed,
            "`error` must be present exactly when the code failed: {execution:?}"
        );
        execution
    }

    /// Asserts that the code ended normally.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!((self.exit_code, self.killed), (0, false), "{self:?}");
        self
    }

    /// Asserts that the code failed with this exit code and was not killed.
    #[track_caller]
    pub fn failed(self, exit_code: i64) -> Self {
        assert_eq!(
            (self.exit_code, self.killed),
            (exit_code, false),
            "{self:?}"
        );
        self
    }

    /// Asserts that the code was killed at its timeout and that the error names the limit. The
    /// response must have arrived within a second of the timeout.
    #[track_caller]
    pub fn killed_at(self, timeout_seconds: u64) -> Self {
        assert_eq!((self.exit_code, self.killed), (137, true), "{self:?}");
        assert!(
            self.error().contains(&timeout_seconds.to_string()),
            "the error names no limit: {}",
            self.error()
        );
        let timeout = Duration::from_secs(timeout_seconds);
        assert!(self.elapsed >= timeout, "answered after {:?}", self.elapsed);
        assert!(
            self.elapsed < timeout + Duration::from_secs(1),
            "answered after {:?}",
            self.elapsed
        );
        self
    }

    /// Returns the `error`; panics if it is absent.
    #[track_caller]
    pub fn error(&self) -> &str {
        self.error
            .as_deref()
            .unwrap_or_else(|| panic!("no error in {self:?}"))
    }

    /// Parses the `result` as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.result).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
