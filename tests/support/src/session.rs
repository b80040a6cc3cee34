//! A session and the code that runs in it.

use std::time::Instant;

use serde_json::{Value, json};

use crate::api::Api;
use crate::execution::Execution;
use crate::reply::Reply;

/// Timeout in seconds of test code, unless the test is about time.
const TIMEOUT_SECONDS: u64 = 30;

/// A session that a test created.
#[derive(Debug, Clone)]
pub struct Session {
    api: Api,
    /// The body of the response to its creation.
    pub created: Value,
}

impl Session {
    pub(crate) fn new(api: Api, created: Value) -> Self {
        Self { api, created }
    }

    /// Returns the session id.
    pub fn id(&self) -> &str {
        self.created["id"].as_str().expect("an id is a string")
    }

    /// Returns the URL for CDP clients.
    pub fn cdp_url(&self) -> &str {
        self.created["cdpUrl"]
            .as_str()
            .expect("a cdpUrl is a string")
    }

    /// Sends an execute request unchanged.
    pub async fn execute(&self, body: &Value) -> Reply {
        self.api.execute(self.id(), body).await
    }

    /// Runs code; panics unless it was started.
    pub async fn run(&self, language: &str, code: &str) -> Execution {
        self.run_for(language, code, TIMEOUT_SECONDS).await
    }

    /// Runs code with this timeout.
    pub async fn run_for(&self, language: &str, code: &str, timeout_seconds: u64) -> Execution {
        let start = Instant::now();
        let body = json!({"language": language, "code": code, "timeout": timeout_seconds});
        let reply = self.execute(&body).await;
        Execution::from_reply(&reply, start.elapsed())
    }

    /// Returns the same session with a client that waits longer than the longest execution.
    #[must_use]
    pub fn with_long_timeout(&self) -> Self {
        Self {
            api: self.api.with_long_timeout(),
            created: self.created.clone(),
        }
    }

    /// Sends an execute request and ignores the outcome, because the server may end before it
    /// responds.
    pub async fn execute_and_disconnect(&self, language: &str, code: &str) {
        let body = json!({"language": language, "code": code, "timeout": 60});
        let request = self
            .api
            .request(reqwest::Method::POST, &format!("/{}/execute", self.id()));
        // A response and an error are both acceptable.
        drop(
            request
                .header("content-type", "application/json")
                .body(body.to_string())
                .send()
                .await,
        );
    }

    /// Runs node code.
    pub async fn node(&self, code: &str) -> Execution {
        self.run("node", code).await
    }

    /// Runs python code.
    pub async fn python(&self, code: &str) -> Execution {
        self.run("python", code).await
    }

    /// Runs a bash script.
    pub async fn bash(&self, code: &str) -> Execution {
        self.run("bash", code).await
    }

    /// Reads its status.
    pub async fn status(&self) -> Value {
        self.api.status(self.id()).await.ok()
    }

    /// Asserts that it has ended for this reason, that it rejects code, and that it is listed.
    pub async fn assert_destroyed(&self, reason: &str) {
        let status = self.status().await;
        assert_eq!(
            (&status["status"], &status["destroyedReason"]),
            (&json!("destroyed"), &json!(reason)),
            "{status}"
        );
        self.execute(&json!({"code": "1"}))
            .await
            .assert_error(410, "Browser session has been destroyed.");
        let destroyed = self.api.list("?status=destroyed").await.ok();
        let sessions = destroyed["sessions"].as_array().expect("a list");
        assert!(
            sessions
                .iter()
                .any(|session| session["id"] == json!(self.id())),
            "not listed: {destroyed}"
        );
    }

    /// Deletes it.
    pub async fn delete(&self) -> Value {
        self.api.delete(self.id()).await.ok()
    }
}
